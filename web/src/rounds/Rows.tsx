// The rows of a frame's card that are no ports: how its lists come together, and what a loop carries on.
import "./rounds.css"
import { Repeat2 } from "lucide-react"
import { useRef } from "react"
import { useT } from "../app/i18n"
import { type Combine, setCombine } from "../document/frames"
import type { NodeDoc } from "../document/model"
import { edit } from "../document/store"
import LoopPanel from "./LoopPanel"
import { openLoop, useLoop } from "./store"

/** Side by side, or each with each. */
export function CombineChoice({ value, label, onChange }: { value: Combine; label: string; onChange(value: Combine): void }) {
  const t = useT()
  return (
    <span className="combine nodrag nokey" role="radiogroup" aria-label={label}>
      {(["zip", "product"] as const).map((one) => (
        <label key={one} data-help={t(`${one}Help`)}>
          <input type="radio" checked={value === one} onChange={() => onChange(one)} /><span>{t(one)}</span>
        </label>
      ))}
    </span>
  )
}

export function CombineRow({ id, node }: { id: string; node: NodeDoc }) {
  const t = useT()
  return <CombineChoice value={node.combine ?? "zip"} label={t("combineLists")} onChange={(value) => edit((doc) => setCombine(doc, id, value))} />
}

export function LoopRow({ id, node: { loop } }: { id: string; node: NodeDoc }) {
  const t = useT()
  const button = useRef<HTMLButtonElement>(null)
  const open = useLoop(({ node }) => node === id)
  const carry = Object.entries(loop?.carry ?? {}).map(([port, output]) => t("loopWith", { port, output })).join(", ") || t("loopSame")
  const said = loop?.until ? t("loopSaidUntil", { carry, until: loop.until }) : carry
  return (
    <>
      <button ref={button} type="button" className="bare loop nodrag nokey" aria-haspopup="dialog" aria-expanded={open} aria-label={`${t("loop")}: ${said}`} title={said} onClick={() => openLoop(id)}>
        <Repeat2 size={13} /><span>{said}</span>
      </button>
      {open && <LoopPanel anchor={button} id={id} loop={loop ?? {}} />}
    </>
  )
}

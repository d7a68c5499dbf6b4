// A model's name, chosen among those that are here and fit; what is missing is said with the command that gets it, never downloaded.
import "./models.css"
import { ChevronDown, Copy, TriangleAlert } from "lucide-react"
import { useEffect, useRef, useState } from "react"
import { api } from "../../api/client"
import type { Fitting, Json } from "../../api/types"
import { type Key, useT } from "../../app/i18n"
import { askedHere } from "../../document/asked"
import { split } from "../../document/model"
import { useTyping } from "../../typing/store"
import { isOptional, type WidgetProps } from "../kind"
import { type Option, Picker } from "../Picker"

export default function ModelChooser({ id, at, label, port, shown, isDefault, change }: WidgetProps) {
  const t = useT()
  const button = useRef<HTMLButtonElement>(null)
  const [open, setOpen] = useState(false)
  const missing = useTyping(({ plan }) => plan?.models.find(({ source, here }) => source === shown && !here)?.why)
  const source = typeof shown === "string" ? shown : ""
  return (
    <>
      <button
        ref={button} id={id} type="button" role="combobox" aria-label={label} aria-expanded={open} aria-haspopup="listbox" aria-controls={open ? `${id}-list` : undefined} aria-description={missing}
        className={`control choice model${isDefault ? " default" : ""}${missing ? " missing" : ""}`} data-help={missing ? plainly(missing) : source}
        onClick={() => setOpen(true)} onKeyDown={(event) => event.key === "ArrowDown" && (event.preventDefault(), setOpen(true))}
      >
        {missing && <TriangleAlert size={13} aria-hidden />}
        <span>{source || t(shown === null ? "noModel" : "chooseModel")}</span>
        <ChevronDown size={13} aria-hidden />
      </button>
      {open && <Models id={`${id}-list`} anchor={button} at={at} label={label} value={shown} optional={isOptional(port.type)} onPick={(value) => change(value)} onClose={() => setOpen(false)} />}
    </>
  )
}

interface ModelsProps {
  id: string
  anchor: React.RefObject<HTMLElement | null>
  at: string
  label: string
  value: Json | undefined
  optional: boolean
  onPick(value: Json): void
  onClose(): void
}

function Models({ at, value, optional, ...rest }: ModelsProps) {
  const t = useT()
  const [found, setFound] = useState<Fitting | null>(null)
  const [failed, setFailed] = useState("")
  useEffect(() => {
    const [node, port] = split(at)
    const asking = new AbortController()
    api.fitting({ ...askedHere(), node, port }, asking.signal).then(setFound, (error: Error) => !asking.signal.aborted && setFailed(error.message))
    return () => asking.abort()
  }, [at])
  const given = found?.given
  return (
    <Picker
      {...rest} value={value} search free options={found ? optionsOf(found, optional, t) : []}
      above={given && !given.here ? <Missing why={given.why ?? ""} /> : !found ? <p className="picker-none">{failed || t("lookingWhichFit")}</p> : undefined}
    />
  )
}

/** Those that fit, by where they come from; then the others, each with why not. */
export function optionsOf({ models }: Fitting, optional: boolean, t: (key: Key) => string): Option[] {
  const options = models.map((one): Option => ({
    value: one.name, label: one.name.replace(/^zoo:/, ""), detail: [one.class, sized(one.bytes)].filter(Boolean).join(" · "), title: [one.why, one.licence].filter(Boolean).join("\n"),
    group: one.fits ? t(one.kind === "unfinished" ? "pulled" : one.kind) : t("otherModels"), faded: !one.fits,
  }))
  return optional ? [{ value: null, label: t("noModel") }, ...options] : options
}

export function sized(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"]
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(bytes, 1)) / 3))
  return `${Number((bytes / 1000 ** power).toPrecision(2))} ${units[power]}`
}

const plainly = (why: string) => why.replaceAll("`", "")

/** What is said of a model that is not here, the command in it to be copied. */
function Missing({ why }: { why: string }) {
  const t = useT()
  const [copied, setCopied] = useState(false)
  const command = /`(flowmm models [^`]+)`/.exec(why)?.[1]
  return (
    <div className="missing-model" role="alert">
      <p><TriangleAlert size={14} aria-hidden /> {t("modelMissing")}</p>
      <p className="why">{plainly(why)}.</p>
      {command && (
        <button type="button" className="command" aria-label={`${t("copyCommand")}: ${command}`} onClick={() => void navigator.clipboard.writeText(command).then(() => setCopied(true))}>
          <code>{command}</code>{copied ? t("copied") : <Copy size={13} aria-hidden />}
        </button>
      )}
    </div>
  )
}

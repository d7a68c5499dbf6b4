// A seed: a number, dice to roll another, and what becomes of it after a run.
import { Dices, Lock, Plus, Shuffle } from "lucide-react"
import { useRef, useState } from "react"
import type { SeedMode } from "../document/model"
import { edit, useDocument } from "../document/store"
import { useT } from "../app/i18n"
import type { WidgetProps } from "./kind"
import { Written } from "./NumberBox"
import { nudged, type Range } from "./numbers"
import { Picker } from "./Picker"
import { dice, LARGEST, setSeedMode } from "./seeds"

const RANGE: Range = { whole: true, low: 0, high: LARGEST }
const MODES: Record<SeedMode, { icon: typeof Lock; words: "seedKeep" | "seedRandom" | "seedNext" }> = {
  keep: { icon: Lock, words: "seedKeep" },
  random: { icon: Shuffle, words: "seedRandom" },
  next: { icon: Plus, words: "seedNext" },
}

export function Seed({ id, at, label, shown, isDefault, change }: WidgetProps) {
  const t = useT()
  const mode = useDocument(({ doc }) => doc.layout?.seeds?.[at] ?? "keep")
  const button = useRef<HTMLButtonElement>(null)
  const [open, setOpen] = useState(false)
  const number = typeof shown === "number" ? shown : null
  const { icon: Icon, words } = MODES[mode]
  return (
    <span className={`control number seed${isDefault ? " default" : ""}`}>
      <Written id={id} label={label} number={number} range={RANGE} step={(by) => change(nudged(number, Math.round(by) || Math.sign(by), RANGE), true)} change={change} />
      <button type="button" className="inside" aria-label={`${label} · ${t("dice")}`} data-help={t("dice")} onClick={() => change(dice())}><Dices size={14} /></button>
      <button
        ref={button} type="button" className={`inside${mode === "keep" ? "" : " on"}`} aria-label={`${label} · ${t("afterRun")}: ${t(words)}`} data-help={`${t("afterRun")}: ${t(words)}`}
        aria-haspopup="listbox" onClick={() => setOpen(true)}
      >
        <Icon size={13} />
      </button>
      {open && (
        <Picker
          id={`${id}-after`} anchor={button} label={t("afterRun")} search={false} value={mode} above={<p className="picker-group">{t("afterRun")}</p>}
          options={(Object.keys(MODES) as SeedMode[]).map((one) => ({ value: one, label: t(MODES[one].words) }))}
          onPick={(one) => edit((doc) => setSeedMode(doc, at, one as SeedMode))} onClose={() => setOpen(false)}
        />
      )}
    </span>
  )
}

// A number: written, stepped by arrows and wheel, or dragged.
import { ChevronLeft, ChevronRight } from "lucide-react"
import { type PointerEvent, type WheelEvent, useState } from "react"
import { useT } from "../app/i18n"
import { type WidgetProps, whole } from "./kind"
import { factor, nudged, type Range, read } from "./numbers"
import { useScrub } from "./scrub"

export const rangeOf = (port: WidgetProps["port"]): Range => ({ ...port.between, whole: whole(port) })

export function NumberBox({ id, at, label, port, shown, isDefault, change }: WidgetProps) {
  const t = useT()
  const range = rangeOf(port)
  const number = typeof shown === "number" ? shown : null
  const scrub = useScrub(number, range, (value) => change(value, true))
  const step = (by: number) => change(nudged(number, by, range), true)
  const arrow = (by: number, name: "less" | "more1") => (
    <button type="button" className="arrow" tabIndex={-1} aria-label={`${label} · ${t(name)}`} {...scrub} onClick={(event) => !scrub.moved() && step(by * factor(event))}>
      {by < 0 ? <ChevronLeft size={12} /> : <ChevronRight size={12} />}
    </button>
  )
  return (
    <span className={`control number${isDefault ? " default" : ""}`} data-scrub={at}>
      {arrow(-1, "less")}
      <Written id={id} label={label} number={number} range={range} step={step} change={change} />
      {arrow(1, "more1")}
    </span>
  )
}

interface WrittenProps {
  id: string
  label: string
  number: number | null
  range: Range
  step(by: number): void
  change: WidgetProps["change"]
}

/** The number as text, which may be wrong for a while; what is wrong is said below it and goes nowhere. */
export function Written({ id, label, number, range, step, change }: WrittenProps) {
  const t = useT()
  const [draft, setDraft] = useState<string | null>(null)
  const told = draft === null ? null : read(draft, range)
  const fault = told && "fault" in told ? t(told.fault, { low: range.low ?? "−∞", high: range.high ?? "∞" }) : ""
  const onWheel = (event: WheelEvent<HTMLInputElement>) => {
    if (document.activeElement !== event.currentTarget || !event.deltaY) return
    setDraft(null)
    step(-Math.sign(event.deltaY) * factor(event))
  }
  return (
    <>
      <input
        id={id} type="text" inputMode={range.whole ? "numeric" : "decimal"} role="spinbutton" aria-label={label} aria-valuenow={number ?? undefined} aria-valuemin={range.low}
        aria-valuemax={range.high} aria-invalid={fault !== ""} aria-describedby={fault ? `${id}-fault` : undefined} autoComplete="off" placeholder={t("auto")}
        value={draft ?? number ?? ""} onFocus={({ target }) => target.select()} onBlur={() => setDraft(null)} onWheel={onWheel}
        onChange={({ target }) => {
          setDraft(target.value)
          const now = read(target.value, range)
          if (!("fault" in now)) change(now.value, true)
        }}
        onKeyDown={(event) => {
          if (event.key === "Escape" || event.key === "Enter") return setDraft(null)
          if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return
          event.preventDefault()
          setDraft(null)
          step((event.key === "ArrowUp" ? 1 : -1) * factor(event))
        }}
      />
      {fault && <span id={`${id}-fault`} className="fault" role="alert">{fault}</span>}
    </>
  )
}

/** The label of a number, which drags it. */
export function NumberLabel({ id, label, port, shown, change }: Omit<WidgetProps, "at" | "isDefault">) {
  const { moved, ...scrub } = useScrub(typeof shown === "number" ? shown : null, rangeOf(port), (value) => change(value, true))
  return (
    <label
      htmlFor={id} className="name scrubs" {...scrub}
      onClick={(event: PointerEvent<HTMLLabelElement> | React.MouseEvent) => moved() && event.preventDefault()}
    >
      {label}
    </label>
  )
}

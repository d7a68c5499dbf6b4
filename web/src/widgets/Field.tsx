// One value with its name: the widget that its type asks for, what resets it, and what else may be done with it.
import "./widgets.css"
import { LogIn, Maximize2, RotateCcw } from "lucide-react"
import { type MouseEvent, Suspense, useId, useState } from "react"
import { useT, words } from "../app/i18n"
import type { Json } from "../api/types"
import { lazily } from "../app/lazily"
import { promote, split } from "../document/model"
import { edit } from "../document/store"
import { isOn, mayToggle, toggleEach } from "../rounds/toggle"
import { useTyping } from "../typing/store"
import { Choice } from "./Choice"
import { FieldMenu, type MenuLine } from "./FieldMenu"
import { eachIsList, type FieldPort, takesTexts, type WidgetKind, type WidgetProps, widgetOf } from "./kind"
import { NumberBox, NumberLabel } from "./NumberBox"
import { Seed } from "./Seed"
import { Slider } from "./Slider"
import { Spread } from "./Spread"
import { Line, Lines, Text } from "./Text"

export type { FieldPort } from "./kind"

// What most graphs' cards do not show at once comes when it is wanted.
const Pictures = lazily(() => import("./pictures/Pictures"))
const Mask = lazily(() => import("./pictures/Mask"))
const ModelChooser = lazily(() => import("./models/ModelChooser"))

export interface FieldProps {
  at: string // "node.port", node being `input` for an input of the graph
  label: string
  port: FieldPort
  value: Json | undefined // undefined: the default
  /** going: more of the same kind may follow, as when somebody types. */
  onChange(value: Json | undefined, going: boolean): void
  menu?: MenuLine[] // what else may be done with it
  low?: boolean // its row has room for a line alone, whatever it is
}

const TALL: ReadonlySet<WidgetKind> = new Set(["text", "lines", "row", "rows", "pictures", "mask"])

export function Field({ at, label, port, value, onChange, menu = [], low = false }: FieldProps) {
  const t = useT()
  const id = useId()
  const [node, name] = split(at)
  const place = { node, port: name }
  const [large, setLarge] = useState(false)
  const [point, setPoint] = useState<[number, number] | null>(null)
  const wrong = useTyping(({ here }) => here.find((one) => one.node === node && one.port === name && one.level === "error")?.message)
  const shown = value === undefined ? (port.default as Json | undefined) : value
  const kind = widgetOf(port, shown)
  const props: WidgetProps = { id, at, label, port, shown, isDefault: value === undefined, change: (json, going = false) => onChange(json, going) }
  const writes = kind === "text" || kind === "lines"
  const reset = value !== undefined && port.default !== undefined ? () => onChange(undefined, false) : undefined
  const intoInput = node === "input" ? undefined : () => edit((doc) => promote(doc, node, name, port.default as Json | undefined)[0])
  const lines: MenuLine[] = [
    ...(reset ? [{ words: t("reset"), run: reset }] : []),
    ...(writes ? [{ words: t("writeLarge"), run: () => setLarge(true) }] : []),
    ...(writes && takesTexts(port) && !port.each ? [several(shown, onChange, t(kind === "lines" ? "oneText" : "severalTexts"))] : []),
    ...(node === "input" && port.each && takesTexts(port) && !eachIsList(port) ? [inLists(shown, onChange, t(kind === "rows" ? "eachOneText" : "eachSeveralTexts"))] : []),
    ...(mayToggle(place) ? [{ words: t(node === "input" ? (isOn(place) ? "sweepOff" : "sweepOn") : isOn(place) ? "eachOff" : "eachOn"), run: () => toggleEach(place) }] : []),
    ...(intoInput ? [{ words: t("intoInput"), run: intoInput }] : []),
    ...menu,
  ]
  const onContextMenu = (event: MouseEvent) => {
    event.preventDefault()
    event.stopPropagation()
    const { left, bottom } = event.currentTarget.getBoundingClientRect()
    setPoint(event.clientX || event.clientY ? [event.clientX, event.clientY] : [left, bottom])
  }
  return (
    <div
      className={`widget nodrag nokey ${TALL.has(kind) && !low ? "tall" : "flat"} is-${kind}${wrong ? " wrong" : ""}`} data-field={at} onContextMenu={onContextMenu}
      onFocus={({ currentTarget }) => currentTarget.classList.add("nowheel")} // the wheel is the canvas's until somebody works here
      onBlur={({ currentTarget }) => currentTarget.classList.remove("nowheel")}
    >
      <span className="head" data-help={[words(port.help), ranged(port)].filter(Boolean).join("\n") || undefined}>
        {kind === "number" || kind === "slider" || kind === "seed" ? <NumberLabel {...props} /> : <label htmlFor={id} className="name">{label}</label>}
        {port.each && <EachMark />}
        <span className="tools">
          {writes && <Tool icon={Maximize2} label={label} words={t("writeLarge")} run={() => setLarge(true)} />}
          {reset && <Tool icon={RotateCcw} label={label} words={t("reset")} run={reset} />}
          {intoInput && <Tool icon={LogIn} label={label} words={t("intoInput")} run={intoInput} />}
        </span>
      </span>
      <Widget kind={kind} props={props} large={large} onLarge={setLarge} />
      {wrong && <span className="fault" role="alert">{wrong}</span>}
      {point && <FieldMenu at={point} label={label} lines={lines} onClose={() => setPoint(null)} />}
    </div>
  )
}

function Widget({ kind, props, large, onLarge }: { kind: WidgetKind; props: WidgetProps; large: boolean; onLarge(open: boolean): void }) {
  if (kind === "check") return <Check {...props} />
  if (kind === "choice") return <Choice {...props} />
  if (kind === "seed") return <Seed {...props} />
  if (kind === "slider") return <Slider {...props} />
  if (kind === "number") return <NumberBox {...props} />
  if (kind === "spread") return <Spread {...props} />
  if (kind === "row") return <Spread {...props} roomy />
  if (kind === "rows") return <Spread {...props} lists />
  if (kind === "text") return <Text {...props} large={large} onLarge={onLarge} />
  if (kind === "lines") return <Lines {...props} large={large} onLarge={onLarge} />
  if (kind === "line") return <Line {...props} />
  const Lazy = { pictures: Pictures, mask: Mask, model: ModelChooser }[kind]
  return <Suspense fallback={<span className="control" />}><Lazy {...props} /></Suspense>
}

function Check({ id, label, shown, isDefault, change }: WidgetProps) {
  return <input id={id} type="checkbox" className={isDefault ? "default" : ""} aria-label={label} checked={shown === true} onChange={({ target }) => change(target.checked)} />
}

export function EachMark() {
  const t = useT()
  return <em className="each-mark" data-help={t("eachHelp")}>{t("eachMark")}</em>
}

interface ToolProps {
  icon: typeof RotateCcw
  label: string
  words: string
  run(): void
}

function Tool({ icon: Icon, label, words, run }: ToolProps) {
  return <button type="button" className="bare" aria-label={`${label} · ${words}`} data-help={words} onClick={run}><Icon size={13} /></button>
}

/** One text as a list of texts, or the first of several alone. */
function several(shown: Json | undefined, onChange: FieldProps["onChange"], words: string): MenuLine {
  return { words, run: () => onChange(Array.isArray(shown) ? (shown[0] ?? "") : [shown ?? ""], false) }
}

/** Texts that are taken in turn as lists of them, or the other way round. */
function inLists(shown: Json | undefined, onChange: FieldProps["onChange"], words: string): MenuLine {
  const items = Array.isArray(shown) ? shown : []
  return { words, run: () => onChange(items.some(Array.isArray) ? items.flat() : items.map((one) => [one]), false) }
}

/** The range of a number, as people write it. */
function ranged({ between }: FieldPort): string {
  if (!between) return ""
  const { low, high, step } = between
  const span = low !== undefined && high !== undefined ? `${low} – ${high}` : low !== undefined ? `≥ ${low}` : high !== undefined ? `≤ ${high}` : ""
  return step ? `${span} · ±${step}` : span
}

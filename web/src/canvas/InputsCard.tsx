// The graph's inputs as one card: the same form that its app has, each row the beginning of wires.
import "./inputs.css"
import type { NodeProps } from "@xyflow/react"
import { GripVertical } from "lucide-react"
import { type KeyboardEvent, memo, useRef, useState } from "react"
import { useCatalogue } from "../app/catalogue"
import type { Check } from "../api/types"
import { useT, words } from "../app/i18n"
import { INPUTS, inputValue, moveInput, removeInput } from "../document/model"
import { amend, currentDoc, edit, useDocument } from "../document/store"
import { axesOf, cellsOf, combineOf, setAxis, setSweepCombine } from "../document/sweeps"
import { CombineChoice } from "../rounds/Rows"
import { severalOf } from "../sweeps/sweepable"
import { useTyping } from "../typing/store"
import { Field } from "../widgets/Field"
import { FieldMenu, type MenuLine } from "../widgets/FieldMenu"
import { fallbackOf, inputChanged, same } from "../widgets/inputs"
import { PortDetails } from "../widgets/PortDetails"
import { inputTypes } from "./flow"
import { toggled } from "./layout"
import { FIELD, type FormRow, HEAD, inputsShape, ROW } from "./shape"
import { Socket } from "./Socket"

const NONE: Check["inputs"] = {}
const DRAGGED = "application/x-flowmm-input"

export const InputsCard = memo(function InputsCard({ selected }: NodeProps) {
  const t = useT()
  const doc = useDocument(({ doc }) => doc)
  const types = useTyping(({ check }) => check?.inputs ?? NONE)
  const check = useTyping(({ check }) => check)
  const nodes = useCatalogue(({ nodes }) => nodes)
  const { rows, folded, idle, foot, sweep, height } = inputsShape(doc, inputTypes(doc, nodes ?? {}, check))
  const [told, setTold] = useState("")
  const names = Object.keys(doc.inputs ?? {})
  const move = (name: string, to: number) => {
    edit((doc) => moveInput(doc, name, to))
    setTold(t("moved", { name, n: Object.keys(currentDoc().inputs ?? {}).indexOf(name) + 1, count: names.length }))
  }
  return (
    <article className={`card own inputs${selected ? " selected" : ""}`} aria-label={t("inputs")}>
      <header className="card-head" style={{ height: HEAD }}><span className="card-title">{t("inputs")}</span></header>
      {rows.map((row) => <InputRow key={row.name} row={row} input={types[row.name]} place={names.indexOf(row.name)} onMove={move} />)}
      {idle > 0 && (
        <div className="row" style={{ top: foot, height: ROW }}>
          <button type="button" className="bare more nodrag nokey" aria-expanded={!folded.length} onClick={() => edit((doc) => toggled(doc, "open", INPUTS))}>
            {folded.length ? t("more", { n: idle }) : t("fewer")}
          </button>
        </div>
      )}
      {folded.map((name) => <Socket key={name} node="input" port={name} side="output" type={types[name]?.type} shown={types[name]?.shown ?? "?"} top={foot + ROW / 2} />)}
      {sweep !== null && <SweepRow top={sweep} />}
      <p className="hint" style={{ top: height - ROW - 8, height: ROW }}>{t("addInput")}</p>
      <span className="unseen" role="status">{told}</span>
    </article>
  )
})

/** How many runs it is, and how several inputs that vary come together. */
function SweepRow({ top }: { top: number }) {
  const t = useT()
  const n = useDocument(({ doc }) => cellsOf(doc))
  const several = useDocument(({ doc }) => Object.keys(axesOf(doc)).length > 1)
  const combine = useDocument(({ doc }) => combineOf(doc))
  return (
    <div className="row sweep-row" style={{ top, height: FIELD }}>
      <span className="times">× {n}</span>
      {several ? <CombineChoice value={combine} label={t("sweepCombine")} onChange={(value) => edit((doc) => setSweepCombine(doc, value))} /> : <span className="port">{t("sweepRuns", { n })}</span>}
    </div>
  )
}

interface RowProps {
  row: FormRow
  input: Check["inputs"][string] | undefined
  place: number
  onMove(name: string, to: number): void
}

const InputRow = memo(function InputRow({ row: { name, kind, height, top }, input, place, onMove }: RowProps) {
  const t = useT()
  const types = useCatalogue(({ nodes }) => nodes)
  const value = useDocument(({ doc }) => inputValue(doc, name))
  const fallback = useDocument(({ doc }) => fallbackOf(doc, types, name))
  const title = useDocument(({ doc }) => words(doc.inputs?.[name]?.title))
  const axis = useDocument(({ doc }) => axesOf(doc)[name])
  const row = useRef<HTMLDivElement>(null)
  const grip = useRef<HTMLButtonElement>(null)
  const [details, setDetails] = useState(false)
  const [menu, setMenu] = useState<[number, number] | null>(null)
  const [aim, setAim] = useState<"above" | "below" | null>(null)
  const lines: MenuLine[] = [
    { words: t("details"), run: () => setDetails(true) },
    { words: t("moveUp"), run: () => onMove(name, place - 1), off: place === 0 },
    { words: t("moveDown"), run: () => onMove(name, place + 1) },
    { words: t("deleteInput"), run: () => edit((doc) => removeInput(doc, name)), grave: true },
  ]
  const onKeyDown = (event: KeyboardEvent) => {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key]
    if (!by) return
    event.preventDefault()
    onMove(name, place + by)
    requestAnimationFrame(() => grip.current?.focus({ preventScroll: true }))
  }
  const half = (y: number) => {
    const { top, height } = row.current!.getBoundingClientRect()
    return y < top + height / 2 ? "above" : "below"
  }
  return (
    <div
      ref={row} className={`row input-row ${kind}`} style={{ top, height }} data-aim={aim}
      onDragOver={(event) => {
        if (!event.dataTransfer.types.includes(DRAGGED)) return
        event.preventDefault()
        setAim(half(event.clientY))
      }}
      onDragLeave={() => setAim(null)}
      onDrop={(event) => {
        const dragged = event.dataTransfer.getData(DRAGGED)
        setAim(null)
        if (!dragged) return
        event.preventDefault()
        event.stopPropagation()
        const from = Object.keys(currentDoc().inputs ?? {}).indexOf(dragged)
        onMove(dragged, place + (half(event.clientY) === "below" ? 1 : 0) - (from < place ? 1 : 0))
      }}
    >
      <button
        ref={grip} type="button" className="grip nodrag nokey" draggable aria-label={t("inputMenu", { name: title || name })} aria-haspopup="menu" onKeyDown={onKeyDown}
        onDragStart={(event) => {
          event.dataTransfer.setData(DRAGGED, name)
          event.dataTransfer.effectAllowed = "move"
        }}
        onClick={({ currentTarget }) => {
          const { left, bottom } = currentTarget.getBoundingClientRect()
          setMenu([left, bottom])
        }}
      >
        <GripVertical size={12} />
      </button>
      {input && axis ? (
        <Field
          at={`input.${name}`} label={title || name} port={severalOf(input)} value={axis} menu={lines} low={kind === "field"}
          onChange={(json, going) => (going ? (change: Parameters<typeof edit>[0]) => amend(`input.${name}.axis`, change) : edit)((doc) => setAxis(doc, name, Array.isArray(json) ? json : json === undefined ? [] : [json]))}
        />
      ) : input && kind !== "socket" ? (
        <Field
          at={`input.${name}`} label={title || name} port={{ ...input, help: input.help, default: fallback }} value={same(value, fallback) ? undefined : value} menu={lines}
          onChange={(json, going) => (going ? (change: Parameters<typeof edit>[0]) => amend(`input.${name}`, change) : edit)((doc) => inputChanged(doc, types, name, json))}
        />
      ) : (
        <span className="port">{title || name}</span>
      )}
      <Socket node="input" port={name} side="output" type={input?.type} shown={input?.shown ?? "?"} top={ROW / 2} />
      {menu && <FieldMenu at={menu} label={t("inputMenu", { name: title || name })} lines={lines} onClose={() => setMenu(null)} />}
      {details && <PortDetails anchor={row} of="inputs" name={name} onClose={() => setDetails(false)} />}
    </div>
  )
})

// The sheet of a sweep: its cells under their labels, filling in as they end; each can be opened, the whole taken away.
import "./sweeps.css"
import { Download, Square } from "lucide-react"
import { useState } from "react"
import { api, sheetUrl, tableUrl } from "../api/client"
import type { Sweep } from "../api/types"
import { Dialog } from "../app/Dialog"
import { useT } from "../app/i18n"
import { tellError } from "../app/toasts"
import { kindOf } from "../results/kinds"
import { Cell } from "./Cell"
import { closeSheet, standing, useSweep } from "./store"

export default function SheetDialog() {
  const t = useT()
  const sweep = useSweep(({ sheet, sweep, other }) => (sheet === null ? null : sweep?.id === sheet ? sweep : other))
  if (!sweep) return null
  return <Dialog title={t("sheetOf", { name: sweep.title || sweep.name || t("sweep") })} close={closeSheet} wide><Open key={sweep.id} sweep={sweep} /></Dialog>
}

/** The names of its outputs, pictures first. */
export function outputsOf({ cells }: Sweep): string[] {
  const types = Object.assign({}, ...cells.map(({ outputs }) => Object.fromEntries(Object.entries(outputs).map(([name, { type }]) => [name, type])))) as Record<string, string>
  const rank = (name: string) => Number(kindOf(types[name]!) !== "picture")
  return Object.keys(types).sort((a, b) => rank(a) - rank(b))
}

function Open({ sweep }: { sweep: Sweep }) {
  const t = useT()
  const outputs = outputsOf(sweep)
  const [wanted, setWanted] = useState("")
  const output = outputs.includes(wanted) ? wanted : (outputs[0] ?? "")
  const { done, failed, all } = standing(sweep)
  const pictures = sweep.cells.some(({ outputs }) => kindOf(outputs[output]?.type ?? "") === "picture") // a cell of the picture that is taken away has one
  return (
    <div className="sweep-sheet">
      <div className="sweep-tools">
        <span role="status">{t("cellsDone", { done, all })}{failed > 0 && ` · ${t("cellsFailed", { n: failed })}`}</span>
        {outputs.length > 1 && (
          <select className="control" aria-label={t("whichOutput")} value={output} onChange={({ target }) => setWanted(target.value)}>{outputs.map((name) => <option key={name}>{name}</option>)}</select>
        )}
        {!sweep.ended && <button type="button" className="button small" onClick={() => void api.cancelSweep(sweep.id).catch(tellError)}><Square size={12} />{t("stopSweep")}</button>}
        {pictures && <a className="button small" href={sheetUrl(sweep.id, output)} download={`${sweep.name || "sheet"}.png`}><Download size={12} />{t("saveSheet")}</a>}
        <a className="button small" href={tableUrl(sweep.id, "csv")} download><Download size={12} />{t("saveCsv")}</a>
        <a className="button small" href={tableUrl(sweep.id, "jsonl")} download><Download size={12} />{t("saveLines")}</a>
      </div>
      <div className="sweep-around" tabIndex={0}><Grid sweep={sweep} output={output} size={160} /></div>
    </div>
  )
}

export function Grid({ sweep, output, size, onOpen }: { sweep: Sweep; output: string; size: number; onOpen?: () => void }) {
  const { rows, columns, across, down, cells } = sweep
  const labelled = rows.length > 1 || Boolean(rows[0])
  return (
    <table className="cells" style={{ "--cell": `${size}px` } as React.CSSProperties}>
      <thead>
        {across && <tr>{labelled && <td />}<th scope="colgroup" colSpan={columns.length} className="axis">{across}</th></tr>}
        <tr>{labelled && <th scope="col" className="axis">{down}</th>}{columns.map((label, i) => <th key={i} scope="col" title={label}>{label}</th>)}</tr>
      </thead>
      <tbody>
        {rows.map((row, i) => (
          <tr key={i}>
            {labelled && <th scope="row" title={row}>{row}</th>}
            {columns.map((_, j) => {
              const cell = cells[i * columns.length + j]
              return <td key={j}>{cell && <Cell cell={cell} output={output} labels={saidOf(cell.inputs)} size={size} onOpen={onOpen} />}</td>
            })}
          </tr>
        ))}
      </tbody>
    </table>
  )
}

const saidOf = (inputs: Record<string, unknown>): string => Object.entries(inputs).map(([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`).join(", ")

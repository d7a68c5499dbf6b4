// What became of a file of another program: what is to be given, what could not be kept, what is equal.
import { ClipboardCopy } from "lucide-react"
import type { ImportLine } from "../api/types"
import { reveal } from "../canvas/stage"
import { Dialog } from "../app/Dialog"
import { copy } from "../app/files"
import { useT } from "../app/i18n"
import { Marked } from "../app/Marked"
import { sentence } from "../app/toasts"
import { useDocument } from "../document/store"
import { asText, places, sorted, type State } from "./report"

const WORDS = { missing: "report_missing", placeholder: "report_placeholder", changed: "report_changed", "left out": "report_leftOut", mapped: "report_mapped", note: "report_note" } as const satisfies Record<State, string>

export default function Report({ lines, close }: { lines: readonly ImportLine[]; close(): void }) {
  const t = useT()
  const { groups, remarks } = sorted(lines)
  return (
    <Dialog title={t("importReport")} close={close} wide>
      <p className="report-counts">{groups.map(([state, found]) => <span key={state} className={`report-chip ${state.replace(" ", "-")}`}>{t(WORDS[state])} <b>{found.length}</b></span>)}</p>
      {groups.map(([state, found]) => (
        <section key={state} className="report" aria-label={t(WORDS[state])}>
          <h3 className={`report-chip ${state.replace(" ", "-")}`}>{t(WORDS[state])}</h3>
          <ul>{found.map((line, i) => <Line key={i} line={line} close={close} />)}</ul>
        </section>
      ))}
      {remarks.length > 0 && <section className="report remarks">{remarks.map((text) => <p key={text}><Marked text={`${sentence(text)}.`} /></p>)}</section>}
      <div className="dialog-foot">
        <button type="button" className="button" onClick={() => void copy(asText(lines))}><ClipboardCopy size={14} />{t("copyReport")}</button>
        <button type="button" className="button primary" onClick={close}>{t("close")}</button>
      </div>
    </Dialog>
  )
}

function Line({ line: { node, type, title, became, why }, close }: { line: ImportLine; close(): void }) {
  const t = useT()
  const doc = useDocument(({ root }) => root)
  const show = (card: string) => {
    close()
    useDocument.getState().go([])
    window.setTimeout(() => reveal(card)) // once the dialog has given the keyboard back
  }
  return (
    <li>
      {type && <span className="there">{title || type}{title && <small> {type}</small>}{node && <small> #{node}</small>}</span>}
      <span className="became">
        {type && "→ "}
        {places(became, doc).map(({ name, card }) =>
          card ? <button key={name} type="button" className="bare" title={t("jumpTo", { where: name })} onClick={() => show(card)}>{name}</button> : <span key={name}>{name}</span>,
        )}
        {!became && "–"}
      </span>
      {why && <p><Marked text={sentence(why)} /></p>}
    </li>
  )
}

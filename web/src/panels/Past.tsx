// Past runs, newest first: what went in, what came out, how long it took.
import "../results/results.css"
import { Ban, ChevronDown, ChevronRight, CircleAlert, CircleCheck, CircleSlash, Clock, Grid3x3, Loader, type LucideIcon, RotateCcw, Trash2, Undo2 } from "lucide-react"
import { useCallback, useEffect, useState } from "react"
import { api } from "../api/client"
import type { Run, State } from "../api/types"
import { useT } from "../app/i18n"
import { tellError } from "../app/toasts"
import { Shown } from "../results/Shown"
import { lookAtQueue } from "../run/store"
import { openSheet } from "../sweeps/store"
import { More } from "./More"
import { ago, seconds } from "./numbers"
import { usePages } from "./pages"
import { titleOf } from "./titles"
import { restore } from "./restore"

const ICONS: Record<State, LucideIcon> = { queued: Clock, running: Loader, done: CircleCheck, failed: CircleAlert, interrupted: CircleSlash, cancelled: Ban }

export default function Past() {
  const t = useT()
  const { items, more, next, again } = usePages(useCallback((before?: number) => api.runs(before, 40), []))
  if (!items.length) return <p className="nothing">{t("noRuns")}</p>
  return (
    <div className="history">
      <ul>
        {items.map((run, i) => {
          if (!run.sweep) return <One key={run.id} run={run} forgotten={again} />
          return items.findIndex(({ sweep }) => sweep === run.sweep) === i && <OneSweep key={run.sweep} run={run} />
        })}
      </ul>
      {more && <More next={next} />}
    </div>
  )
}

function One({ run, forgotten }: { run: Run; forgotten: () => void }) {
  const t = useT()
  const [open, setOpen] = useState(false)
  const Icon = ICONS[run.state]
  const title = titleOf(run)
  return (
    <li className={`run past ${run.state}`}>
      <button type="button" className="head" aria-expanded={open} onClick={() => setOpen(!open)}>
        {open ? <ChevronDown size={13} /> : <ChevronRight size={13} />}
        <Icon size={14} aria-label={t(`state_${run.state}`)} />
        <span className="what">
          <b>{title}</b>
          <span>
            {ago(run.submitted)}{run.seconds !== null && ` · ${t("seconds", { n: seconds(run.seconds) })}`}
            {run.executed !== null && ` · ${t("ranCached", { ran: run.executed, cached: run.cached ?? 0 })}`}
          </span>
        </span>
      </button>
      {open && <Details run={run} forgotten={forgotten} />}
    </li>
  )
}

/** A sweep, all its runs in one line; its sheet has them. */
function OneSweep({ run }: { run: Run }) {
  const t = useT()
  return (
    <li className="run past">
      <button type="button" className="head" aria-haspopup="dialog" onClick={() => openSheet(run.sweep!)}>
        <Grid3x3 size={14} aria-hidden />
        <span className="what"><b>{t("sweepOf", { name: titleOf(run) })}</b><span>{ago(run.submitted)}</span></span>
      </button>
    </li>
  )
}

function Details({ run, forgotten }: { run: Run; forgotten: () => void }) {
  const t = useT()
  const [whole, setWhole] = useState<Run | null>(null)
  useEffect(() => void api.readRun(run.id).then(setWhole, tellError), [run.id])
  const title = titleOf(run)
  return (
    <div className="details">
      {run.error && <p className="why">{run.error.message}{run.error.fix && ` ${run.error.fix}`}</p>}
      {whole && Object.entries(whole.outputs ?? {}).map(([name, output]) => <div key={name} className="output"><span>{name}</span><Shown run={run.id} name={name} output={output} /></div>)}
      {whole && <Given inputs={whole.inputs ?? {}} />}
      <div className="actions">
        <button type="button" className="button small" onClick={() => void restore(run.id).catch(tellError)} title={t("restoreHint")}><Undo2 size={12} />{t("restore")}</button>
        <button type="button" className="bare" aria-label={`${t("retry")}: ${title}`} title={t("retry")} onClick={() => void api.retry(run.id).catch(tellError).finally(lookAtQueue)}><RotateCcw size={13} /></button>
        <button type="button" className="bare" aria-label={`${t("forget")}: ${title}`} title={t("forget")} onClick={() => void api.forget(run.id).then(forgotten, tellError)}><Trash2 size={13} /></button>
      </div>
    </div>
  )
}

/** What a run was given, apart from the defaults. */
export function Given({ inputs }: { inputs: Record<string, unknown> }) {
  const entries = Object.entries(inputs)
  if (!entries.length) return null
  return <dl className="facts-list">{entries.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{typeof value === "string" ? value : JSON.stringify(value)}</dd></div>)}</dl>
}

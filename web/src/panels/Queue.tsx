// What runs and what waits, in order, whoever asked for it; and what ended just now.
import { ArrowDown, ArrowUp, Grid3x3, GripVertical, RotateCcw, X } from "lucide-react"
import { type DragEvent, type KeyboardEvent, useEffect, useState } from "react"
import { api } from "../api/client"
import type { Run } from "../api/types"
import { useT } from "../app/i18n"
import { tellError } from "../app/toasts"
import { hasEnded } from "../run/frames"
import { lookAtQueue, useRuns } from "../run/store"
import { openSheet } from "../sweeps/store"
import { ago, seconds } from "./numbers"
import { titleOf } from "./titles"

const act = (work: Promise<unknown>): void => void work.catch(tellError).finally(lookAtQueue)

export default function Queue() {
  const t = useT()
  const running = useRuns(({ running }) => running)
  const waiting = useRuns(({ waiting }) => waiting)
  const latest = useLatest()
  return (
    <div className="queue">
      {!running.length && !waiting.length && <p className="nothing">{t("nothingWaits")}</p>}
      {running.length > 0 && <h3>{t("running")}</h3>}
      <ul>{running.map((run) => <Running key={run.id} run={run} />)}</ul>
      {waiting.length > 0 && <h3 title={t("reorder")}>{t("waiting")}</h3>}
      <Waiting runs={waiting} />
      {latest.length > 0 && <h3>{t("latest")}</h3>}
      <ul>{latest.map((run) => <Ended key={run.id} run={run} />)}</ul>
    </div>
  )
}

function Running({ run }: { run: Run }) {
  const t = useT()
  const shown = useRuns(({ current }) => (current?.id === run.id ? current : null))
  const eta = useRuns(({ current, progress }) => (current?.id === run.id ? Math.max(0, ...Object.values(progress).map(({ eta }) => eta ?? 0)) : 0))
  const total = shown?.total ?? run.live?.total ?? 0
  const done = shown?.done ?? run.live?.done ?? 0
  return (
    <li className="run">
      <div className="what"><b>{titleOf(run)}</b><span>{t("nodesDone", { done, all: total })}{eta > 1 && ` · ${t("left", { n: Math.ceil(eta) })}`}</span></div>
      <button type="button" className="bare" aria-label={`${t("interrupt")}: ${titleOf(run)}`} title={t("interrupt")} onClick={() => act(api.cancel(run.id))}><X size={14} /></button>
      <progress value={done} max={Math.max(1, total)} aria-label={titleOf(run)} />
    </li>
  )
}

function Waiting({ runs }: { runs: Run[] }) {
  const t = useT()
  const [dragged, setDragged] = useState<string | null>(null)
  const [over, setOver] = useState<number | null>(null)
  const move = (id: string, to: number): void => {
    const run = runs.find((one) => one.id === id)
    if (!run || to < 0 || to >= runs.length) return
    const others = runs.filter((one) => one !== run)
    useRuns.setState({ waiting: [...others.slice(0, to), run, ...others.slice(to)] }) // at once; the queue is read again soon
    act(api.move(id, to))
  }
  const drop = (event: DragEvent, to: number): void => {
    event.preventDefault()
    if (dragged) move(dragged, to)
    setDragged(null)
    setOver(null)
  }
  const pressed = (event: KeyboardEvent, id: string, i: number): void => {
    if (!event.altKey || (event.key !== "ArrowUp" && event.key !== "ArrowDown")) return
    event.preventDefault()
    move(id, i + (event.key === "ArrowUp" ? -1 : 1))
  }
  return (
    <ol>
      {runs.map((run, i) => run.sweep ? (runs.findIndex(({ sweep }) => sweep === run.sweep) === i && <WaitingSweep key={run.id} first={run} runs={runs} />) : (
        <li
          key={run.id} className={`run${over === i ? " over" : ""}`} tabIndex={0} draggable aria-label={`${i + 1}. ${titleOf(run)}`} title={t("reorder")}
          onKeyDown={(event) => pressed(event, run.id, i)} onDragStart={(event) => (event.dataTransfer.setData("text/plain", titleOf(run)), setDragged(run.id))}
          onDragEnd={() => (setDragged(null), setOver(null))} onDragOver={(event) => dragged && (event.preventDefault(), setOver(i))} onDrop={(event) => drop(event, i)}
        >
          <GripVertical size={13} className="mover" aria-hidden />
          <div className="what"><b>{titleOf(run)}</b><span>{ago(run.submitted)}</span></div>
          <button type="button" className="bare" disabled={i === 0} aria-label={`${t("moveUp")}: ${titleOf(run)}`} onClick={() => move(run.id, i - 1)}><ArrowUp size={13} /></button>
          <button type="button" className="bare" disabled={i === runs.length - 1} aria-label={`${t("moveDown")}: ${titleOf(run)}`} onClick={() => move(run.id, i + 1)}><ArrowDown size={13} /></button>
          <button type="button" className="bare" aria-label={`${t("cancel")}: ${titleOf(run)}`} title={t("cancel")} onClick={() => act(api.cancel(run.id))}><X size={14} /></button>
        </li>
      ))}
    </ol>
  )
}

/** All cells of a sweep that wait: its sheet, and the button that cancels them. */
function WaitingSweep({ first, runs }: { first: Run; runs: Run[] }) {
  const t = useT()
  const title = t("sweepOf", { name: titleOf(first) })
  return (
    <li className="run">
      <Grid3x3 size={13} aria-hidden />
      <button type="button" className="bare what" onClick={() => openSheet(first.sweep!)}><b>{title}</b><span>{t("cellsWait", { n: runs.filter(({ sweep }) => sweep === first.sweep).length })}</span></button>
      <button type="button" className="bare" aria-label={`${t("stopSweep")}: ${title}`} title={t("stopSweep")} onClick={() => act(api.cancelSweep(first.sweep!))}><X size={14} /></button>
    </li>
  )
}

const FEW = 5

function useLatest(): Run[] {
  const finished = useRuns(({ finished }) => finished)
  const [runs, setRuns] = useState<Run[]>([])
  useEffect(() => void api.runs(undefined, 4 * FEW).then((found) => setRuns(found.filter(({ state }) => hasEnded(state)).slice(0, FEW)), () => {}), [finished])
  return runs
}

function Ended({ run }: { run: Run }) {
  const t = useT()
  return (
    <li className={`run ${run.state}`}>
      <div className="what">
        <b>{titleOf(run)}</b>
        <span>{t(`state_${run.state}`)}{run.seconds !== null && ` · ${t("seconds", { n: seconds(run.seconds) })}`}</span>
        {run.error && <em>{run.error.message}</em>}
      </div>
      <button type="button" className="bare" aria-label={`${t("retry")}: ${titleOf(run)}`} title={t("retry")} onClick={() => act(api.retry(run.id))}><RotateCcw size={13} /></button>
    </li>
  )
}

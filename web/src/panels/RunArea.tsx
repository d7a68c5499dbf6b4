// The right end of the bar: what a run would do, run, stop.
import "./panels.css"
import { ArrowRightToLine, ChevronDown, ListOrdered, Play, Square } from "lucide-react"
import { useEffect } from "react"
import { useT } from "../app/i18n"
import { Item, Line, Menu } from "../app/Menu"
import { perform, register } from "../keys/commands"
import { Combination } from "../keys/Keys"
import { interrupt, submit } from "../run/actions"
import { isActive } from "../run/frames"
import { useRuns } from "../run/store"
import type { Sweep } from "../api/types"
import { useDocument } from "../document/store"
import { axesOf, cellsOf } from "../document/sweeps"
import { openSheet, standing, useSweep } from "../sweeps/store"
import { useTyping } from "../typing/store"
import { bytes } from "./numbers"
import { showPanel } from "./store"

export function RunArea() {
  const t = useT()
  useEffect(
    () =>
      register([
        { id: "run.run", words: "run", section: "run", keys: ["Mod+Enter"], inFields: true, run: () => void submit() },
        {
          id: "run.interrupt", words: "interrupt", section: "run", keys: ["Mod+Alt+Enter"], inFields: true, run: () => void interrupt(),
          when: () => isActive(useRuns.getState().current) || useRuns.getState().running.length > 0,
        },
      ]),
    [],
  )
  useEffect(() => useRuns.subscribe((now, before) => {
    const failed = now.current?.state === "failed" && before.current?.id === now.current.id && before.current.state !== "failed"
    if (failed || (now.refused !== before.refused && now.refused.length)) showPanel("problems") // the keyboard stays where it is
  }), [])
  return (
    <div className="run-area">
      <Forecast />
      <Going />
      <div className="split">
        <button type="button" className="button primary" onClick={() => void submit()}><Play size={14} /><RunWords /></button>
        <Menu button={<button type="button" className="button primary" aria-label={t("runMore")} title={t("runMore")}><ChevronDown size={14} /></button>}>
          <Item icon={<ArrowRightToLine size={14} />} aside={<Combination written="Mod+Shift+Enter" />} run={() => perform("run.toSelected")}>{t("runToSelected")}</Item>
          <Item icon={<Square size={14} />} aside={<Combination written="Mod+Alt+Enter" />} run={() => perform("run.interrupt")}>{t("interrupt")}</Item>
          <Line />
          <Item icon={<ListOrdered size={14} />} aside={<Combination written="Alt+1" />} run={() => showPanel("queue")}>{t("panel_queue")}</Item>
        </Menu>
      </div>
    </div>
  )
}

function RunWords() {
  const t = useT()
  const cells = useDocument(({ root }) => (Object.keys(axesOf(root)).length ? cellsOf(root) : null))
  return cells === null ? <>{t("run")}<Count /></> : t("runSweep", { n: cells })
}

/** "3 of 6 to run", on the button itself. */
function Count() {
  const t = useT()
  const plan = useTyping(({ plan }) => plan)
  const active = useRuns(({ current }) => isActive(current))
  if (!plan || active) return null
  const undecided = Object.values(plan.nodes).includes("undecided")
  const all = plan.runs + plan.cached
  const text = plan.runs || undecided ? t("willRunOf", { n: plan.runs, all }) : t("allCached")
  return <small title={undecided ? t("notKnownYet") : undefined}>{text}{undecided && " +"}</small>
}

function Forecast() {
  const t = useT()
  const memory = useTyping(({ plan }) => plan?.memory)
  if (!memory?.peak) return null
  const size = bytes(memory.peak)
  return (
    <span className="forecast" title={t("peakMemory", { size, weights: bytes(memory.weights) })}>{memory.at_least ? t("atLeast", { size }) : `≈ ${size}`}</span>
  )
}

function GoingSweep({ sweep }: { sweep: Sweep }) {
  const t = useT()
  const { done, all } = standing(sweep)
  const text = t("cellsDone", { done, all })
  return (
    <>
      <button type="button" className="bare going" onClick={() => openSheet(sweep.id)} role="progressbar" aria-valuenow={done} aria-valuemax={all} aria-label={text}>
        {text}<i style={{ width: `${(100 * done) / all}%` }} />
      </button>
      <button type="button" className="button" onClick={() => void interrupt()}><Square size={12} />{t("interrupt")}</button>
    </>
  )
}

/** How far the run is, with the button that stops it. */
function Going() {
  const t = useT()
  const active = useRuns(({ current }) => isActive(current))
  const state = useRuns(({ current }) => current?.state)
  const done = useRuns(({ current }) => current?.done ?? 0)
  const total = useRuns(({ current }) => current?.total ?? 0)
  const eta = useRuns(({ progress }) => Math.max(0, ...Object.values(progress).map(({ eta }) => eta ?? 0)))
  const behind = useRuns(({ waiting }) => waiting.length)
  const sweep = useSweep(({ sweep }) => sweep)
  if (sweep && !sweep.ended) return <GoingSweep sweep={sweep} />
  if (!active) return null
  const text = state === "queued" ? t("waiting") : total ? t("nodesDone", { done, all: total }) : t("starting")
  return (
    <>
      <button type="button" className="bare going" onClick={() => showPanel("queue")} role="progressbar" aria-valuenow={done} aria-valuemax={total} aria-label={text}>
        {text}{eta > 1 && ` · ${t("left", { n: Math.ceil(eta) })}`}{behind > 0 && <b>+{behind}</b>}
        <i style={{ width: `${total ? (100 * done) / total : 0}%` }} />
      </button>
      <button type="button" className="button" onClick={() => void interrupt()}><Square size={12} />{t("interrupt")}</button>
    </>
  )
}

// At the right end of a card's head: what a run would do with the node, what it is doing, how long it took; below the card what it makes meanwhile.
import { Check, CircleDashed, Feather, Loader, Repeat2, TriangleAlert, Zap } from "lucide-react"
import { memo } from "react"
import { useT } from "../app/i18n"
import { placed } from "../document/graphs"
import { roundsOf } from "../document/frames"
import type { NodeDoc } from "../document/model"
import type { Seen } from "../document/modes"
import { useDocument } from "../document/store"
import { isActive } from "../run/frames"
import { useRuns } from "../run/store"
import { useTyping } from "../typing/store"

export const CardState = memo(function CardState({ id: node }: { id: string }) {
  const id = useDocument(({ way }) => placed(way, node))
  const state = useRuns(({ nodes }) => nodes[id])
  return (
    <>
      {state === "running" ? <Running id={id} /> : <Resting id={id} />}
      {state === "running" && <Meanwhile id={id} />}
    </>
  )
})

/** How often a frame runs, as far as that is known before it does. */
export function Times({ id, node }: { id: string; node: NodeDoc }) {
  const t = useT()
  const at = useDocument(({ way }) => placed(way, id))
  const running = useRuns(({ nodes }) => nodes[at] === "running")
  if (running) return null
  if (node.loop) {
    const said = t("frameLoop", { n: node.loop.most ?? "?" })
    return <span className="times" role="img" title={said} aria-label={said}><Repeat2 size={12} />≤ {node.loop.most ?? "?"}</span>
  }
  const n = roundsOf(node)
  const said = n === null ? t("frameEach") : t("frameTimes", { n })
  return <span className="times" role="img" title={said} aria-label={said}>× {n ?? "n"}</span>
}

function Running({ id }: { id: string }) {
  const t = useT()
  const progress = useRuns(({ progress }) => progress[id])
  const round = useRuns(({ round }) => round[id])
  if (!progress) return <span className="state running" role="status" aria-label={t("state_running")}><Loader size={13} className="spin" /></span>
  const { step, steps, eta } = progress
  const inner = round && t("inRound", { step: round.step, steps: round.steps })
  return (
    <span className="state running" role="progressbar" aria-label={t("state_running")} aria-valuenow={step} aria-valuemin={0} aria-valuemax={steps} title={inner}>
      {step}/{steps}{round && <small> · {round.step}/{round.steps}</small>}{eta !== null && eta >= 0.5 && ` · ${t("seconds", { n: Math.ceil(eta) })}`}
      <i style={{ width: `${(100 * step) / Math.max(1, steps)}%` }} />
    </span>
  )
}

function Resting({ id }: { id: string }) {
  const t = useT()
  const state = useRuns(({ nodes }) => nodes[id])
  const why = useRuns(({ why }) => why[id])
  const took = useRuns(({ took }) => took[id])
  const active = useRuns(({ current }) => isActive(current))
  const planned = useTyping(({ plan }) => plan?.nodes[id])
  if (state === "failed") return <span className="state failed" title={why}><TriangleAlert size={14} aria-label={why ?? t("state_failed")} /></span>
  if (state === "done" && (active || planned !== "run")) {
    const text = took === undefined ? null : took < 0.1 ? t("milliseconds", { n: Math.max(1, Math.round(1000 * took)) }) : t("seconds", { n: took < 1 ? took.toFixed(2) : took.toFixed(1) })
    return <span className="state done" title={text ? t("tookNow", { time: text }) : undefined}>{text ?? <Check size={13} aria-label={t("state_done")} />}</span>
  }
  if (state === "cached" && active) return <Sign name="cached" />
  if (planned === "run") return <span className={`state todo${active ? " soon" : ""}`} title={t("willRun")} aria-label={t("willRun")} role="img" />
  return planned ? <Sign name={planned} /> : null
}

const SIGNS = { cached: Zap, free: Feather, undecided: CircleDashed } as const

function Sign({ name }: { name: keyof typeof SIGNS }) {
  const t = useT()
  const Icon = SIGNS[name]
  return <span className={`state ${name}`} title={t(name)}><Icon size={13} aria-label={t(name)} /></span>
}

/** In place of a state, of a node that does not run. */
export function ModeSign({ id, mode }: { id: string; mode: Seen }) {
  const t = useT()
  const cause = useTyping(({ check }) => check?.off[id])
  const why = mode === "off" && cause ? t("leftOutWith", { node: cause }) : t(mode === "bypass" ? "bypassHelp" : "muteHelp")
  return <span className="mode" title={why}>{t(`mode_${mode}`)}</span>
}

/** The picture so far, or the text. */
function Meanwhile({ id }: { id: string }) {
  const preview = useRuns(({ previews }) => previews[id])
  const text = useRuns(({ texts }) => texts[id])
  if (preview) return <img className="meanwhile pixels" src={preview} alt="" />
  return text ? <p className="meanwhile">{text}</p> : null
}

// At the right end of a card's head: what a run would do with the node, what it is doing, how long it took.
import { Check, Loader, Zap } from "lucide-react"
import { memo } from "react"
import { useT } from "../app/i18n"
import { useRuns } from "../run/store"
import { useTyping } from "../typing/store"

export const CardState = memo(function CardState({ id }: { id: string }) {
  const t = useT()
  const state = useRuns(({ nodes }) => nodes[id])
  const progress = useRuns(({ progress }) => progress[id])
  const took = useRuns(({ took }) => took[id])
  const planned = useTyping(({ plan }) => plan?.nodes[id])
  if (state === "running")
    return (
      <span className="state running" role="progressbar" aria-valuenow={progress?.step} aria-valuemax={progress?.steps}>
        {progress ? `${progress.step}/${progress.steps}${progress.eta ? ` · ${t("seconds", { n: Math.ceil(progress.eta) })}` : ""}` : <Loader size={13} className="spin" />}
        {progress && <i style={{ width: `${(100 * progress.step) / Math.max(1, progress.steps)}%` }} />}
      </span>
    )
  if (planned === "cached" || (state === "cached" && planned !== "run")) return <span className="state cached" title={t("cached")}><Zap size={13} aria-label={t("cached")} /></span>
  if (planned === "run") return <span className="state todo" title={t("willRun")} aria-label={t("willRun")} />
  if (state === "done" && took !== undefined) return <span className="state">{t("seconds", { n: took < 1 ? took.toFixed(2) : took.toFixed(1) })}</span>
  if (state === "done") return <span className="state"><Check size={13} /></span>
  return null
})

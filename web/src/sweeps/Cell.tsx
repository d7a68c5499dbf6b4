// One cell of a sheet: what its run gave, small; while it has given nothing, what it is at.
import { Ban, CircleAlert, Clock, Loader } from "lucide-react"
import { outputUrl, valueUrl } from "../api/client"
import type { RunOutput, SweepCell } from "../api/types"
import { useT } from "../app/i18n"
import { firstWords, kindOf, pictureCount } from "../results/kinds"
import { view } from "../results/view"

const ICONS = { queued: Clock, running: Loader, cancelled: Ban } as const

const SMALL = 256 // pixels across of a picture that is shown as it is

interface Props {
  cell: SweepCell
  output: string
  labels: string // what is its own, in words
  size: number // pixels of a picture's longer side
  onOpen?: () => void // instead of the result alone
}

export function Cell({ cell, output, labels, size, onOpen }: Props) {
  const t = useT()
  const found = cell.outputs[output]
  const { state, error } = cell
  const said = state ? (error?.message ?? t(`state_${state}`)) : t("sweepGone")
  if (found && cell.run) {
    const words = kindOf(found.type) === "picture" ? "" : firstWords(found) || found.type
    const open = onOpen ?? (() => view({ run: cell.run!, output, key: found.key, type: found.type, summary: found.summary, title: labels }))
    return (
      <button type="button" className="cell nodrag" onClick={open} aria-label={words ? `${labels}: ${words}` : labels} title={labels}>
        {words ? <span className="words">{words}</span> : <img className="pixels" src={pictureOf(found, cell.run, output, 2 * size)} alt="" loading="lazy" />}
      </button>
    )
  }
  const Icon = state && state in ICONS ? ICONS[state as keyof typeof ICONS] : CircleAlert
  return (
    <span className={`cell ${state ?? "gone"}`} role="img" aria-label={t("cellOf", { labels, state: said })} title={said}>
      <Icon size={14} className={state === "running" ? "spin" : ""} />
      {error && !onOpen && <em>{error.message}</em>}
    </span>
  )
}

/** Where the picture is that stands for an output: of several pictures all of them on one sheet. */
function pictureOf(found: RunOutput, run: string, output: string, size: number): string {
  if (pictureCount(found) > 1) return valueUrl(found.key, "sheet", 0, size)
  return Number(found.summary.width) <= SMALL ? outputUrl(run, output) : valueUrl(found.key, "thumbnail", 0, size)
}

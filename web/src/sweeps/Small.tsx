// In the place of a result: the sheet so far, small; it opens large.
import { Maximize2 } from "lucide-react"
import type { Sweep } from "../api/types"
import { useT } from "../app/i18n"
import { Grid } from "./Sheet"
import { openSheet, standing } from "./store"

const [WIDTH, HEIGHT] = [200, 106] // pixels of the room that the labels leave
const GAP = 4
const [SMALLEST, LARGEST] = [22, 96]

export default function Small({ sweep, output }: { sweep: Sweep; output: string }) {
  const t = useT()
  const { done, failed, all } = standing(sweep)
  const size = Math.max(SMALLEST, Math.min(LARGEST, Math.floor(WIDTH / sweep.columns.length) - GAP, Math.floor(HEIGHT / sweep.rows.length) - GAP))
  return (
    <div className="result sweep-small nowheel" draggable={false}>
      <Grid sweep={sweep} output={output} size={size} onOpen={() => openSheet(sweep.id)} />
      <footer>
        <span role="status">{t("cellsDone", { done, all })}{failed > 0 && ` · ${t("cellsFailed", { n: failed })}`}</span>
        <button type="button" className="bare nodrag" aria-label={t("openSheet", { name: output })} title={t("openSheet", { name: output })} onClick={() => openSheet(sweep.id)}><Maximize2 size={13} /></button>
      </footer>
    </div>
  )
}

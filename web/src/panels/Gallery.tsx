// Outputs of all runs, newest first, of this graph or of all; two of them can be compared.
import "../results/results.css"
import { Columns2 } from "lucide-react"
import { useCallback, useState } from "react"
import { api, valueUrl } from "../api/client"
import type { GalleryItem } from "../api/types"
import { useT } from "../app/i18n"
import { useDocument } from "../document/store"
import { dragValue } from "../results/drag"
import { aloud, firstWords, kindOf, pictureCount } from "../results/kinds"
import { short } from "../results/scale"
import { compare, view } from "../results/view"
import { More } from "./More"
import { ago } from "./numbers"
import { usePages } from "./pages"

const TYPES = ["Image", "Text", "Score", "Labels", "HeatMap", "Embedding"]

export default function Gallery() {
  const t = useT()
  const graph = useDocument(({ name }) => name)
  const [own, setOwn] = useState(false)
  const [type, setType] = useState("")
  const [chosen, setChosen] = useState<GalleryItem[]>([])
  const ask = useCallback(
    (before?: number) => api.gallery({ before, limit: 40, ...(own && { name: graph }), types: type ? [type, `list[${type}]`] : [] }),
    [own, graph, type],
  )
  const { items, more, next } = usePages(ask)
  const choose = (item: GalleryItem): void =>
    setChosen((now) => (now.some(({ number }) => number === item.number) ? now.filter(({ number }) => number !== item.number) : [...now, item].slice(-2)))
  return (
    <div className="gallery">
      <div className="filters">
        <select aria-label={t("thisGraph")} value={own ? "own" : ""} onChange={({ target }) => setOwn(target.value === "own")}>
          <option value="">{t("allGraphs")}</option>
          <option value="own">{t("thisGraph")}</option>
        </select>
        <select aria-label={t("allTypes")} value={type} onChange={({ target }) => setType(target.value)}>
          <option value="">{t("allTypes")}</option>
          {TYPES.map((name) => <option key={name}>{name}</option>)}
        </select>
        {chosen.length > 0 && (
          <button type="button" className="button small" disabled={chosen.length < 2} onClick={() => compare(chosen[0]!, chosen[1]!)}>
            <Columns2 size={12} />{chosen.length < 2 ? t("chosen", { n: chosen.length }) : t("compare")}
          </button>
        )}
      </div>
      {!items.length && <p className="nothing">{t("noOutputs")}</p>}
      <ul className="tiles">
        {items.map((item) => <Tile key={item.number} item={item} chosen={chosen.some(({ number }) => number === item.number)} choose={() => choose(item)} />)}
      </ul>
      {more && items.length > 0 && <More next={next} />}
    </div>
  )
}

function Tile({ item, chosen, choose }: { item: GalleryItem; chosen: boolean; choose: () => void }) {
  const t = useT()
  const title = `${item.title || item.name} · ${item.output}`
  const picture = kindOf(item.type) === "picture"
  const words = picture ? "" : firstWords(item) || best(item)
  const count = picture ? pictureCount(item) : 1
  const name = aloud(t("enlarge", { name: title }), !picture ? `${item.type} ${words}` : count > 1 ? String(count) : "")
  return (
    <li className={chosen ? "chosen" : ""}>
      <button type="button" className="tile" draggable onDragStart={(event) => dragValue(event, item, item)} onClick={() => view(item)} title={`${title}\n${item.finished ? ago(item.finished) : ""}`} aria-label={name}>
        {picture ? (
          <><img className="pixels" src={valueUrl(item.key, "thumbnail", 0, 256)} alt="" loading="lazy" draggable={false} />{count > 1 && <b>{count}</b>}</>
        ) : (
          <span className="words"><em>{item.type}</em> {words}</span>
        )}
      </button>
      <input type="checkbox" checked={chosen} onChange={choose} aria-label={`${t("choose")}: ${title}`} title={t("choose")} />
    </li>
  )
}

/** What a tile says of what is neither picture nor text: the best label, else the shape. */
function best({ summary }: GalleryItem): string {
  const { best, shape, values } = summary as { best?: { label: string }[][]; shape?: number[]; values?: number[][] }
  return best?.[0]?.[0]?.label ?? (values?.length === 1 && values[0]?.length === 1 ? short(values[0][0]) : (shape?.join(" × ") ?? ""))
}

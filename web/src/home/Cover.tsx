// What a graph gave last, or as it comes: a picture with its text, or either.
import { Workflow } from "lucide-react"
import { uploadUrl, valueUrl } from "../api/client"
import type { Cover as Shown, Covers } from "../api/types"

const SIDE = 256 // pixels of a thumbnail

export function Cover({ cover, covers }: { cover: Shown | undefined; covers: Covers | null }) {
  if (!cover || !covers) return <div className="cover empty">{covers && <Workflow size={26} strokeWidth={1.4} />}</div>
  const text = cover.text && <p>{cover.text}</p>
  if (cover.tile !== undefined) return <div className="cover"><span className="tile" style={tile(cover.tile, covers)} />{text}</div>
  const source = cover.key ? valueUrl(cover.key, "thumbnail", 0, SIDE) : cover.upload && uploadUrl(cover.upload)
  return <div className={source ? "cover" : "cover words"}>{source && <img src={source} alt="" loading="lazy" />}{text}</div>
}

/** One tile of the sheet, at any size. */
function tile(place: number, { sheet, columns, rows }: Covers): React.CSSProperties {
  const part = (at: number, of: number) => (of > 1 ? (100 * at) / (of - 1) : 0)
  return {
    backgroundImage: `url("${sheet}")`, backgroundSize: `${100 * columns}% ${100 * rows}%`,
    backgroundPosition: `${part(place % columns, columns)}% ${part(Math.floor(place / columns), rows)}%`,
  }
}

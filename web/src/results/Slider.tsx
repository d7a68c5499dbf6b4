// Two pictures in one place, with a boundary between them that moves.
import { useState } from "react"
import { outputUrl } from "../api/client"
import { useT } from "../app/i18n"
import { type Sight, Stage } from "./Stage"
import type { Viewed } from "./view"

interface Props {
  left: Viewed
  right: Viewed
  sight: Sight
  setSight: (change: (before: Sight) => Sight) => void
}

export function Slider({ left, right, sight, setSight }: Props) {
  const t = useT()
  const [at, setAt] = useState(50)
  return (
    <figure className="side-picture compared">
      <Stage sight={sight} setSight={setSight} label={t("slider")}>
        <img className="pixels" src={outputUrl(right.run, right.output)} alt={right.output} draggable={false} />
        <img className="pixels above" src={outputUrl(left.run, left.output)} alt={left.output} draggable={false} style={{ clipPath: `inset(0 ${100 - at}% 0 0)` }} />
        <i className="boundary" style={{ left: `${at}%` }} />
      </Stage>
      <figcaption>
        <span>{left.title || left.output}</span>
        <input type="range" min={0} max={100} step={0.5} value={at} aria-label={t("sliderAt")} onChange={({ target }) => setAt(Number(target.value))} />
        <span>{right.title || right.output}</span>
      </figcaption>
    </figure>
  )
}

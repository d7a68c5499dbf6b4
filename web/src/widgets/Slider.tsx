// A number between two near bounds: dragged along, or written beside.
import { Slider as Track } from "radix-ui"
import { useRef } from "react"
import type { WidgetProps } from "./kind"
import { rangeOf, Written } from "./NumberBox"
import { nudged, stepOf, tidy } from "./numbers"

export function Slider({ id, label, port, shown, isDefault, change }: WidgetProps) {
  const range = rangeOf(port)
  const { low = 0, high = 1 } = range
  const step = stepOf(range)
  const number = typeof shown === "number" ? shown : null
  const root = useRef<HTMLSpanElement>(null)
  return (
    <span className={`slider${isDefault ? " default" : ""}`}>
      <Track.Root
        ref={root} className="track" min={low} max={high} step={step} value={[number ?? low]} onValueChange={([value]) => change(tidy(value!, step), true)}
        onWheel={({ deltaY }) => deltaY && root.current?.contains(document.activeElement) && change(nudged(number, -Math.sign(deltaY), range), true)}
      >
        <Track.Track className="groove"><Track.Range className="filled" /></Track.Track>
        <Track.Thumb className="thumb" aria-label={`${label} · ${low}–${high}`} />
      </Track.Root>
      <span className={`control number narrow${isDefault ? " default" : ""}`}>
        <Written id={id} label={label} number={number} range={range} step={(by) => change(nudged(number, by, range), true)} change={change} />
      </span>
    </span>
  )
}

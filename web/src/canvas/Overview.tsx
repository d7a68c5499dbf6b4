// The map of the whole graph, while a part of it is out of view; else it would say nothing, and lie over cards.
import { MiniMap, type Node, type ReactFlowState, useStore } from "@xyflow/react"
import { useEffect, useRef } from "react"
import { useT } from "../app/i18n"
import type { Seen } from "../document/modes"
import { fit } from "./stage"

const SLACK = 4 // px

export function Overview() {
  const t = useT()
  const needed = useStore(somethingOutside)
  useWholeStaysInView(needed)
  return <MiniMap className={needed ? "" : "unneeded"} pannable zoomable nodeColor={colourOfBox} nodeStrokeWidth={0} maskColor="var(--veil)" ariaLabel={t("minimap")} style={SIZE} />
}

/** A panel or a notice that opens takes its room from the surface: what was wholly in view stays so, and is large again when the room is back. */
function useWholeStaysInView(outside: boolean): void {
  const width = useStore(({ width }) => width)
  const height = useStore(({ height }) => height)
  const before = useRef({ width, height, outside, shrunk: false })
  useEffect(() => {
    const was = before.current
    const shrank = (width < was.width || height < was.height) && !was.outside && outside
    const grew = (width > was.width || height > was.height) && was.shrunk && !outside
    before.current = { width, height, outside, shrunk: grew ? false : shrank || was.shrunk }
    if (shrank || grew) fit()
  }, [width, height, outside])
}

const SIZE = { width: 160, height: 120 }

const somethingOutside = ({ nodes, transform: [x, y, zoom], width, height }: ReactFlowState): boolean =>
  nodes.some(({ position, width: wide = 0, height: high = 0 }) => {
    const left = position.x * zoom + x
    const top = position.y * zoom + y
    return left < -SLACK || top < -SLACK || left + wide * zoom > width + SLACK || top + high * zoom > height + SLACK
  })

const MODES: Record<Seen, string> = { mute: "var(--sunken)", off: "var(--sunken)", bypass: "color-mix(in srgb, var(--dye-violet) 45%, var(--surface))" }

const colourOfBox = ({ selected, type, data }: Node): string =>
  selected ? "var(--accent)" : data.mode ? MODES[data.mode as Seen] : type === "groupBox" ? "var(--sunken)" : "var(--line)"

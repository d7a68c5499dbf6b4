// A wire in the colour of what flows, with an edge in the colour of the ground so that it is told from what it crosses; its type and shape when looked at.
import { BaseEdge, type Edge, EdgeLabelRenderer, type EdgeProps, Position, getBezierPath } from "@xyflow/react"
import { memo, useState } from "react"
import { useTyping } from "../typing/store"
import type { Point } from "../document/model"
import { factsOf } from "./facts"
import { pathThrough } from "./routes"
import { useStage } from "./stage"

/** How it is drawn, by what goes through it. */
export const lookOf = (data: Edge["data"]): string => `${data?.thin ? " thin" : ""}${data?.off ? " off" : ""}`

/** Its path, and a place for a label: around the cards in its way as it was routed, unless one of its cards is being dragged. */
export function wirePath(route: Point[] | undefined, [sourceX, sourceY]: Point, [targetX, targetY]: Point): [path: string, x: number, y: number] {
  const [direct, x, y] = getBezierPath({ sourceX, sourceY, targetX, targetY, sourcePosition: Position.Right, targetPosition: Position.Left })
  const stands = route && near1(route[0]!, [sourceX, sourceY]) && near1(route.at(-1)!, [targetX, targetY])
  return [stands ? pathThrough(route) : direct, x, y]
}

export const Wire = memo(function Wire({ id, sourceX, sourceY, targetX, targetY, data, selected, interactionWidth }: EdgeProps) {
  const [path, x, y] = wirePath(data?.route as Point[] | undefined, [sourceX, sourceY], [targetX, targetY])
  const [near, setNear] = useState(false)
  const under = useStage(({ over }) => over === id)
  return (
    <g onPointerEnter={() => setNear(true)} onPointerLeave={() => setNear(false)} className={`wire${selected || near || under ? " looked" : ""}${lookOf(data)}`}>
      <path d={path} className="wire-edge" />
      <BaseEdge id={id} path={path} interactionWidth={interactionWidth} style={{ stroke: data?.colour as string }} />
      {(near || selected) && <Facts id={id} x={x} y={y} />}
    </g>
  )
})

const near1 = ([x, y]: Point, [otherX, otherY]: Point): boolean => Math.abs(x - otherX) < 1.5 && Math.abs(y - otherY) < 1.5

function Facts({ id, x, y }: { id: string; x: number; y: number }) {
  const edge = useTyping(({ edges }) => edges[id])
  if (!edge) return null
  return <EdgeLabelRenderer><div className="facts" style={{ transform: `translate(-50%, -50%) translate(${x}px, ${y}px)` }}>{factsOf(edge)}</div></EdgeLabelRenderer>
}

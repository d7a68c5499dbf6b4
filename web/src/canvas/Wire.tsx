// A wire in the colour of what flows; its type and shape when looked at.
import { BaseEdge, EdgeLabelRenderer, type EdgeProps, getBezierPath } from "@xyflow/react"
import { memo, useState } from "react"
import { useTyping } from "../typing/store"

export const Wire = memo(function Wire({ id, sourceX, sourceY, targetX, targetY, sourcePosition, targetPosition, data, selected, interactionWidth }: EdgeProps) {
  const [path, x, y] = getBezierPath({ sourceX, sourceY, targetX, targetY, sourcePosition, targetPosition })
  const [near, setNear] = useState(false)
  return (
    <g onPointerEnter={() => setNear(true)} onPointerLeave={() => setNear(false)}>
      <BaseEdge id={id} path={path} interactionWidth={interactionWidth} style={{ stroke: data?.colour as string }} className={selected ? "wire selected" : "wire"} />
      {(near || selected) && <Facts id={id} x={x} y={y} />}
    </g>
  )
})

function Facts({ id, x, y }: { id: string; x: number; y: number }) {
  const edge = useTyping(({ edges }) => edges[id])
  if (!edge) return null
  const shape = edge.shape?.map((n) => n ?? "?").join("×")
  return (
    <EdgeLabelRenderer>
      <div className="facts" style={{ transform: `translate(-50%, -50%) translate(${x}px, ${y}px)` }}>
        {edge.type}{shape ? ` ${shape}` : ""}{edge.dtype ? ` ${edge.dtype}` : ""}
      </div>
    </EdgeLabelRenderer>
  )
}

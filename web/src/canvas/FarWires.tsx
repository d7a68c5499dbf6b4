// All wires for one who looks from far: one path for each look of theirs. It does not hear the pointer, and a thousand of them cost what one costs.
import { type Edge, ViewportPortal } from "@xyflow/react"
import { useMemo } from "react"
import type { Point } from "../document/model"
import { endOf, useStage } from "./stage"
import { lookOf, wirePath } from "./Wire"

const drawn = new WeakMap<Edge, { ends: string; path: string }>()

function pathOf(edge: Edge, from: Point, to: Point): string {
  const ends = `${from}>${to}`
  const before = drawn.get(edge)
  if (before?.ends === ends) return before.path
  const [path] = wirePath(edge.data?.route as Point[] | undefined, from, to)
  drawn.set(edge, { ends, path })
  return path
}

export function FarWires() {
  const nodes = useStage(({ nodes }) => nodes)
  const edges = useStage(({ edges }) => edges)
  const over = useStage(({ over }) => over)
  const looks = useMemo(() => {
    const byId = new Map(nodes.map((node) => [node.id, node]))
    const found = new Map<string, { colour: string; name: string; paths: string[] }>()
    for (const edge of edges) {
      const from = endOf(byId.get(edge.source), edge.sourceHandle, "source")
      const to = endOf(byId.get(edge.target), edge.targetHandle, "target")
      if (!from || !to) continue
      const colour = edge.data?.colour as string
      const name = `wire${edge.id === over ? " looked" : ""}${lookOf(edge.data)}`
      const key = `${colour} ${name}`
      const look = found.get(key) ?? { colour, name, paths: [] }
      found.set(key, look)
      look.paths.push(pathOf(edge, from, to))
    }
    return [...found]
  }, [nodes, edges, over])
  return (
    <ViewportPortal>
      <svg className="far-wires" aria-hidden>
        {looks.map(([key, { colour, name, paths }]) => <g key={key} className={name}><path className="react-flow__edge-path" d={paths.join("")} style={{ stroke: colour }} /></g>)}
      </svg>
    </ViewportPortal>
  )
}

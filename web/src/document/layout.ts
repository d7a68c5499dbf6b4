// Places for nodes that have none: left to right, along the wires.
import { graphlib, layout as arrange } from "@dagrejs/dagre"
import { type Doc, INPUTS, type Point, links } from "./model"

export interface Size {
  width: number
  height: number
}

/** Where every card goes. sizes: of each, the cards of the graph's inputs and outputs among them. */
export function arranged(doc: Doc, sizes: Record<string, Size>): Record<string, Point> {
  const graph = new graphlib.Graph({ multigraph: true })
  graph.setGraph({ rankdir: "LR", nodesep: 26, edgesep: 9, ranksep: 54, marginx: 0, marginy: 0 })
  graph.setDefaultEdgeLabel(() => ({}))
  for (const [name, { width, height }] of Object.entries(sizes)) graph.setNode(name, { width, height })
  for (const { id, node, to } of links(doc)) {
    const from = node === "input" ? INPUTS : node
    if (from in sizes && to in sizes) graph.setEdge(from, to, { weight: from === INPUTS ? 1 : 3 }, id) // settings may take the longer way
  }
  arrange(graph)
  const at = (name: string): Point => {
    const { x, y } = graph.node(name)
    return [Math.round(x - sizes[name]!.width / 2), Math.round(y - sizes[name]!.height / 2)]
  }
  return Object.fromEntries(Object.keys(sizes).map((name) => [name, at(name)]))
}

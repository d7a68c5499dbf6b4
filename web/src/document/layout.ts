// Places for nodes that have none: left to right, along the wires.
import { graphlib, layout as arrange } from "@dagrejs/dagre"
import { type Doc, INPUTS, OUTPUTS, type Point, links } from "./model"

export interface Size {
  width: number
  height: number
}

const MANY = 120 // cards from which on the careful way takes too long

/** Where every card goes. sizes: of each, the cards of the graph's inputs and outputs among them. */
export function arranged(doc: Doc, sizes: Record<string, Size>): Record<string, Point> {
  if (Object.keys(sizes).length > MANY) return inColumns(doc, sizes)
  const graph = new graphlib.Graph({ multigraph: true })
  graph.setGraph({ rankdir: "LR", nodesep: 26, edgesep: 9, ranksep: 54, marginx: 0, marginy: 0 })
  graph.setDefaultEdgeLabel(() => ({}))
  for (const [name, { width, height }] of Object.entries(sizes)) graph.setNode(name, { width, height })
  for (const { id, node, to } of links(doc)) {
    const from = node === "input" ? INPUTS : node
    if (from in sizes && to in sizes) graph.setEdge(from, to, { weight: from === INPUTS ? 1 : 3 }, id) // settings may take the longer way
  }
  standApart(graph, Object.keys(sizes))
  arrange(graph)
  const at = (name: string): Point => {
    const { x, y } = graph.node(name)
    return [Math.round(x - sizes[name]!.width / 2), Math.round(y - sizes[name]!.height / 2)]
  }
  return Object.fromEntries(Object.keys(sizes).map((name) => [name, at(name)]))
}

const ROOM = 6 // gaps between the graph's own cards while there are no others: enough for one

/** The inputs stand before all and the outputs after, also while no wire says so. */
function standApart(graph: graphlib.Graph, names: string[]): void {
  const lone = (name: string) => graph.hasNode(name) && !graph.nodeEdges(name)?.length
  const [first, last] = [lone(INPUTS), lone(OUTPUTS)]
  const others = names.filter((name) => name !== INPUTS && name !== OUTPUTS)
  for (const name of others) {
    if (first && !graph.inEdges(name)?.length) graph.setEdge(INPUTS, name, { weight: 0 }, "before")
    if (last && !graph.outEdges(name)?.length) graph.setEdge(name, OUTPUTS, { weight: 0 }, "after")
  }
  if (first && last && !others.length) graph.setEdge(INPUTS, OUTPUTS, { minlen: ROOM }, "apart")
}

const ACROSS = 64
const DOWN = 28

/** The quick way: each card in the column after those that feed it, in the order of their middles. Linear in cards and wires. */
function inColumns(doc: Doc, sizes: Record<string, Size>): Record<string, Point> {
  const feeds = new Map(Object.keys(sizes).map((name) => [name, [] as string[]]))
  const waits = new Map(Object.keys(sizes).map((name) => [name, new Set<string>()]))
  for (const { node, to } of links(doc)) {
    const from = node === "input" ? INPUTS : node
    if (from === to || !feeds.has(from) || !feeds.has(to)) continue
    feeds.get(from)!.push(to)
    waits.get(to)!.add(from)
  }
  const column = new Map<string, number>()
  const left = new Map([...waits].map(([name, before]) => [name, before.size]))
  const queue = [...left].flatMap(([name, count]) => (count ? [] : [name]))
  for (const name of queue) column.set(name, name === INPUTS ? 0 : 1)
  for (let name = queue.pop(); name !== undefined; name = queue.pop())
    for (const next of new Set(feeds.get(name))) {
      column.set(next, Math.max(column.get(next) ?? 0, column.get(name)! + 1))
      left.set(next, left.get(next)! - 1)
      if (!left.get(next)) queue.push(next)
    }
  const last = Math.max(...column.values())
  const columns: string[][] = []
  for (const name of Object.keys(sizes)) (columns[name === OUTPUTS ? last + 1 : (column.get(name) ?? 1)] ??= []).push(name) // those of a loop come first
  const places: Record<string, Point> = {}
  let x = 0
  for (const names of columns.filter(Boolean)) {
    const wanted = new Map(names.map((name) => [name, middle([...waits.get(name)!].filter((from) => places[from]).map((from) => places[from]![1]))]))
    names.sort((a, b) => wanted.get(a)! - wanted.get(b)!)
    let y = 0
    for (const name of names) {
      places[name] = [x, y]
      y += sizes[name]!.height + DOWN
    }
    x += Math.max(...names.map((name) => sizes[name]!.width)) + ACROSS
  }
  return places
}

const middle = (all: number[]): number => all.reduce((sum, one) => sum + one, 0) / Math.max(1, all.length)

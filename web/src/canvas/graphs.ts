// Graphs as nodes, on the surface: made of what is selected, gone into and out of, taken apart.
import { navigate } from "wouter/use-browser-location"
import { api } from "../api/client"
import { useCatalogue } from "../app/catalogue"
import { say } from "../app/i18n"
import { tell, tellError } from "../app/toasts"
import { between, enclosed, unpacked } from "../document/enclose"
import { type Way, definitionOf, graphOf, reached, seen } from "../document/graphs"
import { arranged, type Size } from "../document/layout"
import { type Doc, INPUTS, OUTPUTS, type Point, mapLayout, place } from "../document/model"
import { currentDoc, useDocument } from "../document/store"
import { saveNow } from "../document/sync"
import { announce } from "./Announcer"
import { add } from "./edits"
import { outlinesOf } from "./flow"
import { letGo } from "./held"
import { removeBoxes } from "./layout"
import { WIDE, WIDTH } from "./shape"
import { type Rect, bounds, focusCard, rectOf, rects, reveal, select, selectedNodes, selectedPieces, useStage, whenDrawn } from "./stage"

const ASIDE = 64 // px between the nodes of a new graph and the cards of its own

/** The selected node that is a graph, if it is the only one. */
export function selectedGraph(): string | null {
  const [id, ...others] = selectedNodes()
  return id !== undefined && !others.length && graphOf(currentDoc().nodes?.[id]?.op) ? id : null
}

/** Make a definition of what is selected, and one node of it; or say which node is in the way. */
export function makeGraph(): void {
  const ids = selectedPieces()
  const obstacles = between(currentDoc(), selectedNodes()).join(", ")
  if (obstacles) return void tell(say("wouldClose", { nodes: obstacles }), { detail: say("wouldCloseFix", { nodes: obstacles }), bad: true })
  const { x, y, width, height } = bounds(Object.values(rects(ids)))
  const at: Point = [Math.round(x + (width - WIDTH) / 2), Math.round(y + height / 2 - 60)]
  const cards = { [INPUTS]: [x - WIDE - ASIDE, y] as Point, [OUTPUTS]: [x + width + ASIDE, y] as Point }
  const [name] = add((doc) => {
    const [made, name] = enclosed(doc, ids, at, cards)
    return [removeBoxes(made, ids), name]
  })
  whenDrawn(name!, () => reveal(name!))
  announce(say("madeGraph", { name: name! }))
}

/** Show the graph that a node stands for: a definition here, a saved one in an editor of its own. */
export async function enterGraph(id: string): Promise<void> {
  const { root, way } = useDocument.getState()
  const { op } = currentDoc().nodes?.[id] ?? {}
  if (!graphOf(op)) return
  if (definitionOf(root, reached(root, way).address, op)) return goTo([...way, id], INPUTS)
  await saveNow()
  navigate(`/edit/${encodeURIComponent(graphOf(op))}`)
}

/** Show the graph around this one, or one further out: so many levels from the whole. */
export function leaveGraph(depth = useDocument.getState().way.length - 1): void {
  const { way } = useDocument.getState()
  const left = way[depth]
  if (left === undefined) return
  goTo(way.slice(0, depth), left)
  select([left])
}

/** Show another graph of the document, with the keyboard at one of its cards if it is not elsewhere by then. */
export function goTo(way: Way, card: string): void {
  letGo()
  useStage.setState({ nodes: [], edges: [], flow: null }) // another canvas draws it
  useDocument.getState().go(way)
  whenDrawn(card, () => requestAnimationFrame(() => document.activeElement === document.body && focusCard(card)))
}

/** Put what is inside a node in its place, with room for it. */
export async function unpackGraph(id: string): Promise<void> {
  const { root, way } = useDocument.getState()
  const node = currentDoc().nodes?.[id]
  if (!node) return
  if (node.mode || node.each?.length || node.loop) return void tell(say("cannotUnpack", { node: id }), { detail: say("cannotUnpackFix"), bad: true })
  const address = definitionOf(root, reached(root, way).address, node.op)
  try {
    const graph = withPlaces(address ? seen(root, address) : await saved(graphOf(node.op)))
    const card = rectOf(useStage.getState().nodes.find((one) => one.id === id)!)
    const others = useStage.getState().nodes.flatMap((one) => (one.id === id ? [] : [[one.id, rectOf(one)] as const]))
    const found = add((doc) => (doc.nodes?.[id] === node ? unpacked(place(doc, roomFor(sizeOf(graph), card, others)), id, graph, [card.x, card.y]) : [doc, []]))
    announce(say("unpacked", { node: id, n: found.length }))
  } catch (error) {
    tellError(error)
  }
}

/** A saved graph as it is where it is a node: pictures that it has on this server are for when it is opened itself. */
const saved = async (name: string): Promise<Doc> => mapLayout((await api.graph(name)).doc, ({ given: _, ...layout }) => layout)

/** A graph of which every node has a place; the cards of its own have none. */
function withPlaces(graph: Doc): Doc {
  const { [INPUTS]: _, [OUTPUTS]: __, ...places } = { ...arranged(graph, outlinesOf(graph, useCatalogue.getState().nodes ?? {}, null)), ...graph.layout?.nodes }
  return { ...graph, layout: { ...graph.layout, nodes: places } }
}

/** How much room the nodes, notes and groups of a graph take. */
function sizeOf(graph: Doc): Size {
  const sizes = outlinesOf(graph, useCatalogue.getState().nodes ?? {}, null)
  const cards = Object.entries(graph.layout?.nodes ?? {}).flatMap(([id, [x, y]]) => (sizes[id] ? [{ x, y, ...sizes[id] }] : []))
  const boxes = [...Object.values(graph.layout?.notes ?? {}), ...Object.values(graph.layout?.groups ?? {})].map(({ at: [x, y], size: [width, height] }) => ({ x, y, width, height }))
  return cards.length || boxes.length ? bounds([...cards, ...boxes]) : { width: 0, height: 0 }
}

/** Where the other cards go so that something of this size may lie in the place of one: what is to its right goes right, what is below it down. */
function roomFor(size: Size, card: Rect, others: (readonly [string, Rect])[]): Record<string, Point> {
  const [wider, higher] = [Math.max(0, size.width - card.width), Math.max(0, size.height - card.height)]
  return Object.fromEntries(
    others.flatMap(([id, { x, y, width }]): [string, Point][] => {
      if (x >= card.x + card.width) return [[id, [Math.round(x + wider), Math.round(y)]]]
      const under = y >= card.y + card.height && x + width > card.x && x < card.x + Math.max(size.width, card.width)
      return under ? [[id, [Math.round(x), Math.round(y + higher)]]] : []
    }),
  )
}

// What is on the surface now: cards and wires as React Flow has them, what is selected, where one looks. Never part of the document.
import { type Edge, type Node, type ReactFlowInstance, type Viewport, getViewportForBounds } from "@xyflow/react"
import { create } from "zustand"
import type { Catalogue, Check } from "../api/types"
import { isBend } from "../document/bends"
import type { Size } from "../document/layout"
import { type Doc, INPUTS, type Link, type Point } from "../document/model"
import { flowEdges, flowNodes } from "./flow"
import { routed } from "./routes"
import { isOwnCard } from "./shape"

interface Stage {
  nodes: Node[]
  edges: Edge[]
  flow: ReactFlowInstance | null
  element: HTMLElement | null
  over: string | null // the wire that a card is held over
}

export const useStage = create<Stage>()(() => ({ nodes: [], edges: [], flow: null, element: null, over: null }))
const get = useStage.getState

let awaited: ReadonlySet<string> | null = null // what is to be selected once it is drawn

/** Show the document; what is selected stays so. */
export function draw(doc: Doc, nodes: Catalogue["nodes"], check: Check | null): void {
  useStage.setState((before) => {
    let made = flowNodes(doc, nodes, check, new Map(before.nodes.map((node) => [node.id, node])))
    if (awaited) made = withSelection(made, awaited)
    awaited = null
    const edges = flowEdges(doc, nodes, check, new Map(before.edges.map((edge) => [edge.id, edge])))
    const stand = same(made, before.nodes)
    return { nodes: stand ? before.nodes : made, edges: stand && same(edges, before.edges) ? before.edges : withRoutes(doc, made, edges) }
  })
}

/** What is typed into a field moves nothing: then React Flow is told nothing. */
const same = <T>(now: T[], before: T[]): boolean => now.length === before.length && now.every((one, i) => one === before[i])

/** Where a wire ends on a card, on the surface. */
export function endOf(node: Node | undefined, port: string | null | undefined, type: "source" | "target"): Point | null {
  const handle = node?.handles?.find((one) => one.id === port && one.type === type)
  return node && handle ? [node.position.x + handle.x + (type === "source" ? (handle.width ?? 0) : 0), node.position.y + handle.y + (handle.height ?? 0) / 2] : null
}

/** Where these wires are, in the middle of their ends. */
export function middleOf(wires: readonly Link[]): Point {
  const { nodes, edges } = get()
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const ids = new Set(wires.map(({ id }) => id))
  const ends = edges.flatMap(({ id, source, sourceHandle, target, targetHandle }) =>
    ids.has(id) ? [endOf(byId.get(source), sourceHandle, "source"), endOf(byId.get(target), targetHandle, "target")].filter((end) => end !== null) : [],
  )
  const mean = (axis: 0 | 1): number => ends.reduce((sum, end) => sum + end[axis], 0) / Math.max(1, ends.length)
  return [mean(0), mean(1)]
}

/** The wires with their ways around cards; one whose way is as before stays the same object. */
function withRoutes(doc: Doc, nodes: Node[], edges: Edge[]): Edge[] {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const wires = edges.flatMap(({ id, source, sourceHandle, target, targetHandle }) => {
    const from = endOf(byId.get(source), sourceHandle, "source")
    const to = endOf(byId.get(target), targetHandle, "target")
    return from && to ? [{ id, from, to }] : []
  })
  const routes = routed(nodes.filter(({ id, type }) => type !== "groupBox" && !isBend(doc, id)).map(rectOf), wires)
  const ends = new Map(wires.map(({ id, from, to }) => [id, [from, to]]))
  return edges.map((edge) => {
    const way = routes.get(edge.id)
    const route = way && [ends.get(edge.id)![0]!, ...way, ends.get(edge.id)![1]!]
    return JSON.stringify(route) === JSON.stringify(edge.data?.route) ? edge : { ...edge, data: { ...edge.data, route } }
  })
}

const withSelection = <T extends { id: string; selected?: boolean }>(all: T[], ids: ReadonlySet<string>): T[] =>
  all.map((one) => ((one.selected ?? false) === ids.has(one.id) ? one : { ...one, selected: ids.has(one.id) }))

/** Select these and nothing else; what an edit has just added is selected once it is drawn. */
export function select(ids: Iterable<string>, links: Iterable<string> = []): void {
  const wanted = new Set(ids)
  const wires = new Set(links)
  const { nodes, edges } = get()
  if ([...wanted].some((id) => !nodes.some((node) => node.id === id))) awaited = wanted
  useStage.setState({ nodes: withSelection(nodes, wanted), edges: withSelection(edges, wires) })
}

/** Once this card is drawn, and can be looked at. */
export function whenDrawn(id: string, then: () => void): void {
  const here = ({ nodes, flow, element }: Stage) => flow !== null && element !== null && nodes.some((node) => node.id === id)
  if (here(get())) return then()
  const stop = useStage.subscribe((now) => here(now) && (stop(), then()))
}

export const selected = (): string[] => get().nodes.flatMap(({ id, selected }) => (selected ? [id] : []))
export const selectedLinks = (): Link[] => get().edges.flatMap(({ selected, data }) => (selected ? [data?.link as Link] : []))

/** The selected nodes of the graph: no notes, groups or cards of its own. */
export const selectedNodes = (): string[] => selected().filter((id) => !id.includes(":"))
/** What of the selection can be copied, moved apart, deleted. */
export const selectedPieces = (): string[] => selected().filter((id) => !isOwnCard(id))

export interface Rect extends Size {
  x: number
  y: number
}

export const rectOf = ({ position: { x, y }, width = 0, height = 0 }: Node): Rect => ({ x, y, width, height })

export function rects(ids: Iterable<string>): Record<string, Rect> {
  const wanted = new Set(ids)
  return Object.fromEntries(get().nodes.flatMap((node) => (wanted.has(node.id) ? [[node.id, rectOf(node)]] : [])))
}

export function bounds(some: Iterable<Rect>): Rect {
  const all = [...some]
  const x = Math.min(...all.map((one) => one.x))
  const y = Math.min(...all.map((one) => one.y))
  return { x, y, width: Math.max(...all.map((one) => one.x + one.width)) - x, height: Math.max(...all.map((one) => one.y + one.height)) - y }
}

/** Where a point of the window is on the surface. */
export function onSurface(x: number, y: number): Point {
  const at = get().flow?.screenToFlowPosition({ x, y }) ?? { x: 0, y: 0 }
  return [Math.round(at.x), Math.round(at.y)]
}

/** The middle of what is in view, in the window. */
export function middle(): Point {
  const box = get().element?.getBoundingClientRect()
  return box ? [box.x + box.width / 2, box.y + box.height / 2] : [0, 0]
}

const calm = (): boolean => matchMedia("(prefers-reduced-motion: reduce)").matches
export const motion = (): { duration: number } => ({ duration: calm() ? 0 : 140 })

export const FURTHEST = 0.02 // zoom
export const FAR = 0.35 // below this zoom nothing on a card can be read
const NEAR = 0.7 // at which a graph begins that is too large to be read at once
export const FIT = { padding: 0.08, maxZoom: 1.1, minZoom: FURTHEST }

export function fit(ids?: Iterable<string>): void {
  const nodes = ids && [...ids].map((id) => ({ id }))
  void get().flow?.fitView({ ...FIT, nodes, ...motion() })
}

/** What is shown of a graph that is opened: all of it if it can be read so, else its beginning. */
export function firstView({ clientWidth: width, clientHeight: height }: HTMLElement): Viewport {
  const all = get().nodes.map(rectOf)
  const whole = getViewportForBounds(bounds(all), width, height, FIT.minZoom, FIT.maxZoom, FIT.padding)
  if (whole.zoom >= FAR) return whole
  const { x, y } = get().nodes.find(({ id }) => id === INPUTS)!.position
  return { x: 40 - x * NEAR, y: 40 - y * NEAR, zoom: NEAR }
}

const views = new Map<string, Viewport>() // of the graphs that were shown since the page was loaded
export const remember = (place: string, view: Viewport): unknown => views.set(place, view)
export const seenBefore = (place: string): Viewport | undefined => views.get(place)

/** Bring a card into view if it is not; when it is there, `then`. */
function bring(id: string, then: () => void): void {
  const { flow, element, nodes } = get()
  const node = nodes.find((one) => one.id === id)
  if (!flow || !element || !node) return
  const rect = rectOf(node)
  const { x, y, zoom } = flow.getViewport()
  const box = element.getBoundingClientRect()
  const seen = rect.x * zoom + x >= 0 && rect.y * zoom + y >= 0 && (rect.x + rect.width) * zoom + x <= box.width && (rect.y + Math.min(rect.height, 120)) * zoom + y <= box.height
  if (seen) return then()
  void flow.setCenter(rect.x + rect.width / 2, rect.y + rect.height / 2, { zoom: Math.max(zoom, 0.6), ...motion() }).then(() => requestAnimationFrame(then))
}

/** Give a card the keyboard, in view. */
export const focusCard = (id: string): void =>
  bring(id, () => get().element?.querySelector<HTMLElement>(`.react-flow__node[data-id="${CSS.escape(id)}"]`)?.focus({ preventScroll: true }))

/** Select a card and bring it into view; the keyboard stays where it is. */
export function show(id: string): void {
  select([id])
  bring(id, () => undefined)
}

/** Jump to a card: select it, bring it into view, give it the keyboard. */
export function reveal(id: string): void {
  select([id])
  focusCard(id)
}

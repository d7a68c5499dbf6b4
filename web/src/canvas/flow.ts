// The document as React Flow's nodes and edges. Objects stay the same while what they show does, so that only what changed is drawn anew.
import { type Edge, type Node, type NodeHandle, Position } from "@xyflow/react"
import type { Catalogue, Check, NodeType, TypeShape } from "../api/types"
import { say } from "../app/i18n"
import { PORT, REROUTE, before as beforeBends } from "../document/bends"
import { arranged, type Size } from "../document/layout"
import { type Doc, INPUTS, type Link, links, type NodeDoc, OUTPUTS, type Point } from "../document/model"
import { specOf } from "../document/frames"
import { modeOf } from "../document/modes"
import { drawnAs } from "../document/versions"
import { colourOf, isHandle } from "./colours"
import { BEND, HEAD, inputsShape, outputsShape, ROW, shapeOf, unknownShape } from "./shape"

const SOCKET = 12
const BORDER = 1 // of a card: its rows lie within

function handle(id: string, type: "source" | "target", y: number, width: number): NodeHandle {
  const left = type === "target"
  const x = left ? BORDER : width - BORDER
  return { id, type, position: left ? Position.Left : Position.Right, x: x - SOCKET / 2, y: BORDER + y - SOCKET / 2, width: SOCKET, height: SOCKET }
}

/** A card's size, and where its sockets are. */
interface Outline extends Size {
  handles: NodeHandle[]
}

const outlines = new WeakMap<NodeDoc, { spec: NodeType | undefined; modes: Map<string, Outline> }>()

function outlineOf(doc: Doc, name: string, nodes: Catalogue["nodes"], open: boolean, collapsed: boolean): Outline {
  const node = doc.nodes![name]!
  const spec = drawnAs(node, specOf(node, nodes), () => readOutputs(doc, name))
  const outputs = spec ? [] : readOutputs(doc, name)
  const mode = `${open}${collapsed}${outputs}`
  let known = outlines.get(node)
  if (!known || known.spec !== spec) outlines.set(node, (known = { spec, modes: new Map() })) // a graph that is a node may have other ports now
  const before = known.modes.get(mode)
  if (before) return before
  const made = node.op === REROUTE ? bendOutline() : spec ? opOutline(node, spec, open, collapsed) : unknownOutline(node, outputs)
  known.modes.set(mode, made)
  return made
}

function opOutline(node: NodeDoc, spec: NodeType, open: boolean, collapsed: boolean): Outline {
  const { rows, width, height } = shapeOf(node, spec, { open, collapsed })
  if (collapsed)
    return {
      width, height,
      handles: [
        ...Object.keys(spec.inputs).map((port) => handle(port, "target", HEAD / 2, width)),
        ...Object.keys(spec.outputs).map((port) => handle(port, "source", HEAD / 2, width)),
      ],
    }
  const handles = rows.flatMap(({ port, input, output, top }) => [
    ...(input ? [handle(port, "target", top + ROW / 2, width)] : []),
    ...(output ? [handle(output[0], "source", top + ROW / 2, width)] : []),
  ])
  return { width, height, handles }
}

const bendOutline = (): Outline => ({ ...BEND, handles: [handle(PORT, "target", BEND.height / 2 - BORDER, BEND.width), handle(PORT, "source", BEND.height / 2 - BORDER, BEND.width)] })

function unknownOutline(node: NodeDoc, outputs: readonly string[]): Outline {
  const { rows, width, height } = unknownShape(node, outputs)
  const handles = rows.flatMap(({ port, value, output, top }) => [
    ...(port !== undefined && value === undefined ? [handle(port, "target", top + ROW / 2, width)] : []),
    ...(output !== undefined ? [handle(output, "source", top + ROW / 2, width)] : []),
  ])
  return { width, height, handles }
}

/** Those outputs of a node that something reads. */
export const readOutputs = (doc: Doc, name: string): string[] => [...new Set(links(doc).flatMap(({ node, port }) => (node === name ? [port] : [])))]

type InputTypes = Record<string, { type: TypeShape; multiline?: boolean }>

/** What Python says of the graph's inputs; before it has, what the first port that each feeds is: so their card has its size from the start. */
export function inputTypes(doc: Doc, nodes: Catalogue["nodes"], check: Check | null): InputTypes {
  const found: InputTypes = { ...check?.inputs }
  for (const { node, port, to, toPort } of links(doc)) {
    const fed = node === "input" && !found[port] ? specOf(doc.nodes?.[to], nodes)?.inputs[toPort] : undefined
    if (fed) found[port] = fed
  }
  return found
}

export function outlinesOf(doc: Doc, nodes: Catalogue["nodes"], check: Check | null): Record<string, Outline> {
  const open = new Set(doc.layout?.open)
  const collapsed = new Set(doc.layout?.collapsed)
  const made: Record<string, Outline> = {}
  const inputs = inputsShape(doc, inputTypes(doc, nodes, check))
  const starts = [...inputs.rows.map(({ name, top }) => [name, top] as const), ...inputs.folded.map((name) => [name, inputs.foot] as const)]
  made[INPUTS] = { width: inputs.width, height: inputs.height, handles: starts.map(([name, top]) => handle(name, "source", top + ROW / 2, inputs.width)) }
  for (const name of inOrder(doc)) made[name] = outlineOf(doc, name, nodes, open.has(name), collapsed.has(name))
  const outputs = outputsShape(doc)
  made[OUTPUTS] = { ...outputs, handles: outputs.rows.map(({ name, top }) => handle(name, "target", top + ROW / 2, outputs.width)) }
  return made
}

/** The nodes in the order in which they may run: what feeds a node comes before it. The keyboard walks them so. */
export function inOrder(doc: Doc): string[] {
  const waiting = new Map(Object.keys(doc.nodes ?? {}).map((name) => [name, 0]))
  const after = new Map<string, string[]>()
  for (const { node, to } of links(doc)) {
    if (!waiting.has(node) || !waiting.has(to)) continue
    waiting.set(to, waiting.get(to)! + 1)
    after.set(node, [...(after.get(node) ?? []), to])
  }
  const order: string[] = []
  const ready = [...waiting].flatMap(([name, count]) => (count ? [] : [name])).reverse()
  for (let name = ready.pop(); name !== undefined; name = ready.pop()) {
    order.push(name)
    for (const next of (after.get(name) ?? []).reverse()) {
      waiting.set(next, waiting.get(next)! - 1)
      if (!waiting.get(next)) ready.push(next)
    }
  }
  return order.length === waiting.size ? order : [...order, ...[...waiting.keys()].filter((name) => !order.includes(name))] // those of a loop last
}

const KINDS: Record<string, "inputs" | "outputs"> = { [INPUTS]: "inputs", [OUTPUTS]: "outputs" }

/** before: what was shown of this document until now. A card without a place of its own is where it was arranged first, also after undo of a move. */
export function flowNodes(doc: Doc, nodes: Catalogue["nodes"], check: Check | null, before: Map<string, Node>): Node[] {
  const shapes = outlinesOf(doc, nodes, check)
  const given = doc.layout?.nodes ?? {}
  const ids = Object.keys(shapes)
  const free = ids.filter((id) => !given[id] && !before.has(id))
  const arrangement = free.length ? arranged(doc, shapes) : {}
  const made: Node[] = Object.entries(shapes).map(([id, { width, height, handles }]) => {
    const old = before.get(id)
    const rest = (old?.data.rest as Point | undefined) ?? (old ? [old.position.x, old.position.y] : arrangement[id])
    const [x, y] = given[id] ?? rest!
    const ariaLabel = KINDS[id] ? say(KINDS[id]) : id
    const mode = modeOf(doc, check, id)
    const same = old && old.ariaLabel === ariaLabel && old.data.mode === mode && old.position.x === x && old.position.y === y && old.height === height && sameHandles(old.handles ?? [], handles)
    if (same) return old
    return {
      ...(old ?? {}), id, type: KINDS[id] ?? "op", position: { x, y }, width, height, measured: { width, height }, handles, data: { rest: rest ?? [x, y], mode },
      deletable: !(id in KINDS), ariaLabel, dragHandle: ".card-head, .card.far, .card.bend",
    } as Node
  })
  for (const [name, { at, size }] of Object.entries(doc.layout?.groups ?? {})) made.unshift(box(`group:${name}`, "group", at, size, before))
  for (const [name, { at, size }] of Object.entries(doc.layout?.notes ?? {})) made.push(box(`note:${name}`, "note", at, size, before))
  return made
}

function box(id: string, type: "group" | "note", at: Point, size: Point, before: Map<string, Node>): Node {
  const old = before.get(id)
  const name = id.slice(id.indexOf(":") + 1)
  if (old && old.position.x === at[0] && old.position.y === at[1] && old.width === size[0] && old.height === size[1]) return old
  return {
    ...(old ?? {}), id, type: `${type}Box`, position: { x: at[0], y: at[1] }, width: size[0], height: size[1], measured: { width: size[0], height: size[1] }, data: {},
    ariaLabel: name, dragHandle: type === "group" ? ".group-head" : undefined,
  } as Node
}

const sameHandles = (a: NodeHandle[], b: NodeHandle[]): boolean =>
  a === b || (a.length === b.length && a.every((one, i) => one.id === b[i]!.id && one.y === b[i]!.y && one.x === b[i]!.x))

export function flowEdges(doc: Doc, nodes: Catalogue["nodes"], check: Check | null, before: Map<string, Edge>): Edge[] {
  return links(doc).map((link) => {
    const type = typeAt(doc, nodes, check, link)
    const colour = colourOf(type)
    const off = isOff(doc, check, link)
    const old = before.get(link.id)
    if (old && old.data?.colour === colour && old.data.off === off) return old
    const source = link.node === "input" ? INPUTS : link.node
    const data = { colour, link, off, thin: type ? isHandle(type) : false }
    return { ...(old ?? {}), id: link.id, source, sourceHandle: link.port, target: link.to, targetHandle: link.toPort, type: "wire", data } satisfies Edge
  })
}

/** Whether nothing goes through a wire: one of its ends is left out. */
const isOff = (doc: Doc, check: Check | null, { node, to, toPort }: Link): boolean =>
  [modeOf(doc, check, node), to === OUTPUTS ? check?.off[`output.${toPort}`] && "off" : modeOf(doc, check, to)].some((mode) => mode === "mute" || mode === "off")

/** What comes out at a place, through bends. */
export function typeAt(doc: Doc, nodes: Catalogue["nodes"], check: Check | null, place: { node: string; port: string }): TypeShape | null | undefined {
  const from = beforeBends(doc, place.node, place.port)
  if (!from) return undefined
  return from.node === "input" ? check?.inputs[from.port]?.type : specOf(doc.nodes?.[from.node], nodes)?.outputs[from.port]?.type
}

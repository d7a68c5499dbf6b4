// The document as React Flow's nodes and edges. Objects stay the same while what they show does, so that only what changed is drawn anew.
import { type Edge, type Node, type NodeHandle, Position } from "@xyflow/react"
import type { Catalogue, Check } from "../api/types"
import { arranged, type Size } from "../document/layout"
import { type Doc, INPUTS, type Link, links, type NodeDoc, OUTPUTS, type Point } from "../document/model"
import { colourOf } from "./colours"
import { HEAD, inputsShape, outputsShape, ROW, shapeOf, WIDTH } from "./shape"

const SOCKET = 12

function handle(id: string, type: "source" | "target", y: number, width: number): NodeHandle {
  const left = type === "target"
  return { id, type, position: left ? Position.Left : Position.Right, x: (left ? 0 : width) - SOCKET / 2, y: y - SOCKET / 2, width: SOCKET, height: SOCKET }
}

/** A card's size, and where its sockets are. */
interface Outline extends Size {
  handles: NodeHandle[]
}

const outlines = new WeakMap<NodeDoc, Map<string, Outline>>()

function outlineOf(node: NodeDoc, nodes: Catalogue["nodes"], open: boolean, collapsed: boolean): Outline {
  const mode = `${open}${collapsed}`
  const known = outlines.get(node) ?? new Map<string, Outline>()
  outlines.set(node, known)
  const before = known.get(mode)
  if (before) return before
  const spec = nodes[node.op]
  const made = spec ? opOutline(node, spec, open, collapsed) : unknownOutline(node)
  known.set(mode, made)
  return made
}

function opOutline(node: NodeDoc, spec: NonNullable<Catalogue["nodes"][string]>, open: boolean, collapsed: boolean): Outline {
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

/** A node whose pack is not here: it keeps its wires, one row for each of its ports. */
function unknownOutline(node: NodeDoc): Outline {
  const ports = Object.keys(node.in ?? {})
  const height = HEAD + 16 + ROW * Math.max(1, ports.length)
  return { width: WIDTH, height, handles: ports.map((port, i) => handle(port, "target", HEAD + 8 + ROW * (i + 0.5), WIDTH)) }
}

export function outlinesOf(doc: Doc, nodes: Catalogue["nodes"], check: Check | null): Record<string, Outline> {
  const open = new Set(doc.layout?.open)
  const collapsed = new Set(doc.layout?.collapsed)
  const made: Record<string, Outline> = {}
  const inputs = inputsShape(doc, check?.inputs ?? {})
  const starts = [...inputs.rows.map(({ name, top }) => [name, top] as const), ...inputs.folded.map((name) => [name, inputs.foot] as const)]
  made[INPUTS] = { width: inputs.width, height: inputs.height, handles: starts.map(([name, top]) => handle(name, "source", top + ROW / 2, inputs.width)) }
  for (const [name, node] of Object.entries(doc.nodes ?? {})) made[name] = outlineOf(node, nodes, open.has(name), collapsed.has(name))
  const outputs = outputsShape(doc)
  made[OUTPUTS] = { ...outputs, handles: outputs.rows.map(({ name, top }) => handle(name, "target", top + ROW / 2, outputs.width)) }
  return made
}

/** Where every card is: as the document says, else as it is arranged. */
export function placesOf(doc: Doc, sizes: Record<string, Size>): Record<string, Point> {
  const given = doc.layout?.nodes ?? {}
  const missing = Object.keys(sizes).filter((id) => !given[id])
  if (!missing.length) return given
  const all = arranged(doc, sizes)
  if (missing.length === Object.keys(sizes).length) return all
  return { ...Object.fromEntries(missing.map((id) => [id, all[id]!])), ...given }
}

const KINDS: Record<string, string> = { [INPUTS]: "inputs", [OUTPUTS]: "outputs" }

export function flowNodes(doc: Doc, nodes: Catalogue["nodes"], check: Check | null, before: Map<string, Node>): Node[] {
  const shapes = outlinesOf(doc, nodes, check)
  const places = placesOf(doc, shapes)
  const made: Node[] = Object.entries(shapes).map(([id, { width, height, handles }]) => {
    const [x, y] = places[id] ?? [0, 0]
    const old = before.get(id)
    if (old && old.position.x === x && old.position.y === y && old.handles === handles) return old
    const same = old && sameHandles(old.handles ?? [], handles) && old.position.x === x && old.position.y === y && old.height === height
    if (same) return old
    return {
      ...(old ?? {}), id, type: KINDS[id] ?? "op", position: { x, y }, width, height, initialWidth: width, initialHeight: height, handles, data: {},
      deletable: !(id in KINDS), ariaLabel: id in KINDS ? KINDS[id] : id, dragHandle: ".card-head",
    } as Node
  })
  for (const [name, { at, size }] of Object.entries(doc.layout?.groups ?? {})) made.unshift(box(`group:${name}`, "group", at, size, before))
  for (const [name, { at, size }] of Object.entries(doc.layout?.notes ?? {})) made.push(box(`note:${name}`, "note", at, size, before))
  before.clear()
  for (const node of made) before.set(node.id, node)
  return made
}

function box(id: string, type: string, at: Point, size: Point, before: Map<string, Node>): Node {
  const old = before.get(id)
  if (old && old.position.x === at[0] && old.position.y === at[1] && old.width === size[0] && old.height === size[1]) return old
  return {
    ...(old ?? {}), id, type: `${type}Box`, position: { x: at[0], y: at[1] }, width: size[0], height: size[1], data: {}, zIndex: type === "group" ? -1 : 0,
    dragHandle: ".card-head",
  } as Node
}

const sameHandles = (a: NodeHandle[], b: NodeHandle[]): boolean =>
  a.length === b.length && a.every((one, i) => one.id === b[i]!.id && one.y === b[i]!.y && one.x === b[i]!.x)

export function flowEdges(doc: Doc, nodes: Catalogue["nodes"], check: Check | null, before: Map<string, Edge>): Edge[] {
  const made = links(doc).map((link) => {
    const colour = colourOf(sourceType(doc, nodes, check, link))
    const old = before.get(link.id)
    if (old && old.data?.colour === colour) return old
    const source = link.node === "input" ? INPUTS : link.node
    return {
      id: link.id, source, sourceHandle: link.port, target: link.to, targetHandle: link.toPort, type: "wire", data: { colour, link }, reconnectable: true,
    } satisfies Edge
  })
  before.clear()
  for (const edge of made) before.set(edge.id, edge)
  return made
}

const sourceType = (doc: Doc, nodes: Catalogue["nodes"], check: Check | null, { node, port }: Link) =>
  node === "input" ? check?.inputs[port]?.type : nodes[doc.nodes?.[node]?.op ?? ""]?.outputs[port]?.type

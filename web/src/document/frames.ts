// Nodes that are frames: one that runs once for each item of a list, or again and again with what it made.
import type { Catalogue, InputPort, Json, NodeType, OutputPort } from "../api/types"
import { type Doc, type Loop, type NodeDoc, type Value, isList, isWire, links, literal, plain, setInput, setPort, split } from "./model"

export type Combine = "zip" | "product"

export const isEach = (node: NodeDoc | undefined, port: string): boolean => node?.each?.includes(port) ?? false

const known = new WeakMap<NodeDoc, { spec: NodeType; made: NodeType }>()

/** A node's type as its card shows it: one that runs for each of a list takes and gives lists. */
export function specOf(node: NodeDoc | undefined, types: Catalogue["nodes"] | null | undefined): NodeType | undefined {
  const spec = node && types?.[node.op]
  if (!spec || !node.each?.length) return spec
  const before = known.get(node)
  if (before?.spec === spec) return before.made
  const made = framed(spec, node.each)
  known.set(node, { spec, made })
  return made
}

const listed = <T extends InputPort | OutputPort>(port: T): T => ({ ...port, type: { kind: "list", item: port.type }, shown: `list[${port.shown}]` })

/** each: the list is given item by item to what runs once for each. */
export type FramedPort = InputPort & { each?: true }

function framed(spec: NodeType, each: string[]): NodeType {
  const inputs = Object.entries(spec.inputs).map(([name, port]) => {
    if (!each.includes(name)) return [name, port] as const
    const { default: _, source: __, multiline: ___, ...rest } = port
    return [name, { ...listed(rest), each: true }] as const
  })
  return { ...spec, inputs: Object.fromEntries(inputs), outputs: Object.fromEntries(Object.entries(spec.outputs).map(([name, port]) => [name, listed(port)])) }
}

/** Let a node run once for each item of a list given to this port, or no longer. What is written there becomes the first item of the list, or the first item what is written. */
export function eachToggled(doc: Doc, name: string, port: string, fallback?: Json): Doc {
  const node = doc.nodes?.[name]
  if (!node) return doc
  const value = node.in?.[port]
  if (isWire(value)) doc = ofInput(doc, value.from, isEach(node, port))
  if (isEach(node, port)) {
    const each = node.each!.filter((one) => one !== port)
    const items = isWire(value) ? undefined : plain(value)
    const first = isList(value) ? value.list[0] : Array.isArray(items) ? (items.length ? literal(items[0]!) : undefined) : value
    return changed(setPort(doc, name, port, first), name, each.length ? { ...rest(node), each } : { ...rest(node), each: undefined, combine: undefined })
  }
  const made = setPort(doc, name, port, asList(value, fallback))
  return changed(made, name, { ...rest(node), each: [...(node.each ?? []), port], loop: undefined })
}

/** An input of the graph that feeds this port alone follows it: from a value to a list with it, or (single) to the first of its list. */
function ofInput(doc: Doc, from: string, single: boolean): Doc {
  const [node, name] = split(from)
  const value = doc.inputs?.[name]?.default
  if (node !== "input" || value === undefined || value === null || Array.isArray(value) !== single) return doc
  if (links(doc).filter((one) => one.node === "input" && one.port === name).length !== 1) return doc
  return setInput(doc, name, { default: single ? ((value as Json[])[0] ?? null) : [value] })
}

function asList(value: Value | undefined, fallback: Json | undefined): Value | undefined {
  if (isWire(value) || isList(value)) return value
  const item = plain(value) ?? fallback
  return item === undefined || item === null ? undefined : Array.isArray(item) ? { value: item } : { value: [item] }
}

export const setCombine = (doc: Doc, name: string, combine: Combine): Doc =>
  doc.nodes?.[name] ? changed(doc, name, { ...rest(doc.nodes[name]), combine: combine === "zip" ? undefined : combine }) : doc

/** Let a node run again and again, or (null) once. */
export function setLoop(doc: Doc, name: string, loop: Loop | null): Doc {
  const node = doc.nodes?.[name]
  if (!node) return doc
  const single = (node.each ?? []).reduce((made, port) => eachToggled(made, name, port), doc) // a node does one of the two
  return changed(single, name, { ...rest(single.nodes![name]!), loop: loop ?? undefined })
}

const rest = ({ each, combine, loop }: NodeDoc) => ({ each, combine, loop })

/** With these instead of what it says of rounds; undefined takes one away. */
function changed(doc: Doc, name: string, says: Pick<NodeDoc, "each" | "combine" | "loop">): Doc {
  const { each: _, combine: __, loop: ___, ...node } = doc.nodes![name]!
  const said = Object.fromEntries(Object.entries(says).filter(([, value]) => value !== undefined))
  return { ...doc, nodes: { ...doc.nodes, [name]: { ...node, ...said } } }
}

/** How often a node runs, where its lists are written down; null where that is known only as it runs. */
export function roundsOf(node: NodeDoc): number | null {
  const lengths = (node.each ?? []).map((port) => {
    const value = node.in?.[port]
    const items = isList(value) ? value.list : isWire(value) ? undefined : plain(value)
    return Array.isArray(items) ? items.length : null
  })
  if (!lengths.length) return null
  if (node.combine === "product") return lengths.includes(null) ? null : lengths.reduce<number>((all, one) => all * one!, 1)
  return lengths.find((one) => one !== null) ?? null
}

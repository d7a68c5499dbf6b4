// The graph document, and every edit of it as a pure function: a document in, another out. What a port accepts is not decided here.
import type { ImportLine, Json, Words } from "../api/types"
import { freeName, isName } from "./names"

export { freeName, isName }

export type Wire = { from: string }
export type Value = null | boolean | number | string | Wire | { list: Value[] } | { value: Json }

export interface NodeDoc {
  op: string
  version?: number
  in?: Record<string, Value>
  mode?: "" | Mode
  each?: string[] // inputs that are given a list: it runs once for each item
  combine?: "zip" | "product" // how the items of several lists come together: side by side where nothing is said
  loop?: Loop
  [unknown: string]: unknown
}

/** It runs again and again. carry: by input, the output that is its next value; until: the output that ends it; most: rounds. */
export interface Loop {
  carry?: Record<string, string>
  until?: string
  most?: number
}

/** mute: it is left out with all that cannot do without it. bypass: what it is given is handed on. */
export type Mode = "mute" | "bypass"

export interface InputDoc {
  default?: Json
  title?: Words
  help?: Words
  [unknown: string]: unknown
}

export interface OutputDoc {
  from: string
  title?: Words
  [unknown: string]: unknown
}

export type Point = [x: number, y: number]

export interface Note {
  text: string
  at: Point
  size: Point
  colour?: string
}

export interface Group {
  title: string
  at: Point
  size: Point
  colour?: string
}

/** How a graph is shown; never part of what it does. nodes: places by name, `:inputs` and `:outputs` being the two cards of the graph itself. */
export interface Layout {
  nodes?: Record<string, Point>
  collapsed?: string[]
  open?: string[] // nodes that show all their settings
  colours?: Record<string, string>
  notes?: Record<string, Note>
  groups?: Record<string, Group>
  report?: ImportLine[] // of the file of another program that it was made of
  given?: Record<string, Json> // inputs that have a picture of this server: see giveInput
  lifted?: Record<string, string[]> // of a document that was run: see lifted.ts
  seeds?: Record<string, SeedMode> // by "node.port": what becomes of a seed after each run, `keep` where nothing is said
  sweep?: { axes: Record<string, Json[]>; combine?: "zip" | "product" } // inputs that take several values in turn
  [unknown: string]: unknown
}

export type SeedMode = "keep" | "random" | "next"

export interface Doc {
  flowmm: 1
  title?: Words
  about?: Words
  tags?: string[]
  inputs?: Record<string, InputDoc>
  nodes?: Record<string, NodeDoc>
  outputs?: Record<string, OutputDoc>
  graphs?: Record<string, Doc> // definitions that nodes use: see graphs.ts
  layout?: Layout
  requires?: Record<string, unknown>
  [unknown: string]: unknown
}

export const INPUTS = ":inputs"
export const OUTPUTS = ":outputs"
export const EMPTY: Doc = { flowmm: 1, nodes: {}, outputs: {} }

export const isWire = (value: Value | undefined): value is Wire => typeof value === "object" && value !== null && "from" in value
export const isList = (value: Value | undefined): value is { list: Value[] } => typeof value === "object" && value !== null && "list" in value

/** A literal as plain JSON; undefined for wires. */
export function plain(value: Value | undefined): Json | undefined {
  if (value === undefined || isWire(value)) return undefined
  if (isList(value)) {
    const items = value.list.map(plain)
    return items.includes(undefined) ? undefined : (items as Json[])
  }
  return typeof value === "object" && value !== null ? value.value : value
}

export function literal(json: Json): Value {
  return typeof json === "object" && json !== null ? { value: json } : json
}

export function split(reference: string): [node: string, port: string] {
  const at = reference.indexOf(".")
  return [reference.slice(0, at), reference.slice(at + 1)]
}

// ── wires ───────────────────────────────────────────────────────────────────────────────────────

/** One wire. node, port: where it comes from, node `input` being the graph's inputs. to, toPort: where it leads, to `:outputs` for an output. */
export interface Link {
  id: string
  node: string
  port: string
  to: string
  toPort: string
}

function* within(value: Value | undefined): Generator<string> {
  if (isWire(value)) yield value.from
  else if (isList(value)) for (const item of value.list) yield* within(item)
}

const linksOf = new WeakMap<Doc, readonly Link[]>()

export function links(doc: Doc): readonly Link[] {
  const known = linksOf.get(doc)
  if (known) return known
  const found: Link[] = []
  const add = (from: string, to: string, toPort: string) => {
    const [node, port] = split(from)
    found.push({ id: `${from}>${to}.${toPort}`, node, port, to, toPort })
  }
  for (const [name, node] of Object.entries(doc.nodes ?? {}))
    for (const [port, value] of Object.entries(node.in ?? {})) for (const from of new Set(within(value))) add(from, name, port)
  for (const [name, output] of Object.entries(doc.outputs ?? {})) add(output.from, OUTPUTS, name)
  linksOf.set(doc, found)
  return found
}

// ── edits ───────────────────────────────────────────────────────────────────────────────────────

export const without = <T>(record: Record<string, T> | undefined, names: Set<string>): Record<string, T> =>
  Object.fromEntries(Object.entries(record ?? {}).filter(([name]) => !names.has(name)))

function changed(doc: Doc, name: string, ports: Record<string, Value>): Doc {
  const node = doc.nodes?.[name]
  return node ? { ...doc, nodes: { ...doc.nodes, [name]: { ...node, in: ports } } } : doc
}

/** Every wire's source through `to`; null takes the wire away. Nodes that do not change stay the same objects. */
export const rewired = (doc: Doc, to: (from: string) => string | null): Doc =>
  replaced(doc, (wire) => {
    const from = to(wire.from)
    return from === wire.from ? wire : from === null ? undefined : { from }
  })

/** Every wire replaced by what `by` makes of it; undefined takes it away. An output of the graph can be a wire alone. */
export function replaced(doc: Doc, by: (wire: Wire) => Value | undefined): Doc {
  const value = (one: Value): Value | undefined => {
    if (isWire(one)) return by(one)
    if (!isList(one)) return one
    const list = one.list.map(value)
    return list.every((item, i) => item === one.list[i]) ? one : { list: list.filter((item) => item !== undefined) }
  }
  const nodes = Object.fromEntries(
    Object.entries(doc.nodes ?? {}).map(([name, node]) => {
      const ports = Object.entries(node.in ?? {}).map(([port, one]) => [port, value(one)] as const)
      const same = ports.every(([port, one]) => one === node.in?.[port])
      return [name, same ? node : { ...node, in: Object.fromEntries(ports.filter(([, one]) => one !== undefined)) as Record<string, Value> }]
    }),
  )
  const outputs = Object.entries(doc.outputs ?? {}).flatMap(([name, output]) => {
    const now = by({ from: output.from })
    return isWire(now) ? [[name, now.from === output.from ? output : { ...output, from: now.from }] as const] : []
  })
  return { ...doc, nodes, outputs: Object.fromEntries(outputs) }
}

/** The value with its wire from `from` coming from `to` instead; in a list only that one. */
export function ledFrom(value: Value, from: string, to: string): Value {
  if (isWire(value)) return value.from === from ? { from: to } : value
  return isList(value) ? { list: value.list.map((item) => ledFrom(item, from, to)) } : value
}

/** What is said by name or by "node.port", under the ones that `to` gives; null drops what was said. */
export function remarked<T>(record: Record<string, T>, to: (reference: string) => string | null): Record<string, T> {
  const kept = Object.entries(record).flatMap(([key, value]) => {
    const reference = to(key)
    return reference === null ? [] : [[reference, value] as const]
  })
  return Object.fromEntries(kept)
}

export const mapLayout = (doc: Doc, change: (layout: Layout) => Layout): Doc => ({ ...doc, layout: change(doc.layout ?? {}) })

/** Put nodes, notes, groups or the cards of the graph where they now are. */
export function place(doc: Doc, places: Record<string, Point>): Doc {
  return mapLayout(doc, (layout) => {
    const moved = { ...layout, nodes: { ...layout.nodes } }
    for (const [id, at] of Object.entries(places)) {
      const [kind, name] = id.includes(":") && id.indexOf(":") > 0 ? id.split(":", 2) as [string, string] : ["node", id]
      if (kind === "note" && moved.notes?.[name]) moved.notes = { ...moved.notes, [name]: { ...moved.notes[name], at } }
      else if (kind === "group" && moved.groups?.[name]) moved.groups = { ...moved.groups, [name]: { ...moved.groups[name], at } }
      else moved.nodes[id] = at
    }
    return moved
  })
}

/** A new node; its name comes back beside the document. */
export function addNode(doc: Doc, op: string, version: number, at: Point, wanted = op.slice(op.lastIndexOf(".") + 1)): [Doc, string] {
  const name = freeName(wanted, doc.nodes)
  return [place({ ...doc, nodes: { ...doc.nodes, [name]: { op, version, in: {} } } }, { [name]: at }), name]
}

export function removeNodes(doc: Doc, names: Iterable<string>): Doc {
  const gone = new Set(names)
  const cut = rewired(doc, (from) => (gone.has(split(from)[0]) ? null : from))
  return mapLayout({ ...cut, nodes: without(cut.nodes, gone) }, (layout) => ({
    ...layout,
    nodes: without(layout.nodes, gone),
    ...(layout.collapsed && { collapsed: layout.collapsed.filter((name) => !gone.has(name)) }),
    ...(layout.open && { open: layout.open.filter((name) => !gone.has(name)) }),
    ...(layout.colours && { colours: without(layout.colours, gone) }),
    ...(layout.seeds && { seeds: remarked(layout.seeds, (from) => (gone.has(split(from)[0]) ? null : from)) }),
  }))
}

export function renameNode(doc: Doc, name: string, to: string): Doc {
  if (!doc.nodes?.[name] || !isName(to) || to in doc.nodes) return doc
  const renamed = (one: string) => (one === name ? to : one)
  const keys = <T>(record: Record<string, T> | undefined) => record && Object.fromEntries(Object.entries(record).map(([key, value]) => [renamed(key), value]))
  const moved = rewired(doc, (from) => (split(from)[0] === name ? `${to}.${split(from)[1]}` : from))
  return mapLayout({ ...moved, nodes: keys(moved.nodes) }, (layout) => ({
    ...layout,
    nodes: keys(layout.nodes),
    ...(layout.collapsed && { collapsed: layout.collapsed.map(renamed) }),
    ...(layout.open && { open: layout.open.map(renamed) }),
    ...(layout.colours && { colours: keys(layout.colours) }),
    ...(layout.seeds && { seeds: remarked(layout.seeds, (from) => (split(from)[0] === name ? `${to}.${split(from)[1]}` : from)) }),
  }))
}

/** Give a port a wire, a literal, or (undefined) its default again. */
export function setPort(doc: Doc, name: string, port: string, value: Value | undefined): Doc {
  const node = doc.nodes?.[name]
  if (!node) return doc
  const ports = { ...node.in }
  if (value === undefined) delete ports[port]
  else ports[port] = value
  return changed(doc, name, ports)
}

/** Lead a wire to a port, in place of what is there; as one of a list: beside what is there. */
export function connect(doc: Doc, from: string, to: string, toPort: string, asItem = false): Doc {
  if (to === OUTPUTS) return doc.outputs?.[toPort] ? { ...doc, outputs: { ...doc.outputs, [toPort]: { ...doc.outputs[toPort], from } } } : doc
  if (!asItem) return setPort(doc, to, toPort, { from })
  const before = doc.nodes?.[to]?.in?.[toPort]
  const items = isList(before) ? before.list : isWire(before) ? [before] : []
  return setPort(doc, to, toPort, { list: [...items, { from }] })
}

export function disconnect(doc: Doc, link: Link): Doc {
  if (link.to === OUTPUTS) return removeOutput(doc, link.toPort)
  const from = `${link.node}.${link.port}`
  const before = doc.nodes?.[link.to]?.in?.[link.toPort]
  const rest = isList(before) ? before.list.filter((item) => !(isWire(item) && item.from === from)) : []
  return setPort(doc, link.to, link.toPort, rest.length ? { list: rest } : undefined)
}

// ── the graph's own inputs and outputs ──────────────────────────────────────────────────────────

/** A new input that feeds a port, with what the port had as its default. */
export function promote(doc: Doc, name: string, port: string, fallback: Json | undefined): [Doc, string] {
  const input = freeName(port, doc.inputs)
  const before = plain(doc.nodes?.[name]?.in?.[port]) ?? fallback
  const inputs = { ...doc.inputs, [input]: before === undefined ? {} : { default: before } }
  const made = setPort({ ...doc, inputs }, name, port, { from: `input.${input}` })
  const seed = doc.layout?.seeds?.[`${name}.${port}`]
  return [seed ? marked(made, `${name}.${port}`, null, { [`input.${input}`]: seed }) : made, input]
}

export function setInput(doc: Doc, name: string, change: Partial<InputDoc>): Doc {
  return doc.inputs?.[name] ? { ...doc, inputs: { ...doc.inputs, [name]: { ...doc.inputs[name], ...change } } } : doc
}

export function setOutput(doc: Doc, name: string, change: Partial<OutputDoc>): Doc {
  return doc.outputs?.[name] ? { ...doc, outputs: { ...doc.outputs, [name]: { ...doc.outputs[name], ...change } } } : doc
}

/** What is said beside the document of an input or port, under another reference or (null) no longer. */
function marked(doc: Doc, from: string, to: string | null, more: Record<string, SeedMode> = {}): Doc {
  const { given, seeds, sweep } = doc.layout ?? {}
  if (!given && !seeds && !sweep) return doc
  const [node, name] = split(from)
  const names = (one: string) => (node !== "input" || one !== name ? one : to && split(to)[1])
  return mapLayout(doc, (layout) => ({
    ...layout,
    ...(given && { given: remarked(given, names) }),
    ...(sweep && { sweep: { ...sweep, axes: remarked(sweep.axes, names) } }),
    ...(seeds && { seeds: { ...remarked(seeds, (one) => (one === from ? to : one)), ...more } }),
  }))
}

/** Take an input away; the ports that it fed have its default, or nothing. */
export function removeInput(doc: Doc, name: string): Doc {
  const source = `input.${name}`
  const value = doc.inputs?.[name]?.default
  const nodes = Object.fromEntries(
    Object.entries(doc.nodes ?? {}).map(([key, node]) => {
      const fed = Object.entries(node.in ?? {}).filter(([, one]) => isWire(one) && one.from === source)
      if (!fed.length || value === undefined || value === null) return [key, node]
      return [key, { ...node, in: { ...node.in, ...Object.fromEntries(fed.map(([port]) => [port, literal(value)])) } }]
    }),
  )
  const cut = rewired({ ...doc, nodes }, (from) => (from === source ? null : from))
  return marked({ ...cut, inputs: without(cut.inputs, new Set([name])) }, source, null)
}

export function renameInput(doc: Doc, name: string, to: string): Doc {
  if (!doc.inputs?.[name] || !isName(to) || to in doc.inputs) return doc
  const moved = rewired(doc, (from) => (from === `input.${name}` ? `input.${to}` : from))
  const inputs = Object.fromEntries(Object.entries(doc.inputs).map(([key, value]) => [key === name ? to : key, value]))
  return marked({ ...moved, inputs }, `input.${name}`, `input.${to}`)
}

/** Give an input another place among the inputs, the first being 0. */
export function moveInput(doc: Doc, name: string, to: number): Doc {
  const names = Object.keys(doc.inputs ?? {})
  const at = names.indexOf(name)
  const place = Math.max(0, Math.min(to, names.length - 1))
  if (at < 0 || at === place) return doc
  names.splice(place, 0, ...names.splice(at, 1))
  return { ...doc, inputs: Object.fromEntries(names.map((one) => [one, doc.inputs![one]!])) }
}

// A graph is a function, and its file means the same on every machine. A picture that was uploaded or made here is known by this server alone, so it is
// no default: it lies in layout.given, which is undone, saved and restored with the document, and goes along as the `inputs` of check, plan and run.

/** Whether a value names something that only this server has: {"upload": id}, {"value": key}, or a list with one of them. */
export const isLocal = (value: Json | undefined): boolean =>
  Array.isArray(value) ? value.some(isLocal) : typeof value === "object" && value !== null && ("upload" in value || "value" in value)

/** The value that an input has now; undefined where it has none of its own. */
export const inputValue = (doc: Doc, name: string): Json | undefined => doc.layout?.given?.[name] ?? doc.inputs?.[name]?.default

/** The `inputs` to send beside the document to check, plan and run it as it stands. */
export const inputsOf = (doc: Doc): Record<string, Json> => doc.layout?.given ?? NO_INPUTS
const NO_INPUTS: Record<string, Json> = {}

/** Give an input a value: a local one beside the document, any other as its default; undefined takes both away. */
export function giveInput(doc: Doc, name: string, value: Json | undefined): Doc {
  const input = doc.inputs?.[name]
  if (!input) return doc
  if (value !== undefined && isLocal(value)) return mapLayout(doc, (layout) => ({ ...layout, given: { ...layout.given, [name]: value } }))
  const { default: before, ...rest } = input
  const inputs = { ...doc.inputs, [name]: value === undefined ? rest : { ...input, default: value } }
  const made = value === before && value !== undefined ? doc : { ...doc, inputs }
  return ungive(made, name)
}

/** Take the picture of this server away, so that the document's own default counts again. */
export const ungive = (doc: Doc, name: string): Doc =>
  doc.layout?.given?.[name] === undefined ? doc : mapLayout(doc, (layout) => ({ ...layout, given: without(layout.given, new Set([name])) }))

/** A new output of the graph. */
export function addOutput(doc: Doc, from: string, wanted = split(from)[1]): [Doc, string] {
  const name = freeName(wanted, doc.outputs)
  return [{ ...doc, outputs: { ...doc.outputs, [name]: { from } } }, name]
}

export function removeOutput(doc: Doc, name: string): Doc {
  return { ...doc, outputs: without(doc.outputs, new Set([name])) }
}

export function renameOutput(doc: Doc, name: string, to: string): Doc {
  if (!doc.outputs?.[name] || !isName(to) || to in doc.outputs) return doc
  return { ...doc, outputs: Object.fromEntries(Object.entries(doc.outputs).map(([key, value]) => [key === name ? to : key, value])) }
}

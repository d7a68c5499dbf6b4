// Graphs in a graph: the definitions that nodes use as `graph:NAME`, where each is found, and what of an edit inside one is felt outside.
import { type Doc, EMPTY, type NodeDoc, type Value, isWire, remarked, rewired, split } from "./model"

const PREFIX = "graph:"

/** The name of the graph that a node of this op stands for; "" for any other. */
export const graphOf = (op: string | undefined): string => (op?.startsWith(PREFIX) ? op.slice(PREFIX.length) : "")
export const opOf = (graph: string): string => PREFIX + graph

/** The nodes that one has gone into, from the outermost. */
export type Way = readonly string[]

/** A node of the graph that is shown, as runs and problems name it. */
export const placed = (way: Way, node: string): string => [...way, node].join("/")

/** Where a definition stands in the whole document: the names that lead to it. The whole itself is at []. */
export type Address = readonly string[]

const own = <T>(record: Record<string, T> | undefined, name: string): T | undefined => (record && Object.hasOwn(record, name) ? record[name] : undefined)

export function graphAt(root: Doc, address: Address): Doc | undefined {
  let doc: Doc | undefined = root
  for (const name of address) doc = own(doc?.graphs, name)
  return doc
}

/** The definition that an op means in the graph at an address: one of its own, else of the nearest around it. Null for a saved graph and for any other op. */
export function definitionOf(root: Doc, address: Address, op: string | undefined): Address | null {
  const name = graphOf(op)
  if (!name) return null
  for (let depth = address.length; depth >= 0; depth--) if (own(graphAt(root, address.slice(0, depth))?.graphs, name)) return [...address.slice(0, depth), name]
  return null
}

/** A way as far as it leads, and the definition in which it ends. */
export function reached(root: Doc, way: Way): { way: Way; address: Address } {
  let address: Address = []
  for (const [i, name] of way.entries()) {
    const next = definitionOf(root, address, own(graphAt(root, address)?.nodes, name)?.op)
    if (!next) return { way: way.slice(0, i), address }
    address = next
  }
  return { way, address }
}

/** Made once for each object. */
export const once = <T extends object, Made>(make: (of: T) => Made): ((of: T) => Made) => {
  const known = new WeakMap<T, Made>()
  return (of) => {
    if (!known.has(of)) known.set(of, make(of))
    return known.get(of)!
  }
}

/** The names by which nodes of a graph, and of its definitions, mean graphs that are not defined in it. */
export const free = once((doc: Doc): ReadonlySet<string> => {
  const within = Object.values(doc.graphs ?? {}).flatMap((one) => [...free(one)])
  const used = Object.values(doc.nodes ?? {}).map(({ op }) => graphOf(op))
  return new Set([...used, ...within].filter((name) => name && !own(doc.graphs, name)))
})

const seenOf = once((_root: Doc) => new Map<string, Doc>())

/** A graph as it is shown and asked about: a document of its own, with all definitions that its nodes may mean. */
export function seen(root: Doc, address: Address): Doc {
  if (!address.length) return root
  const known = seenOf(root)
  const key = address.join("/")
  if (!known.has(key)) {
    const here = new Map<string, Address>() // by name, the nearest definition
    for (let depth = 0; depth <= address.length; depth++) {
      const around = address.slice(0, depth)
      for (const name of Object.keys(graphAt(root, around)?.graphs ?? {})) here.set(name, [...around, name])
    }
    const graphs = Object.fromEntries([...here].map(([name, one]) => [name, brought(root, one, here)]))
    known.set(key, { ...graphAt(root, address)!, flowmm: 1, graphs })
  }
  return known.get(key)!
}

/** A definition for a place where names mean these: those that it means and that are others there, it has within. */
function brought(root: Doc, definition: Address, there: ReadonlyMap<string, Address>): Doc {
  const doc = graphAt(root, definition)!
  const others = [...free(doc)].flatMap((name): [string, Address][] => {
    const meant = definitionOf(root, definition.slice(0, -1), opOf(name))
    return meant && there.get(name)?.join("/") !== meant.join("/") ? [[name, meant]] : []
  })
  if (!others.length) return doc
  const within = new Map([...there, ...others])
  return { ...doc, graphs: { ...Object.fromEntries(others.map(([name, one]) => [name, brought(root, one, within)])), ...doc.graphs } }
}

/** The whole document after an edit of the graph that is seen at an address. What uses the graph follows its inputs and outputs; definitions that lost their last use go. */
export function written(root: Doc, address: Address, after: Doc): Doc {
  const before = graphAt(root, address)!
  let whole = after
  if (address.length) {
    const around = seen(root, address).graphs
    const graphs = Object.fromEntries(Object.entries(after.graphs ?? {}).filter(([name, one]) => own(before.graphs, name) || around?.[name] !== one))
    whole = follow(put(root, address, withGraphs(after, graphs)), address, moves(before.inputs, after.inputs), moves(before.outputs, after.outputs))
  }
  return tidied(root, whole)
}

function withGraphs({ graphs: _, ...rest }: Doc, graphs: Record<string, Doc>): Doc {
  return Object.keys(graphs).length ? { ...rest, graphs } : rest
}

function put(root: Doc, [name, ...rest]: Address, doc: Doc): Doc {
  return name === undefined ? doc : { ...root, graphs: { ...root.graphs, [name]: put(root.graphs![name]!, rest, doc) } }
}

/** A wire of the graph that is shown as the whole document calls it; of what a node is given outside, the wire that gives it, or else the value. */
export function fromOutside(root: Doc, way: Way, from: string): { wire: string } | { value: Value | undefined } {
  const [node, port] = split(from)
  const holder = way.at(-1)
  if (node !== "input" || holder === undefined) return { wire: placed(way, from) }
  const around = reached(root, way.slice(0, -1))
  const value = graphAt(root, around.address)?.nodes?.[holder]?.in?.[port]
  return isWire(value) ? fromOutside(root, around.way, value.from) : { value }
}

/** Every name that means a graph in a document: its definitions, and what nodes stand for that is saved elsewhere. */
export function graphNames(doc: Doc): Record<string, true> {
  const used = Object.values(doc.nodes ?? {}).flatMap(({ op }) => graphOf(op) || [])
  const inner = Object.values(doc.graphs ?? {}).map(graphNames)
  return Object.assign(Object.fromEntries([...Object.keys(doc.graphs ?? {}), ...used].map((name) => [name, true])), ...inner)
}

/** The definitions of a graph that some of its nodes use, and those that these use in turn. */
export function needed({ graphs = {} }: Doc, nodes: Record<string, NodeDoc>): Record<string, Doc> {
  const found = new Set<string>()
  const waiting = [...free({ ...EMPTY, nodes })]
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (found.has(name) || !own(graphs, name)) continue
    found.add(name)
    waiting.push(...free(graphs[name]!))
  }
  return Object.fromEntries(Object.entries(graphs).filter(([name]) => found.has(name)))
}

/** What a definition says, whatever the graphs that it means are called. */
const saying = once(({ graphs: _, nodes = {}, ...rest }: Doc): string =>
  JSON.stringify([rest, Object.entries(nodes).map(([name, { op, ...node }]) => [name, graphOf(op) ? PREFIX : op, node])]))

/** Whether two definitions, each in a document, are the same, and so are those that they mean. */
export function alike(one: Doc, here: Address, other: Doc, there: Address, compared = new Set<string>()): boolean {
  const pair = `${here.join("/")} ${there.join("/")}`
  if (compared.has(pair)) return true
  compared.add(pair)
  const [a, b] = [graphAt(one, here), graphAt(other, there)]
  if (!a || !b || saying(a) !== saying(b)) return false
  return Object.entries(a.nodes ?? {}).every(([name, { op }]) => {
    if (!graphOf(op)) return true
    const also = b.nodes![name]!.op
    const [meant, meantAlso] = [definitionOf(one, here, op), definitionOf(other, there, also)]
    return meant && meantAlso ? alike(one, meant, other, meantAlso, compared) : meant === meantAlso && op === also
  })
}

// ── what uses a definition ──────────────────────────────────────────────────────────────────────

/** By address, joined, how many nodes use each definition that the whole document can come to. */
export function uses(root: Doc): Map<string, number> {
  const found = new Map<string, number>()
  const waiting: Address[] = [[]]
  for (let here = waiting.pop(); here; here = waiting.pop())
    for (const { op } of Object.values(graphAt(root, here)?.nodes ?? {})) {
      const address = definitionOf(root, here, op)
      if (!address) continue
      const key = address.join("/")
      if (!found.has(key)) waiting.push(address)
      found.set(key, (found.get(key) ?? 0) + 1)
    }
  return found
}

/** Every graph of a document through `change`, inner ones first. What does not change stays the same object. */
function mapped(doc: Doc, change: (doc: Doc, address: Address) => Doc | null, address: Address = []): Doc | null {
  const before = Object.entries(doc.graphs ?? {})
  const after = before.map(([name, one]) => [name, mapped(one, change, [...address, name])] as const)
  const same = after.every(([, one], i) => one === before[i]![1])
  return change(same ? doc : withGraphs(doc, Object.fromEntries(after.filter((pair): pair is [string, Doc] => pair[1] !== null))), address)
}

/** Without the definitions that were used before and are no more. What nobody used in the first place stays as it was written. */
function tidied(before: Doc, after: Doc): Doc {
  if (!before.graphs || (before.graphs === after.graphs && before.nodes === after.nodes)) return after
  const now = uses(after)
  const gone = new Set([...uses(before).keys()].filter((key) => !now.has(key)))
  return gone.size ? mapped(after, (doc, address) => (gone.has(address.join("/")) ? null : doc))! : after
}

/** The whole document with every graph in it changed. */
export const everywhere = (root: Doc, change: (doc: Doc, address: Address) => Doc): Doc => mapped(root, change)!

type Moves = Map<string, string | null> // null: gone

/** Which names became others: what they say is the same object still. */
function moves(before: Record<string, unknown> = {}, after: Record<string, unknown> = {}): Moves {
  const fresh = Object.keys(after).filter((name) => !(name in before))
  return new Map(Object.keys(before).flatMap((name) => (name in after ? [] : [[name, fresh.find((one) => after[one] === before[name]) ?? null]])))
}

/** Nodes that use a definition have their wires where its inputs and outputs now are. */
function follow(root: Doc, definition: Address, inputs: Moves, outputs: Moves): Doc {
  if (!inputs.size && !outputs.size) return root
  const key = definition.join("/")
  return everywhere(root, (doc, address) => {
    const users = new Set(Object.entries(doc.nodes ?? {}).flatMap(([name, { op }]) => (definitionOf(root, address, op)?.join("/") === key ? [name] : [])))
    if (!users.size) return doc
    const reference = (moved: Moves) => (from: string) => {
      const [node, port] = split(from)
      const to = users.has(node) ? moved.get(port) : undefined
      return to === undefined ? from : to && `${node}.${to}`
    }
    const led = rewired(doc, reference(outputs))
    const nodes = Object.fromEntries(Object.entries(led.nodes ?? {}).map(([name, node]) => [name, users.has(name) ? refitted(node, inputs, outputs) : node]))
    const { seeds } = doc.layout ?? {}
    return { ...led, nodes, ...(seeds && { layout: { ...doc.layout, seeds: remarked(seeds, reference(inputs)) } }) }
  })
}

function refitted(node: NodeDoc, inputs: Moves, outputs: Moves): NodeDoc {
  const to = (moved: Moves) => (name: string) => (moved.has(name) ? moved.get(name)! : name)
  const carried = (carry: Record<string, string>) =>
    Object.fromEntries(Object.entries(remarked(carry, to(inputs))).flatMap(([port, output]) => ((now) => (now ? [[port, now]] : []))(to(outputs)(output))))
  const { each, loop } = node
  return {
    ...node,
    ...(node.in && { in: remarked(node.in, to(inputs)) }),
    ...(each && { each: each.flatMap((port) => to(inputs)(port) ?? []) }),
    ...(loop && { loop: { ...loop, ...(loop.carry && { carry: carried(loop.carry) }), ...(loop.until && { until: to(outputs)(loop.until) ?? "" }) } }),
  }
}

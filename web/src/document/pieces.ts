// Parts of graphs that are copied: what the clipboard holds is a document of its own.
import { alike, free, graphNames, graphOf, needed, opOf } from "./graphs"
import { type Doc, EMPTY, type InputDoc, type Layout, type Point, type Value, freeName, links, place, remarked, replaced, rewired, split } from "./model"

const pick = <T>(record: Record<string, T> | undefined, kept: ReadonlySet<string>): Record<string, T> =>
  Object.fromEntries(Object.entries(record ?? {}).filter(([name]) => kept.has(name)))
const named = (ids: ReadonlySet<string>, kind: string): Set<string> => new Set([...ids].flatMap((id) => (id.startsWith(`${kind}:`) ? [id.slice(kind.length + 1)] : [])))

/** Some nodes (notes and groups by `note:` and `group:` names) with the wires among them, the graph's inputs that feed them, their places, and the graphs that they are. */
export function piece(doc: Doc, ids: Iterable<string>): Doc {
  const kept = new Set(ids)
  const nodes = pick(doc.nodes, kept)
  const fed = new Set(links({ ...doc, nodes, outputs: {} }).flatMap(({ node, port }) => (node === "input" ? [port] : [])))
  const part = rewired({ ...doc, nodes, outputs: {} }, (from) => (kept.has(split(from)[0]) || split(from)[0] === "input" ? from : null))
  const { layout = {} } = doc
  const shown: Layout = {
    nodes: pick(layout.nodes, kept), colours: pick(layout.colours, kept), notes: pick(layout.notes, named(kept, "note")), groups: pick(layout.groups, named(kept, "group")),
    collapsed: layout.collapsed?.filter((name) => kept.has(name)) ?? [], open: layout.open?.filter((name) => kept.has(name)) ?? [],
    ...(layout.seeds && { seeds: remarked(layout.seeds, (reference) => (kept.has(split(reference)[0]) ? reference : null)) }),
  }
  const graphs = needed(doc, nodes)
  return { flowmm: 1, inputs: pick(doc.inputs, fed), nodes: part.nodes, outputs: {}, ...(Object.keys(graphs).length && { graphs }), layout: shown }
}

function renaming(names: string[], taken: Record<string, unknown> | undefined, same: (name: string) => boolean = () => false): Map<string, string> {
  const all = { ...taken }
  return new Map(
    names.map((name) => {
      const free = same(name) ? name : freeName(name, all)
      all[free] = true
      return [name, free]
    }),
  )
}

const renamed = <T>(record: Record<string, T> | undefined, names: Map<string, string>, change: (value: T) => T = (value) => value): Record<string, T> =>
  Object.fromEntries(Object.entries(record ?? {}).map(([name, value]) => [names.get(name) ?? name, change(value)]))

/** A graph whose nodes mean other graphs by other names; a definition of its own hides one around it. */
function meaning(doc: Doc, names: Map<string, string>): Doc {
  const meant = new Map([...names].filter(([name]) => !(name in (doc.graphs ?? {}))))
  const nodes = Object.entries(doc.nodes ?? {}).map(([name, node]) => [name, meant.has(graphOf(node.op)) ? { ...node, op: opOf(meant.get(graphOf(node.op))!) } : node] as const)
  const graphs = Object.entries(doc.graphs ?? {}).map(([name, one]) => [name, meaning(one, meant)] as const)
  return { ...doc, nodes: Object.fromEntries(nodes), ...(doc.graphs && { graphs: Object.fromEntries(graphs) }) }
}

/** Whether a definition, or one in it, would mean one of its own by a name that is to mean one around it. */
const hides = (doc: Doc, name: string, now: string): boolean =>
  free(doc).has(name) && (now in (doc.graphs ?? {}) || Object.values(doc.graphs ?? {}).some((one) => hides(one, name, now)))

/** What the definitions that a part's nodes use are called in a document, and those of them that it has not yet: each by its own name, or a free one. */
function definitionsFor(doc: Doc, part: Doc): { names: Map<string, string>; more: string[] } {
  const { graphs = {}, nodes = {} } = part
  const taken = graphNames(doc)
  const all = { ...taken, ...graphNames(part) }
  const names = new Map<string, string>()
  const more: string[] = []
  const waiting = [...free({ ...EMPTY, nodes })]
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (names.has(name) || !(name in graphs)) continue
    const serves = (one: string) => alike(part, [name!], doc, [one]) && (one === name || !Object.values(graphs).some((around) => hides(around, name!, one)))
    const there = [name, ...Object.keys(doc.graphs ?? {})].find(serves)
    names.set(name, there ?? (name in taken ? freeName(name, all) : name))
    all[names.get(name)!] = true
    if (there !== undefined) continue
    more.push(name)
    waiting.push(...free(graphs[name]!))
  }
  return { names, more }
}

/**
 * Add a piece or a whole graph, everything renamed where its name is taken; an input of the same name and default is shared, and so is a definition that says
 * the same. `at`: its upper left corner. given: what the inputs of the part stand for here, which then are none of the graph's own.
 * The new nodes, notes and groups come back.
 */
export function insert(doc: Doc, part: Doc, at: Point, given?: Record<string, Value | undefined>): [Doc, string[]] {
  const { names, more } = definitionsFor(doc, part)
  const { graphs: _, nodes: using } = meaning({ ...part, graphs: {} }, names)
  const graphs = Object.fromEntries(more.map((name) => [names.get(name)!, meaning(part.graphs![name]!, names)]))
  const nodes = renaming(Object.keys(part.nodes ?? {}), doc.nodes)
  const shared = (name: string) => JSON.stringify(doc.inputs?.[name]?.default) === JSON.stringify(part.inputs?.[name]?.default) && doc.inputs?.[name] !== undefined
  const inputs = renaming(given ? [] : Object.keys(part.inputs ?? {}), doc.inputs, shared)
  const outputs = renaming(Object.keys(part.outputs ?? {}), doc.outputs)
  const notes = renaming(Object.keys(part.layout?.notes ?? {}), doc.layout?.notes)
  const groups = renaming(Object.keys(part.layout?.groups ?? {}), doc.layout?.groups)
  const now = (from: string): string | null => {
    const [node, port] = split(from)
    if (node === "input") return inputs.has(port) ? `input.${inputs.get(port)}` : null
    return nodes.has(node) ? `${nodes.get(node)}.${port}` : null
  }
  const wired = replaced({ ...part, nodes: using }, ({ from }) => {
    const [node, port] = split(from)
    if (node === "input" && given) return given[port]
    const to = now(from)
    return to === null ? undefined : { from: to }
  })
  const { layout = {} } = part
  const places = Object.entries(layout.nodes ?? {}).filter(([name]) => nodes.has(name))
  const corners = [...places.map(([, corner]) => corner), ...Object.values(layout.notes ?? {}).map((one) => one.at), ...Object.values(layout.groups ?? {}).map((one) => one.at)]
  const left = Math.min(...corners.map(([x]) => x))
  const top = Math.min(...corners.map(([, y]) => y))
  const moved = ([x, y]: Point): Point => [at[0] + x - left, at[1] + y - top]
  const fed: Record<string, InputDoc> = Object.fromEntries(Object.entries(part.inputs ?? {}).filter(([name]) => !given && !shared(name)))
  const made: Doc = {
    ...doc,
    ...(inputs.size && { inputs: { ...doc.inputs, ...renamed(fed, inputs) } }),
    nodes: { ...doc.nodes, ...renamed(wired.nodes, nodes) },
    ...(outputs.size && { outputs: { ...doc.outputs, ...renamed(wired.outputs, outputs) } }),
    ...(more.length && { graphs: { ...doc.graphs, ...graphs } }),
    layout: {
      ...doc.layout,
      ...(layout.colours && { colours: { ...doc.layout?.colours, ...renamed(layout.colours, nodes) } }),
      ...(notes.size && { notes: { ...doc.layout?.notes, ...renamed(layout.notes, notes, (note) => ({ ...note, at: moved(note.at) })) } }),
      ...(groups.size && { groups: { ...doc.layout?.groups, ...renamed(layout.groups, groups, (group) => ({ ...group, at: moved(group.at) })) } }),
      ...(layout.collapsed?.length && { collapsed: [...(doc.layout?.collapsed ?? []), ...layout.collapsed.map((name) => nodes.get(name) ?? name)] }),
      ...(Object.keys(layout.seeds ?? {}).length && { seeds: { ...doc.layout?.seeds, ...remarked(layout.seeds!, now) } }),
      ...(layout.open?.length && { open: [...(doc.layout?.open ?? []), ...layout.open.map((name) => nodes.get(name) ?? name)] }),
    },
  }
  const ids = [...nodes.values(), ...[...notes.values()].map((name) => `note:${name}`), ...[...groups.values()].map((name) => `group:${name}`)]
  return [place(made, Object.fromEntries(places.map(([name, corner]) => [nodes.get(name)!, moved(corner)]))), ids]
}

/** A second one of each, a little apart, fed by the same wires. */
export function duplicated(doc: Doc, ids: Iterable<string>, apart: Point = [28, 28]): [Doc, string[]] {
  const kept = new Set(ids)
  const part = piece(doc, kept)
  const corners = [...Object.values(part.layout?.nodes ?? {}), ...Object.values(part.layout?.notes ?? {}).map(({ at }) => at), ...Object.values(part.layout?.groups ?? {}).map(({ at }) => at)]
  if (!corners.length) return [doc, []]
  const at: Point = [Math.min(...corners.map(([x]) => x)) + apart[0], Math.min(...corners.map(([, y]) => y)) + apart[1]]
  const [made, names] = insert(doc, part, at)
  const twins = new Map(Object.keys(part.nodes ?? {}).map((name, i) => [name, names[i]!]))
  const nodes = { ...made.nodes }
  for (const [name, twin] of twins) {
    const whole = rewired({ ...doc, nodes: { [name]: doc.nodes![name]! }, outputs: {} }, (from) => {
      const [node, port] = split(from)
      return `${twins.get(node) ?? node}.${port}`
    })
    nodes[twin] = whole.nodes![name]!
  }
  return [{ ...made, nodes }, names]
}

/** The document that some text holds, if it is one. */
export function read(text: string): Doc | null {
  try {
    const found: unknown = JSON.parse(text)
    return typeof found === "object" && found !== null && "flowmm" in found && found.flowmm === 1 ? (found as Doc) : null
  } catch {
    return null
  }
}


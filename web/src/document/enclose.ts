// Nodes made a graph of their own, which is a node in their place, and such a node taken apart again. What is computed stays the same.
import { graphNames, opOf } from "./graphs"
import { type Doc, INPUTS, type InputDoc, type Link, OUTPUTS, type Point, type Value, freeName, giveInput, links, literal, place, removeNodes, replaced, rewired, split } from "./model"
import { insert, piece } from "./pieces"

const from = ({ node, port }: Link): string => `${node}.${port}`

/** The nodes that keep these from being one: what they wait for comes from these, and leads back to these. */
export function between(doc: Doc, ids: Iterable<string>): string[] {
  const chosen = new Set(ids)
  const reach = (ahead: (link: Link) => [here: string, next: string]): Set<string> => {
    const steps = new Map<string, string[]>()
    for (const link of links(doc)) {
      const [here, next] = ahead(link)
      steps.set(here, [...(steps.get(here) ?? []), next])
    }
    const found = new Set<string>()
    const waiting = [...chosen]
    for (let one = waiting.pop(); one !== undefined; one = waiting.pop())
      for (const next of steps.get(one) ?? []) if (!found.has(next) && !chosen.has(next)) waiting.push(next), found.add(next)
    return found
  }
  const below = reach(({ node, to }) => [node, to])
  const above = reach(({ node, to }) => [to, node])
  return Object.keys(doc.nodes ?? {}).filter((name) => below.has(name) && above.has(name))
}

/**
 * Some nodes (notes and groups among them, by their ids) as a definition, and one node that uses it, at a place; its name comes back. cards: where the cards of
 * its inputs and outputs lie within. One input for one source, named as the port that it feeds or as the input of the graph that it was.
 */
export function enclosed(doc: Doc, ids: Iterable<string>, at: Point, cards: Record<typeof INPUTS | typeof OUTPUTS, Point>): [Doc, string] {
  const chosen = new Set(ids)
  const name = freeName("part", { ...doc.nodes, ...graphNames(doc) })
  const given = new Map<string, string>() // by what comes in, the input that it is within
  const taken = new Map<string, string>() // by what goes out, the output that it is
  const inputs: Record<string, InputDoc> = {}
  const outputs: Record<string, { from: string }> = {}
  for (const link of links(doc)) {
    if (chosen.has(link.to) && !chosen.has(link.node) && !given.has(from(link))) {
      const input = freeName(link.node === "input" ? link.port : link.toPort, inputs)
      given.set(from(link), input)
      inputs[input] = link.node === "input" ? { ...doc.inputs?.[link.port] } : {}
    }
    if (chosen.has(link.node) && !chosen.has(link.to) && !taken.has(from(link))) {
      const output = freeName(link.port, outputs)
      taken.set(from(link), output)
      outputs[output] = { from: from(link) }
    }
  }
  const { graphs: _, ...part } = piece({ ...doc, nodes: rewired(doc, (source) => (given.has(source) ? `input.${given.get(source)}` : source)).nodes }, chosen)
  const definition: Doc = { ...part, inputs, outputs, layout: { ...part.layout, nodes: { ...part.layout?.nodes, ...cards } } }
  const node = { op: opOf(name), version: 1, in: Object.fromEntries([...given].map(([source, input]) => [input, { from: source }])) }
  const led = rewired(doc, (source) => (taken.has(source) ? `${name}.${taken.get(source)}` : source))
  const left = removeNodes({ ...led, nodes: { ...led.nodes, [name]: node } }, chosen)
  return [place({ ...left, graphs: { ...doc.graphs, [name]: definition } }, { [name]: at }), name]
}

/**
 * What is inside a node, in its place; the new nodes, notes and groups come back. graph: what the node stands for, a document of its own, every node of it having a place.
 * at: the upper left corner of all that comes.
 */
export function unpacked(doc: Doc, name: string, graph: Doc, at: Point): [Doc, string[]] {
  const node = doc.nodes![name]!
  const given = Object.fromEntries(
    Object.entries(graph.inputs ?? {}).map(([input, declared]) => [input, node.in?.[input] ?? (declared.default === undefined ? undefined : literal(declared.default))]),
  )
  for (const [input, picture] of Object.entries(graph.layout?.given ?? {})) {
    const declared = graph.inputs?.[input]
    if (!declared || node.in?.[input] !== undefined) continue
    const own = freeName(input, doc.inputs) // a picture of this server can be given to an input alone
    doc = giveInput({ ...doc, inputs: { ...doc.inputs, [own]: declared } }, own, picture)
    given[input] = { from: `input.${own}` }
  }
  const rolled = links(graph).flatMap(({ node: source, port, to, toPort }) => {
    const mode = source === "input" ? doc.layout?.seeds?.[`${name}.${port}`] : undefined
    return mode ? [[`${to}.${toPort}`, mode] as const] : []
  })
  const layout = { ...graph.layout, seeds: { ...graph.layout?.seeds, ...Object.fromEntries(rolled) } }
  const [made, ids] = insert(doc, { ...graph, outputs: {}, layout }, at, given)
  const names = new Map(Object.keys(graph.nodes ?? {}).map((inner, i) => [inner, ids[i]!]))
  const output = (port: string): Value | undefined => {
    const [inner, made] = split(graph.outputs?.[port]?.from ?? "")
    return inner === "input" ? given[made] : names.has(inner) ? { from: `${names.get(inner)}.${made}` } : undefined
  }
  const led = replaced(made, (wire) => (split(wire.from)[0] === name ? output(split(wire.from)[1]) : wire))
  return [removeNodes(led, [name]), ids]
}

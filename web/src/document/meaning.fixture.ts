// What tests hold graphs against: what they compute, whatever their nodes are called and however they are cut into pieces.
import { type Address, definitionOf, graphAt } from "./graphs"
import { type Doc, type Value, isList, isWire, plain, split } from "./model"

/** By output of the graph at an address, what is computed; of a node of it, with `of`. */
export function meaning(root: Doc, address: Address = [], of = graphAt(root, address)!.outputs ?? {}): Record<string, unknown> {
  type Place = { address: Address; given: (port: string) => unknown }
  const value = (one: Value | undefined, here: Place): unknown => {
    if (isWire(one)) return source(one.from, here)
    return isList(one) ? one.list.map((item) => value(item, here)) : plain(one)
  }
  const source = (from: string, here: Place): unknown => {
    const [name, port] = split(from)
    if (name === "input") return here.given(port)
    const node = graphAt(root, here.address)!.nodes![name]!
    const found = definitionOf(root, here.address, node.op)
    if (!found) return { op: node.op, port, in: Object.fromEntries(Object.entries(node.in ?? {}).map(([key, one]) => [key, value(one, here)])) }
    const inner = graphAt(root, found)!
    const given = (input: string) => (node.in?.[input] === undefined ? inner.inputs?.[input]?.default : value(node.in[input], here))
    return source(inner.outputs![port]!.from, { address: found, given })
  }
  return Object.fromEntries(Object.entries(of).map(([name, { from }]) => [name, source(from, { address, given: (port) => ({ input: port }) })]))
}

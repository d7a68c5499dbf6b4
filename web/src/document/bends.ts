// Reroutes: bends that a person puts into wires, so that they run where they can be followed. Nothing else is known of them here.
import { type Doc, type Link, type Point, OUTPUTS, addNode, connect, isWire, ledFrom, replaced, setPort } from "./model"

export const REROUTE = "logic.reroute"
export const PORT = "value" // its input, and its output

export const isBend = (doc: Doc, name: string): boolean => doc.nodes?.[name]?.op === REROUTE

/** Put a bend into wires that come from one output; its name comes back beside the document. */
export function bent(doc: Doc, wires: readonly Link[], version: number, at: Point): [Doc, string] {
  const from = `${wires[0]!.node}.${wires[0]!.port}`
  const [made, name] = addNode(doc, REROUTE, version, at)
  const through = `${name}.${PORT}`
  const led = wires.reduce((made, { to, toPort }) => {
    const before = made.nodes?.[to]?.in?.[toPort]
    return to === OUTPUTS || before === undefined ? connect(made, through, to, toPort) : setPort(made, to, toPort, ledFrom(before, from, through))
  }, made)
  return [connect(led, from, name, PORT), name]
}

/** Take bends out; what they read goes where they led. Wires at them need not be cut then. */
export function straightened(doc: Doc, names: Iterable<string>): Doc {
  let made = doc
  for (const name of names) {
    const value = made.nodes?.[name]?.in?.[PORT]
    if (isBend(made, name) && value !== undefined) made = replaced(made, (wire) => (wire.from === `${name}.${PORT}` ? value : wire))
  }
  return made
}

/** Where what comes out at a place was made, before all bends; null where a bend has no wire, or they lead round in a ring. */
export function before(doc: Doc, node: string, port: string): { node: string; port: string } | null {
  const seen = new Set<string>()
  let at = { node, port }
  while (isBend(doc, at.node)) {
    const value = doc.nodes![at.node]!.in?.[PORT]
    if (seen.has(at.node) || !isWire(value)) return null
    seen.add(at.node)
    const dot = value.from.indexOf(".")
    at = { node: value.from.slice(0, dot), port: value.from.slice(dot + 1) }
  }
  return at
}

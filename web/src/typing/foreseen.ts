// Definitions as node types before Python has said what they are: the names of their inputs and outputs are in the document, so cards and wires can be drawn at once.
import type { Catalogue, InputPort, NodeType, OutputPort } from "../api/types"
import { opOf } from "../document/graphs"
import { type Doc, links, split } from "../document/model"
import { specOf } from "../document/frames"

type Types = Catalogue["nodes"]

const unknown = (name: string): OutputPort => ({ type: { kind: "variable", name }, shown: "?", help: "" })

/** The types of the definitions of a graph that are not known, or had other inputs and outputs. */
export function foreseen({ graphs = {} }: Doc, types: Types): Record<string, NodeType> {
  const made = Object.entries(graphs).map(([name, definition]) => [opOf(name), typeOf(name, definition, types)] as const)
  return Object.fromEntries(made.filter(([op, type]) => !types[op] || portsOf(types[op]) !== portsOf(type)))
}

const portsOf = ({ inputs, outputs }: NodeType): string => `${Object.keys(inputs)}>${Object.keys(outputs)}`

/** A port that a node of the catalogue has is as it is there; what a graph within has is for Python to say. */
function typeOf(name: string, definition: Doc, types: Types): NodeType {
  const inputs = Object.entries(definition.inputs ?? {}).map(([input, { default: fallback, title, help }]): [string, InputPort] => {
    const fed = links(definition).find(({ node, port }) => node === "input" && port === input)
    const { default: _, ...port }: InputPort = (fed && specOf(definition.nodes?.[fed.to], types)?.inputs[fed.toPort]) ?? unknown(input)
    return [input, { ...port, ...(fallback !== undefined && { default: fallback }), ...(title !== undefined && { title }), ...(help !== undefined && { help }) }]
  })
  const outputs = Object.entries(definition.outputs ?? {}).map(([output, { from }]): [string, OutputPort] => {
    const [node, port] = split(from)
    return [output, specOf(definition.nodes?.[node], types)?.outputs[port] ?? unknown(output)]
  })
  return {
    op: opOf(name), version: 1, title: definition.title ?? name, help: definition.about ?? "", tags: definition.tags ?? [], reference: "", module: "", pure: true, lane: "inline",
    inputs: Object.fromEntries(inputs), outputs: Object.fromEntries(outputs),
  }
}

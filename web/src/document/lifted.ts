// Pictures that only this server has, given inside a definition: for a run they go up, from graph to graph, to inputs of the whole document, which are given them
// beside it as its own are. What the person sees and saves stays as it is; a document that was lifted says so in its layout, and is put back when it is opened.
import type { ApiError } from "../api/client"
import type { Check, Json, Problem } from "../api/types"
import { type Address, definitionOf, everywhere, graphAt, once } from "./graphs"
import { type Doc, type InputDoc, type NodeDoc, freeName, inputsOf, rewired, split, without } from "./model"

interface Given {
  home: Address // the definition and its input
  input: string // of the graph that must be given it now
  declared: InputDoc
  value: Json
  at: string[] // the nodes that lead to where it is used, from this graph on, and the input there
}

type Raised = Pick<Doc, "nodes"> & { raised: Given[] }

export interface Lifted {
  doc: Doc
  inputs: Record<string, Json>
  raised: Given[] // to inputs of the whole document
}

const given = (doc: Doc): [string, Json][] => Object.entries(doc.layout?.given ?? {}).filter(([input]) => doc.inputs?.[input])
const anyWithin = ({ graphs = {} }: Doc): boolean => Object.values(graphs).some((one) => given(one).length > 0 || anyWithin(one))

/** A document as it is asked about, with its inputs: each node of a definition that has a picture, and that gives that input nothing itself, is given it by wire. */
export const lifted = once((root: Doc): Lifted => {
  const made = new Map<string, Raised>()
  if (anyWithin(root)) raise(root, [], made)
  const { raised } = made.get("") ?? { raised: [] }
  if (!raised.length) return { doc: root, inputs: inputsOf(root), raised }
  const gone = new Set(raised.map(({ home }) => home.join("/")))
  const doc = everywhere(root, (one, address) => {
    const { nodes, raised } = made.get(address.join("/")) ?? { nodes: one.nodes, raised: [] }
    const kept = given(one).filter(([input]) => !gone.has([...address, input].join("/")))
    if (!raised.length && kept.length === given(one).length) return one
    const inputs = { ...one.inputs, ...Object.fromEntries(raised.map(({ input, declared }) => [input, declared])) }
    const lifted = Object.fromEntries(raised.map(({ input, home }) => [input, [...home]]))
    const { given: _, ...layout } = one.layout ?? {}
    return { ...one, inputs, nodes, layout: { ...layout, ...(kept.length && { given: Object.fromEntries(kept) }), ...(raised.length && { lifted }) } }
  })
  return { doc, inputs: { ...inputsOf(root), ...Object.fromEntries(raised.map(({ input, value }) => [input, value])) }, raised }
})

/** What whoever uses a graph must give it. made: by address, the graphs that were come to. */
function raise(root: Doc, address: Address, made: Map<string, Raised>): Given[] {
  const key = address.join("/")
  const doc = graphAt(root, address)!
  const own = given(doc).map(([input, value]): Given => ({ home: [...address, input], input, declared: doc.inputs![input]!, value, at: [input] }))
  if (!made.has(key)) {
    made.set(key, { nodes: doc.nodes, raised: [] }) // of a graph that holds itself Python tells
    const raised = new Map<string, Given>()
    const inputs = { ...doc.inputs }
    const wired = ([name, node]: [string, NodeDoc]): [string, NodeDoc] => {
      const definition = node.mode ? null : definitionOf(root, address, node.op) // what is muted or bypassed hands on only what it is given itself
      const missing = definition ? raise(root, definition, made).filter(({ input }) => node.in?.[input] === undefined) : []
      const wires = missing.map((one) => {
        const known = raised.get(one.home.join("/")) ?? { ...one, input: freeName(`${name}_${one.input}`, inputs), at: [name, ...one.at] }
        raised.set(one.home.join("/"), known)
        inputs[known.input] = known.declared
        return [one.input, { from: `input.${known.input}` }] as const
      })
      return [name, wires.length ? { ...node, in: { ...node.in, ...Object.fromEntries(wires) } } : node]
    }
    const nodes = Object.fromEntries(Object.entries(doc.nodes ?? {}).map(wired))
    made.set(key, { nodes, raised: [...raised.values()] })
  }
  return [...own, ...made.get(key)!.raised]
}

/** A document that was run, as it was before it was lifted, with the rest of the inputs that it was run with. */
export function putBack(ran: Doc, inputs: Record<string, Json>): [Doc, Record<string, Json>] {
  const { lifted } = ran.layout ?? {}
  if (!lifted) return [ran, inputs]
  const values = new Map(Object.entries(lifted).flatMap(([input, home]) => (input in inputs ? [[home.join("/"), inputs[input]!] as const] : [])))
  const doc = everywhere(ran, (one, address) => {
    const { lifted = {}, ...layout } = one.layout ?? {}
    const back = Object.keys(one.inputs ?? {}).filter((input) => address.length && values.has([...address, input].join("/")))
    const given = { ...layout.given, ...Object.fromEntries(back.map((input) => [input, values.get([...address, input].join("/"))!])) }
    const names = new Set(Object.keys(lifted))
    const cut = names.size ? rewired(one, (from) => (split(from)[0] === "input" && names.has(split(from)[1]) ? null : from)) : one
    return back.length || names.size ? { ...cut, inputs: without(one.inputs, names), layout: { ...layout, ...(Object.keys(given).length && { given }) } } : one
  })
  return [doc, without(inputs, new Set(Object.keys(lifted)))]
}

// ── answers ─────────────────────────────────────────────────────────────────────────────────────

/** What Python says of a lifted document, of the one that the person sees: of a picture at the node that is given it, and no cure by what they do not have. */
export function told(doc: Doc, problem: Problem): Problem {
  const { raised } = lifted(doc)
  if (!raised.length) return problem
  const names = new Set(raised.map(({ input }) => input))
  const wires = new Set(raised.map(({ input }) => `input.${input}`))
  const { repairs = [], ...rest } = problem
  const known = repairs.filter(({ node, port, from, wires: more }) => !(node === "input" && names.has(port)) && ![from, ...Object.values(more ?? {})].some((one) => one && wires.has(one)))
  const about = problem.node === "input" && raised.find(({ input }) => input === problem.port)
  const [node, ...inside] = about ? about.at.slice(0, -1) : []
  return { ...rest, ...(node && about && { node, port: about.at.at(-1)!, ...(inside.length && { inside: inside.join("/") }) }), ...(known.length && { repairs: known }) }
}

/** Why the server refused, as problems. */
export function toldOf(doc: Doc, { code, message, fix, problems }: ApiError): Problem[] {
  return problems.length ? problems.map((one) => told(doc, one)) : [{ code, message, fix, node: "", port: "", got: "", expected: "", level: "error" }]
}

export function toldAll(doc: Doc, check: Check): Check {
  const { raised } = lifted(doc)
  return raised.length ? { ...check, problems: check.problems.map((one) => told(doc, one)), inputs: without(check.inputs, new Set(raised.map(({ input }) => input))) } : check
}

// What differs between two versions of a graph, in the words of the document: what one would have to do to come from one to the other.
import { type Doc, type Value, isList, isWire } from "./model"

export type Part = "node" | "input" | "output" | "title" | "about" | "layout" | "other"
export type Change = "added" | "removed" | "changed"

export interface Difference {
  part: Part
  change: Change
  name: string // of the node, input, output or field; "" where there is only one
  details: Detail[]
}

export interface Detail {
  port: string
  before: string // "" for none
  after: string
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

/** A value in a line: a wire as where it comes from, words in every language. */
function shown(value: unknown): string {
  if (value === undefined) return ""
  const one = value as Value
  if (isWire(one)) return `← ${one.from}`
  if (isList(one)) return one.list.map(shown).join(", ")
  if (typeof value === "object" && value !== null && "en" in value) return Object.values(value).join(" / ")
  return typeof value === "string" ? value : JSON.stringify(value)
}

function ports(before: Record<string, unknown> = {}, after: Record<string, unknown> = {}): Detail[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((port) => !same(before[port], after[port]))
    .map((port) => ({ port, before: shown(before[port]), after: shown(after[port]) }))
}

function* within(part: Part, before: Record<string, object> = {}, after: Record<string, object> = {}): Generator<Difference> {
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [a, b] = [before[name], after[name]]
    if (!a || !b) yield { part, change: a ? "removed" : "added", name, details: [] }
    else if (!same(a, b)) yield { part, change: "changed", name, details: part === "node" ? ports(flat(a), flat(b)) : ports({ ...a }, { ...b }) }
  }
}

/** A node's ports beside what else it says. */
const flat = (node: object): Record<string, unknown> => {
  const { in: given, ...rest } = node as { in?: Record<string, unknown> }
  return { ...rest, ...given }
}

const ROOMS = new Set(["nodes", "inputs", "outputs", "title", "about", "layout"])

export function differences(before: Doc, after: Doc): Difference[] {
  const rest = (doc: Doc) => Object.fromEntries(Object.entries(doc).filter(([key]) => !ROOMS.has(key)))
  const whole = (part: "title" | "about" | "layout"): Difference[] =>
    same(before[part], after[part]) ? [] : [{ part, change: "changed", name: "", details: part === "layout" ? [] : ports({ [part]: before[part] }, { [part]: after[part] }) }]
  return [
    ...whole("title"), ...whole("about"), ...within("input", before.inputs, after.inputs), ...within("node", before.nodes, after.nodes),
    ...within("output", before.outputs, after.outputs),
    ...ports(rest(before), rest(after)).map((detail): Difference => ({ part: "other", change: "changed", name: detail.port, details: [detail] })), ...whole("layout"),
  ]
}

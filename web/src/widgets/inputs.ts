// A graph's inputs as the editor changes them: what each falls back to, and how one becomes a setting of its node again.
import type { Catalogue, Json, Words } from "../api/types"
import { type Doc, type NodeDoc, disconnect, giveInput, inputValue, isLocal, isWire, links, literal, removeInput, setPort, ungive } from "../document/model"

type Types = Catalogue["nodes"]
const known = new WeakMap<Record<string, NodeDoc>, Record<string, Json>>()

/** What each input is where nobody has set it: the first default among the ports that it feeds; nothing for those that must be given. */
function bases(doc: Doc, types: Types | null): Record<string, Json> {
  if (!doc.nodes || !types) return {}
  const before = known.get(doc.nodes)
  if (before) return before
  const found: Record<string, Json> = {}
  for (const { node, port, to, toPort } of links(doc)) {
    const fed = node === "input" && !(port in found) ? types[doc.nodes[to]?.op ?? ""]?.inputs[toPort] : undefined
    if (fed && "default" in fed) found[port] = fed.default as Json
  }
  known.set(doc.nodes, found)
  return found
}

/** What an input is once it is reset: the document's default under a picture of this server, else that of its ports. */
export const fallbackOf = (doc: Doc, types: Types | null, name: string): Json | undefined =>
  doc.layout?.given?.[name] === undefined ? bases(doc, types)[name] : doc.inputs?.[name]?.default

export const same = (a: Json | undefined, b: Json | undefined): boolean => a === b || JSON.stringify(a) === JSON.stringify(b)

/** An input with another value; undefined: what it falls back to. */
export function inputChanged(doc: Doc, types: Types | null, name: string, value: Json | undefined): Doc {
  if (value !== undefined) return giveInput(doc, name, value)
  const covered = doc.layout?.given?.[name] !== undefined && doc.inputs?.[name]?.default !== undefined
  return covered ? ungive(doc, name) : giveInput(doc, name, bases(doc, types)[name])
}

/** A port that is no longer fed by an input of the graph, but has its value. An input that feeds nothing else goes. */
export function demoted(doc: Doc, node: string, port: string): Doc {
  const fed = links(doc).filter((one) => one.node === "input")
  const link = fed.find((one) => one.to === node && one.toPort === port)
  if (!link || !isWire(doc.nodes?.[node]?.in?.[port])) return doc
  if (fed.filter((one) => one.port === link.port).length === 1) return removeInput(doc, link.port)
  const value = inputValue(doc, link.port)
  return value === undefined || value === null || isLocal(value) ? disconnect(doc, link) : setPort(doc, node, port, literal(value))
}

/** Words with those of one language changed; undefined where nothing is left. */
export function reworded(before: Words | undefined, language: string, text: string): Words | undefined {
  if (typeof before !== "object") return text || undefined
  const { [language]: _, ...others } = before
  const made = text ? { ...others, [language]: text } : others
  return Object.keys(made).length ? made : undefined
}

// A repair as an edit of the document: one step of undo, as any other.
import type { Json, Repair } from "../api/types"
import { type Doc, type Point, connect, freeName, giveInput, ledFrom, literal, place, removeOutput, setPort } from "../document/model"

/** The document after a repair that Python offered; the same if what it speaks of is not there any more. */
export function mended(doc: Doc, repair: Repair): Doc {
  const { kind, node, port } = repair
  if (node === "input") return kind === "set" && doc.inputs?.[port] ? giveInput(doc, port, repair.value as Json) : doc
  if (node === "") return kind === "cut" ? removeOutput(doc, port) : doc
  if (!doc.nodes?.[node]) return doc
  if (kind === "insert") return between(doc, repair)
  if (kind === "wire") return connect(doc, repair.from!, node, port)
  if (kind === "set") return setPort(doc, node, port, literal(repair.value as Json))
  return setPort(doc, node, port, undefined)
}

/** A node between an output and the port that it did not fit; in the middle of the two if somebody has placed them. */
function between(doc: Doc, { op = "", version, from = "", input = "", output, wires, node, port }: Repair): Doc {
  const name = freeName(op.slice(op.lastIndexOf(".") + 1), doc.nodes)
  const ports = Object.fromEntries([[input, { from }], ...Object.entries(wires ?? {}).map(([other, source]) => [other, { from: source }] as const)])
  const made = { ...doc, nodes: { ...doc.nodes, [name]: { op, version, in: ports } } }
  const before = doc.nodes![node]!.in?.[port]
  const wired = before === undefined ? made : setPort(made, node, port, ledFrom(before, from, `${name}.${output}`))
  const [a, b] = [doc.layout?.nodes?.[from.slice(0, from.indexOf("."))], doc.layout?.nodes?.[node]]
  return a && b ? place(wired, { [name]: [Math.round((a[0] + b[0]) / 2), Math.round((a[1] + b[1]) / 2) + 60] as Point }) : wired
}

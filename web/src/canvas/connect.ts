// Wires made, led elsewhere, cut, and what becomes of one that is dropped on a card or on the ground.
import type { Connection, Edge } from "@xyflow/react"
import { nodeType } from "../app/catalogue"
import type { Json } from "../api/types"
import { type Doc, INPUTS, type Link, OUTPUTS, addOutput, connect, disconnect, isList, ledFrom, links, promote, setPort } from "../document/model"
import { edit } from "../document/store"
import { type End, useHeld } from "./held"

export interface Ends {
  from: string // "node.port"
  to: string
  toPort: string
}

const reference = (node: string, port: string) => `${node === INPUTS ? "input" : node}.${port}`

export const endsOf = ({ source, sourceHandle, target, targetHandle }: Connection): Ends =>
  ({ from: reference(source, sourceHandle ?? ""), to: target, toPort: targetHandle ?? "" })

/** The wire between what is held and another end. */
export const between = (held: End, other: { node: string; port: string }): Ends =>
  held.side === "output"
    ? { from: `${held.node}.${held.port}`, to: other.node, toPort: other.port }
    : { from: `${other.node}.${other.port}`, to: held.node, toPort: held.port }

/** Join as Python said when the wire was taken up: a list takes it as one more, any other port in place of what it had. */
export function joined(doc: Doc, { from, to, toPort }: Ends): Doc {
  const { end, items } = useHeld.getState()
  const listed = items.has(end?.side === "output" ? `${to}.${toPort}` : from)
  if (listed && links(doc).some((link) => link.to === to && link.toPort === toPort && `${link.node}.${link.port}` === from)) return doc
  return connect(doc, from, to, toPort, listed)
}

/** Lead an end of a wire elsewhere. In a list the new wire takes the place of the old one. */
export function led(doc: Doc, old: Link, ends: Ends): Doc {
  const before = doc.nodes?.[old.to]?.in?.[old.toPort]
  if (ends.to === old.to && ends.toPort === old.toPort && isList(before)) return setPort(doc, old.to, old.toPort, ledFrom(before, `${old.node}.${old.port}`, ends.from))
  return joined(old.to === OUTPUTS && ends.to === OUTPUTS && old.toPort === ends.toPort ? doc : disconnect(doc, old), ends)
}

/** Only what Python has ruled out is refused; while it has not answered, the check after the edit tells. */
export function mayConnect({ source, sourceHandle, target, targetHandle }: Connection | Edge): boolean {
  if (!source || !target || source === target) return false
  const { end, fits } = useHeld.getState()
  if (!end || !fits || target === OUTPUTS) return true
  return !fits.get(end.side === "output" ? `${target}.${targetHandle}` : reference(source, sourceHandle ?? ""))
}

/** The ports of a node that what is held fits, those that have nothing yet first. */
export function fittingPorts(doc: Doc, node: string): string[] {
  const { fits } = useHeld.getState()
  const ports = [...(fits ?? [])].flatMap(([id, why]) => (!why && id.slice(0, id.indexOf(".")) === node ? [id.slice(node.length + 1)] : []))
  const taken = (port: string) => Number(doc.nodes?.[node]?.in?.[port] !== undefined)
  return ports.sort((a, b) => taken(a) - taken(b))
}

/** Make a node's port an input of the graph, or its output one of the graph's. True if the card takes such a wire. */
export function droppedOnOwnCard(card: string, { node, port, side }: End): boolean {
  if (card === INPUTS && side === "input" && node !== OUTPUTS) {
    edit((doc) => promote(doc, node, port, nodeType(doc.nodes?.[node]?.op ?? "")?.inputs[port]?.default as Json | undefined)[0])
    return true
  }
  if (card === OUTPUTS && side === "output") {
    edit((doc) => addOutput(doc, `${node}.${port}`)[0])
    return true
  }
  return false
}

// What a card shows and how large it is, from the document alone: rows have fixed heights, so that sockets are where they are before anything is drawn.
import type { InputPort, Json, NodeType, OutputPort, TypeShape } from "../api/types"
import type { FramedPort } from "../document/frames"
import type { Size } from "../document/layout"
import { axesOf } from "../document/sweeps"
import { type Doc, INPUTS, isList, isWire, type NodeDoc, OUTPUTS, plain } from "../document/model"

export const WIDTH = 228
export const HEAD = 34
export const ROW = 26
export const FIELD = 30 // a widget beside its label
export const TEXT = 92 // room to write
export const PICTURE = 148
export const PADDING = 8
export const WIDE = 272

export type Kind = "socket" | "check" | "field" | "text" | "picture"
const HEIGHTS: Record<Kind, number> = { socket: ROW, check: ROW, field: FIELD, text: TEXT, picture: PICTURE }

export interface Row {
  port: string
  kind: Kind
  height: number
  top: number // of the row, from the card's
  input?: InputPort
  output?: [name: string, port: OutputPort] // shown at the right end of the same row
}

export interface Shape extends Size {
  rows: Row[]
  hidden: number // settings that are folded away
}

/** The members of a union that are not None; any other type alone. */
export function members(type: TypeShape): TypeShape[] {
  return (type.kind === "union" ? (type.members ?? []) : [type]).filter(({ kind, name }) => !(kind === "plain" && name === "None"))
}

/** The one member that says what a widget is, if there is one. */
export function core(type: TypeShape): TypeShape | undefined {
  const found = members(type)
  return found.find(({ kind }) => kind === "choice") ?? found.find(({ kind }) => kind === "plain") ?? found[0]
}

/** How a port is edited in place; "socket" if it can only be wired. */
export function kindOf(port: { type: TypeShape; multiline?: boolean }): Kind {
  const type = core(port.type)
  if (!type) return "socket"
  if (type.kind === "choice") return "field"
  if (type.kind === "plain") return type.name === "bool" && type === port.type ? "check" : port.multiline ? "text" : "field"
  if (type.kind === "list" && type.item) return type.item.kind === "plain" || type.item.name === "Text" || type.item.name === "Seed" ? "text" : kindOf({ type: type.item }) === "picture" ? "picture" : "socket"
  if (type.kind !== "socket") return "socket"
  return ({ Text: "text", Seed: "field", Image: "picture", Mask: "picture" } as Record<string, Kind>)[type.name ?? ""] ?? "socket"
}

/** Whether the items of a list are written one a line; others are written in a row: 0..7, or 3,5,7. */
export function inLines(type: TypeShape): boolean {
  const item = core(type.item ?? type)
  return item?.kind === "choice" || item?.name === "str" || item?.name === "Path" || item?.name === "Text"
}

/** Inside a graph only plain types have literals; pictures and texts come by wire, from an input of the graph. */
export function literalKind(port: FramedPort): Kind {
  if (port.each && port.type.item) return literalKind({ ...port, type: port.type.item, each: undefined }) === "socket" ? "socket" : inLines(port.type) ? "text" : "field"
  const kind = kindOf(port)
  const type = core(port.type)
  if (type?.kind === "list") return type.item?.kind === "plain" ? kind : "socket"
  return kind === "picture" || (type?.kind === "socket" && type.name !== "Seed" && type.name !== "Text") ? "socket" : kind
}

/** Rows of a frame that are no ports. */
export const COMBINE = ":combine"
export const LOOP = ":loop"

/** Whether a port is shown though all settings are not: it must be given, is given, or is one of few. */
const FEW = 3

export function shapeOf(node: NodeDoc, spec: NodeType, { open, collapsed }: { open: boolean; collapsed: boolean }): Shape {
  const outputs = Object.entries(spec.outputs)
  if (collapsed) return { rows: [], width: WIDTH, height: HEAD, hidden: 0 }
  const ports = Object.entries(spec.inputs)
  const optional = ports.filter(([name, port]) => "default" in port && node.in?.[name] === undefined)
  const folded = open || optional.length <= FEW ? new Set<string>() : new Set(optional.slice(literalsFirst(optional)).map(([name]) => name))
  const shown = ports.filter(([name]) => !folded.has(name))
  const sockets = shown.filter(([, port]) => literalKind(port) === "socket")
  const fields = shown.filter(([, port]) => literalKind(port) !== "socket")
  const rows: Row[] = []
  let top = HEAD + PADDING
  const push = (row: Omit<Row, "top" | "height">) => {
    const height = HEIGHTS[row.kind]
    rows.push({ ...row, height, top })
    top += height
  }
  for (let i = 0; i < Math.max(sockets.length, outputs.length); i++) {
    const [port, input] = sockets[i] ?? [`>${i}`, undefined]
    push({ port, kind: "socket", input, output: outputs[i] })
  }
  for (const [port, input] of fields) push({ port, kind: isWire(node.in?.[port]) || isList(node.in?.[port]) ? "socket" : literalKind(input), input })
  if ((node.each?.length ?? 0) > 1) push({ port: COMBINE, kind: "field" })
  if (node.loop) push({ port: LOOP, kind: "field" })
  const hidden = folded.size || (open && optional.length > FEW ? optional.length : 0)
  return { rows, width: WIDTH, height: top + (hidden ? ROW : 0) + PADDING, hidden: folded.size }
}

/** The first few optional settings stay in view; sockets that may stay empty do not. */
function literalsFirst(optional: [string, InputPort][]): number {
  optional.sort(([, a], [, b]) => Number(literalKind(a) === "socket") - Number(literalKind(b) === "socket"))
  return Math.min(2, optional.filter(([, port]) => literalKind(port) !== "socket").length)
}

export const hasMore = (spec: NodeType, node: NodeDoc): boolean =>
  Object.entries(spec.inputs).filter(([name, port]) => "default" in port && node.in?.[name] === undefined).length > FEW

export interface FormRow {
  name: string
  kind: Kind
  height: number
  top: number
}

/** An input that nobody has set, and that need not be: the model or the node decides. */
const isIdle = (doc: Doc, name: string): boolean => doc.inputs?.[name]?.default === null && doc.layout?.given?.[name] === undefined

/** The card of the graph's inputs: a form. types: of each, as far as Python has told. folded: inputs that are not shown, their wires beginning at `foot`.
 * sweep: where it is told that inputs take several values; null where none does. */
export function inputsShape(doc: Doc, types: Record<string, { type: TypeShape; multiline?: boolean }>): Size & { rows: FormRow[]; folded: string[]; idle: number; foot: number; sweep: number | null } {
  const names = Object.keys(doc.inputs ?? {})
  const axes = axesOf(doc)
  const idle = names.filter((name) => isIdle(doc, name) && !(name in axes))
  const folded = idle.length > FEW && !doc.layout?.open?.includes(INPUTS) ? idle : []
  let top = HEAD + PADDING
  const rows = names.filter((name) => !folded.includes(name)).map((name) => {
    const own = types[name] ? kindOf(types[name]) : "field"
    const type = types[name]?.type
    const kind = name in axes && own !== "picture" ? (type && (inLines(type) || core(type)?.kind === "list") ? "text" : "field") : own
    const row = { name, kind, height: HEIGHTS[kind], top }
    top += row.height
    return row
  })
  const more = idle.length > FEW ? ROW : 0
  const sweep = Object.keys(axes).length ? top + more : null
  return { rows, folded, idle: more ? idle.length : 0, foot: top, sweep, width: WIDE, height: top + more + (sweep === null ? 0 : FIELD) + ROW + PADDING }
}

export interface UnknownRow {
  top: number
  port?: string // at the left
  value?: string // what is written there, if it is not wired
  output?: string // at the right
}

/** What is written of a node whose type is not here, or is another by now: its wires, and what it is given otherwise. outputs: those that something reads. */
export function unknownShape(node: NodeDoc, outputs: readonly string[]): Size & { rows: UnknownRow[] } {
  const wired = Object.entries(node.in ?? {}).flatMap(([port, value]) => (plain(value) === undefined ? [port] : []))
  const rows: Omit<UnknownRow, "top">[] = Array.from({ length: Math.max(wired.length, outputs.length) }, (_, i) => ({ port: wired[i], output: outputs[i] }))
  for (const [port, value] of Object.entries(node.in ?? {})) if (!wired.includes(port)) rows.push({ port, value: written(plain(value)!) })
  const unnamed = (node.comfyui as { widgets?: Json[] } | undefined)?.widgets // ComfyUI's saved workflows name no settings of nodes that are not known
  if (Array.isArray(unnamed)) rows.push(...unnamed.map((value, i) => ({ port: `${i + 1}`, value: written(value) })))
  return { rows: rows.map((row, i) => ({ ...row, top: HEAD + PADDING + i * ROW })), width: WIDTH, height: HEAD + 2 * PADDING + ROW * Math.max(1, rows.length) }
}

const written = (value: Json): string => (typeof value === "string" ? value : JSON.stringify(value))

export const BEND: Size = { width: 44, height: 22 }

export const RESULT = 208

/** The card of the graph's outputs: each with room for what it gave. */
export function outputsShape(doc: Doc): Size & { rows: FormRow[] } {
  let top = HEAD + PADDING
  const rows = Object.keys(doc.outputs ?? {}).map((name) => {
    const row = { name, kind: "picture" as const, height: RESULT, top }
    top += row.height
    return row
  })
  return { rows, width: WIDE, height: top + ROW + PADDING }
}

export const isOwnCard = (id: string): boolean => id === INPUTS || id === OUTPUTS

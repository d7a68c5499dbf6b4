// Which widget edits a value: by the type of its port, and by what is there.
import type { Bounds, Json, TypeShape, Words } from "../api/types"
import { core, inLines, members } from "../canvas/shape"
import { areTexts } from "./lines"

/** A port of a node, or an input of the graph, as a widget needs it. */
export interface FieldPort {
  type: TypeShape
  help: Words
  default?: unknown
  between?: Bounds
  multiline?: boolean
  source?: boolean
  each?: boolean // its items are given one by one to what runs once for each
}

export interface WidgetProps {
  id: string // of the control
  at: string // "node.port", node being `input` for an input of the graph
  label: string
  port: FieldPort
  shown: Json | undefined // the value, or the default where it has none
  isDefault: boolean
  /** undefined: the default again. going: more of the same kind may follow, as when somebody types. */
  change(value: Json | undefined, going?: boolean): void
}

export type WidgetKind = "check" | "choice" | "model" | "seed" | "slider" | "number" | "spread" | "row" | "rows" | "lines" | "text" | "line" | "pictures" | "mask"

export const isOptional = (type: TypeShape): boolean => type.kind === "union" && (type.members ?? []).some(({ name }) => name === "None")

const isWhole = (type: TypeShape | undefined) => type?.kind === "plain" && type.name === "int"
const isNumber = (type: TypeShape | undefined) => type?.kind === "plain" && (type.name === "int" || type.name === "float")

/** Whether only whole numbers are taken. */
export const whole = (port: FieldPort): boolean => members(port.type).some(isWhole) && !members(port.type).some(({ name }) => name === "float")

/** The sockets that a port takes, alone or in lists. */
const sockets = (type: TypeShape): string[] =>
  members(type).flatMap(({ kind, name, item }) => (kind === "list" && item ? sockets(item) : kind === "socket" && name ? [name] : []))

/** Whether nothing but lists are taken one by one. */
export const eachIsList = ({ each, type }: FieldPort): boolean => each === true && core(type.item ?? type)?.kind === "list"

const hasLists = (shown: Json | undefined): boolean => Array.isArray(shown) && shown.some(Array.isArray)

const STEPS = 100 // that a hand can tell apart on a slider

function isShort(port: FieldPort): boolean {
  const { low, high, step } = port.between ?? {}
  if (low === undefined || high === undefined || high <= low) return false
  return whole(port) || step ? (high - low) / (step ?? 1) <= STEPS : high - low <= 10
}

export function widgetOf(port: FieldPort, shown: Json | undefined): WidgetKind {
  const type = core(port.type)
  if (port.source) return "model"
  if (sockets(port.type).includes("Mask")) return "mask"
  if (sockets(port.type).includes("Image")) return "pictures"
  if (eachIsList(port) || (port.each && hasLists(shown))) return "rows"
  if (port.each) return inLines(port.type) ? "lines" : "spread"
  if (type?.kind === "choice") return "choice"
  if (type?.name === "bool") return isOptional(port.type) ? "choice" : "check"
  if (type?.kind === "socket" && type.name === "Seed") return "seed"
  if (isNumber(type)) return isShort(port) && (port.default !== null || typeof shown === "number") && !isOptional(port.type) ? "slider" : "number"
  if (type?.kind === "list" && !areTexts(type)) return "row"
  if (Array.isArray(shown) || type?.kind === "list") return "lines"
  if (type?.name === "Text" || port.multiline) return "text"
  return "line"
}

/** Whether a port takes several texts as well as one. */
export const takesTexts = (port: FieldPort): boolean => sockets(port.type).includes("Text")

/** What a drop-down offers. */
export function choices(port: FieldPort): { values: Json[]; free: boolean } {
  const found = members(port.type)
  const values = found.flatMap(({ kind, values }) => (kind === "choice" ? ((values ?? []) as Json[]) : []))
  if (!values.length) values.push(true, false)
  return { values: isOptional(port.type) ? [null, ...values] : values, free: found.some(({ kind, name }) => kind === "plain" && name === "str") }
}

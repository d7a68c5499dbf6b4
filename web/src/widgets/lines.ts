// Lists as lines: one item a line.
import type { Json } from "../api/types"
import { members } from "../canvas/shape"
import type { FieldPort } from "./kind"

/** Whether the items are texts; else they are written as JSON writes them. */
function areTexts(port: FieldPort): boolean {
  const items = members(port.type).flatMap(({ kind, item }) => (kind === "list" && item ? [item] : []))
  return !items.length || items.some(({ kind, name }) => (kind !== "plain" && name !== "Seed") || name === "str" || name === "Path")
}

export function written(items: Json | undefined): string {
  const several = Array.isArray(items) ? items : items === undefined || items === null ? [] : [items]
  return several.map((item) => (typeof item === "string" ? item : JSON.stringify(item))).join("\n")
}

/** The items of a text; null if a line cannot be read. A last line that is still empty is none yet. */
export function itemsOf(text: string, port: FieldPort): Json[] | null {
  const lines = text.replace(/\n$/, "").split("\n")
  if (lines.length === 1 && !lines[0]) return []
  if (areTexts(port)) return lines
  try {
    return lines.filter((line) => line.trim()).map((line) => JSON.parse(line) as Json)
  } catch {
    return null
  }
}

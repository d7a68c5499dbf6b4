// Lists as they are written: one item a line, or in a row as on a command line.
import type { Json, TypeShape } from "../api/types"
import { members } from "../canvas/shape"

/** Whether what a type takes, alone or in lists, are texts. */
export const areTexts = (type: TypeShape): boolean =>
  members(type).every(({ kind, name, item, values }) => {
    if (kind === "list") return item !== undefined && areTexts(item)
    return kind === "choice" ? (values ?? []).every((one) => typeof one === "string") : name === "str" || name === "Path" || name === "Text"
  })

const word = (one: Json): string => (typeof one === "string" ? one : JSON.stringify(one))

export function written(items: Json | undefined): string {
  const several = Array.isArray(items) ? items : items === undefined || items === null ? [] : [items]
  return several.map(word).join("\n")
}

/** The texts of lines. A last line that is still empty is none yet. */
export function itemsOf(text: string): string[] {
  const lines = text.replace(/\n$/, "").split("\n")
  return lines.length === 1 && !lines[0] ? [] : lines
}

export const inRow = (items: Json[]): string => items.map(word).join(", ")

/** Lists, a line each; as JSON where the words would be read otherwise. */
export const inRows = (lists: Json[]): string =>
  lists.map((one) => (Array.isArray(one) ? one : [one])).map((list) => (list.length && list.every(isPlain) ? inRow(list) : JSON.stringify(list))).join("\n")

const isPlain = (one: Json): boolean => typeof one !== "string" || (one !== "" && one.trim() === one && !/^["[]|,|[\p{Cc}\u2028\u2029]/u.test(one))

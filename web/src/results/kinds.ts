// What kind of thing an output is, by its type's name as a run tells it.
import type { RunOutput } from "../api/types"

export const itemType = (type: string): string => type.replace(/^list\[(.*)\]$/, "$1")

export function kindOf(type: string): "picture" | "text" | "other" {
  const item = itemType(type)
  return item === "Image" || item === "Mask" ? "picture" : item === "Text" || item === "str" ? "text" : "other"
}

/** How many pictures an output has, those of all its items together. */
export function pictureCount({ summary }: Pick<RunOutput, "summary">): number {
  const { count, items } = summary as { count?: number; items?: { count?: number }[] }
  if (!items) return count ?? 1
  const shown = items.reduce((sum, item) => sum + (item.count ?? 1), 0)
  return shown + Math.max(0, (count ?? 0) - items.length) // of a long list only the first items are told
}

/** The first words of a text output. */
export const firstWords = ({ summary }: Pick<RunOutput, "summary">): string => String(summary.text ?? summary.value ?? "")

/** The name of a button that shows something: what is read aloud has in it what is seen. */
export const aloud = (name: string, seen: string): string => (seen ? `${name}: ${seen}` : name)

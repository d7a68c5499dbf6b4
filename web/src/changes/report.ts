// The report of an import, put in order.
import type { ImportLine } from "../api/types"
import { type Doc, INPUTS, OUTPUTS } from "../document/model"

/** As Python calls what became of a part of the file; what asks for something comes first. */
export const STATES = ["missing", "placeholder", "changed", "left out", "mapped", "note"] as const
export type State = (typeof STATES)[number]

/** The lines by state, without those of which there are none; and what is said of the file as a whole. */
export function sorted(lines: readonly ImportLine[]): { groups: [State, ImportLine[]][]; remarks: string[] } {
  const whole = (line: ImportLine) => line.state === "note" && !line.type
  const groups = STATES.map((state): [State, ImportLine[]] => [state, lines.filter((line) => line.state === state && !whole(line))])
  return { groups: groups.filter(([, found]) => found.length), remarks: lines.filter(whole).map(({ why }) => why) }
}

/** What a line speaks of, each with the card where that is now; null where it is no more. */
export const places = (became: string, { nodes }: Doc): { name: string; card: string | null }[] =>
  became.split(", ").filter(Boolean).map((name) => {
    const card = name.startsWith("input.") ? INPUTS : name.startsWith("output.") ? OUTPUTS : name
    return { name, card: card === name && !nodes?.[name] ? null : card }
  })

/** The whole as text. */
export const asText = (lines: readonly ImportLine[]): string =>
  lines.map(({ state, type, node, title, became, why }) => [`${state}:`, [type, node && `#${node}`, title && `“${title}”`].filter(Boolean).join(" "), became && `→ ${became}`, why && `(${why})`].filter(Boolean).join(" ")).join("\n")

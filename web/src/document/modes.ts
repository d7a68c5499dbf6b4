// Nodes that are switched off: muted with all that cannot do without them, or bypassed.
import type { Check } from "../api/types"
import type { Doc, Mode } from "./model"

/** How a node is seen: off is what a muted one takes along. */
export type Seen = Mode | "off"

/** Switch nodes to a mode; on again if all of them are in it. */
export function switched(doc: Doc, names: readonly string[], mode: Mode): Doc {
  const meant = names.filter((name) => doc.nodes?.[name])
  if (!meant.length) return doc
  const on = meant.every((name) => doc.nodes![name]!.mode === mode)
  const nodes = { ...doc.nodes }
  for (const name of meant) {
    const { mode: _, ...rest } = nodes[name]!
    nodes[name] = on ? rest : { ...rest, mode }
  }
  return { ...doc, nodes }
}

/** A node's own mode, else whether it is left out with a muted one, as Python says. */
export const modeOf = (doc: Doc, check: Check | null, name: string): Seen | undefined => doc.nodes?.[name]?.mode || (check?.off[name] ? "off" : undefined)

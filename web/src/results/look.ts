// The wire that is looked at: which value flowed through it.
import { create } from "zustand"
import { ApiError, api } from "../api/client"
import type { GraphRequest, Looked } from "../api/types"
import { asked, askedHere } from "../document/asked"
import { fromOutside } from "../document/graphs"
import { plain, split } from "../document/model"
import { useDocument } from "../document/store"

export interface Looking {
  edge: string // "node.output", or "input.name"
  whole: string // the same as a run of the whole document calls it
  at: [x: number, y: number] // on the screen
  item: number // slice of a stack of maps
  found: Looked | null // null while it is asked for
  problem: string
}

export const useLook = create<{ looking: Looking | null }>()(() => ({ looking: null }))
let asking: AbortController | null = null

export function look(edge: string, at: [number, number], item = 0): void {
  asking?.abort()
  const before = useLook.getState().looking
  const about = question(edge)
  useLook.setState({ looking: { edge, whole: about.edge, at, item, found: before?.whole === about.edge ? before.found : null, problem: "" } })
  const { signal } = (asking = new AbortController())
  api.look({ ...about, item }, signal).then(
    (found) => tell({ found }),
    (error: unknown) => {
      if (!signal.aborted) tell({ problem: error instanceof ApiError ? [error.message, error.fix].filter(Boolean).join(". ") : String(error) })
    },
  )
}

/** Inside a node the whole document is asked; what the node is given as it stands is an input of the graph that is shown. */
function question(edge: string): GraphRequest & { edge: string } {
  const { root, way } = useDocument.getState()
  const found = fromOutside(root, way, edge)
  if ("wire" in found) return { ...asked(), edge: found.wire }
  const value = plain(found.value)
  return { ...askedHere(), edge, ...(value !== undefined && { inputs: { [split(edge)[1]]: value } }) }
}

const tell = (change: Partial<Looking>): void => useLook.setState(({ looking }) => ({ looking: looking && { ...looking, ...change } }))

export function lookAway(): void {
  asking?.abort()
  useLook.setState({ looking: null })
}

/** Look again at what is looked at: a run has ended. */
export function lookAgain(): void {
  const { looking } = useLook.getState()
  if (looking && !looking.found?.here) look(looking.edge, looking.at, looking.item)
}


// The wire that is looked at: which value flowed through it.
import { create } from "zustand"
import { ApiError, api } from "../api/client"
import type { Looked } from "../api/types"
import { asked } from "../document/asked"

export interface Looking {
  edge: string // "node.output", or "input.name"
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
  useLook.setState({ looking: { edge, at, item, found: before?.edge === edge ? before.found : null, problem: "" } })
  const { signal } = (asking = new AbortController())
  api.look({ ...asked(), edge, item }, signal).then(
    (found) => tell({ found }),
    (error: unknown) => {
      if (!signal.aborted) tell({ problem: error instanceof ApiError ? [error.message, error.fix].filter(Boolean).join(". ") : String(error) })
    },
  )
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


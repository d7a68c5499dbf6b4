// The open graph as every question about it names it: to check, to plan, to run, to look at a value.
import type { CheckRequest, GraphRequest } from "../api/types"
import { lifted } from "./lifted"
import type { Doc } from "./model"
import { useDocument } from "./store"
import { axesOf, combineOf } from "./sweeps"

/** A document in place of the open one. */
export function askedOf(about: Doc): Required<GraphRequest> {
  const { doc, inputs } = lifted(about)
  return { graph: doc as Record<string, unknown>, name: useDocument.getState().name, inputs }
}

/** The whole document: what is run. */
export const asked = (): Required<GraphRequest> => askedOf(useDocument.getState().root)

/** The same with the inputs that take several values in turn. */
export function askedToSweep(): Required<CheckRequest> {
  const { root } = useDocument.getState()
  return { ...asked(), axes: axesOf(root), combine: combineOf(root) }
}

/** The graph that is shown: what its wires and settings may be. */
export const askedHere = (): Required<GraphRequest> => askedOf(useDocument.getState().doc)

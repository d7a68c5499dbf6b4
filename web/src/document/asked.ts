// The open graph as every question about it names it: to check, to plan, to run, to look at a value.
import type { CheckRequest, GraphRequest } from "../api/types"
import { inputsOf } from "./model"
import { useDocument } from "./store"
import { axesOf, combineOf } from "./sweeps"

/** The whole document: what is run. */
export function asked(): Required<GraphRequest> {
  const { root, name } = useDocument.getState()
  return { graph: root as Record<string, unknown>, name, inputs: inputsOf(root) }
}

/** The same with the inputs that take several values in turn. */
export function askedToSweep(): Required<CheckRequest> {
  const { root } = useDocument.getState()
  return { ...asked(), axes: axesOf(root), combine: combineOf(root) }
}

/** The graph that is shown: what its wires and settings may be. */
export function askedHere(): Required<GraphRequest> {
  const { doc, name } = useDocument.getState()
  return { graph: doc as Record<string, unknown>, name, inputs: inputsOf(doc) }
}

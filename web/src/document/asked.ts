// The open graph as every question about it names it: to check, to plan, to run, to look at a value.
import type { GraphRequest } from "../api/types"
import { inputsOf } from "./model"
import { useDocument } from "./store"

export function asked(): Required<GraphRequest> {
  const { doc, name } = useDocument.getState()
  return { graph: doc as Record<string, unknown>, name, inputs: inputsOf(doc) }
}

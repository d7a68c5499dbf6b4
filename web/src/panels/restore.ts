// The graph and inputs that made a run, back in the editor: one step of undo.
import { api } from "../api/client"
import type { Json } from "../api/types"
import { putBack } from "../document/lifted"
import type { Doc } from "../document/model"
import { withInputs } from "../document/open"
import { editWhole, wholeDoc } from "../document/store"

/** The document that was run, with the run's inputs as its own, laid out as the open one where the names are the same. */
export function restored(ran: Doc, inputs: Record<string, Json>, open: Doc): Doc {
  const [doc, given] = putBack(ran, inputs)
  return withInputs(doc.layout && Object.keys(doc.layout.nodes ?? {}).length ? doc : { ...doc, layout: open.layout }, given)
}

export async function restore(run: string): Promise<void> {
  const [graph, { inputs }] = await Promise.all([api.runGraph(run), api.readRun(run)])
  const doc = restored(graph, (inputs ?? {}) as Record<string, Json>, wholeDoc())
  editWhole(() => doc)
}

// The graph and inputs that made a run, back in the editor: one step of undo.
import { api } from "../api/client"
import type { Json } from "../api/types"
import { type Doc, giveInput } from "../document/model"
import { editWhole, wholeDoc } from "../document/store"

/** The document that was run, with the run's inputs as its own, laid out as the open one where the names are the same. */
export function restored(ran: Doc, inputs: Record<string, unknown>, open: Doc): Doc {
  const laid: Doc = ran.layout && Object.keys(ran.layout.nodes ?? {}).length ? ran : { ...ran, layout: open.layout }
  return Object.entries(inputs).reduce((doc, [name, value]) => (doc.inputs?.[name] ? giveInput(doc, name, value as Json) : doc), laid)
}

export async function restore(run: string): Promise<void> {
  const [graph, { inputs }] = await Promise.all([api.runGraph(run), api.readRun(run)])
  const doc = restored(graph, inputs ?? {}, wholeDoc())
  editWhole(() => doc)
}

// What a person does with runs: submit, stop.
import { api } from "../api/client"
import { asked } from "../document/asked"
import { currentDoc } from "../document/store"
import { afterSubmit } from "../widgets/seeds"
import { follow } from "./store"

/** targets: outputs of the graph, or edges "node.output"; without them every output. */
export async function submit(targets: string[] | null = null): Promise<void> {
  const doc = currentDoc()
  follow(await api.run({ ...asked(), targets }), doc)
  afterSubmit()
}

// What a person does with runs: submit, stop.
import { api } from "../api/client"
import { tellError } from "../app/toasts"
import { asked } from "../document/asked"
import { useDocument } from "../document/store"
import { afterSubmit } from "../widgets/seeds"
import { isActive } from "./frames"
import { lookAtQueue, refuse, taken, useRuns, whileSubmitting } from "./store"

/** targets: outputs of the graph, or edges "node.output"; without them every output. */
export async function submit(targets: string[] | null = null): Promise<void> {
  const { name } = useDocument.getState()
  await whileSubmitting(async () => {
    try {
      taken(await api.run({ ...asked(), targets }), name)
      afterSubmit()
    } catch (error) {
      refuse(error)
    }
  })
}

/** Ask the run that is shown to stop at its next step; else what runs at all. */
export async function interrupt(): Promise<void> {
  const { current, running } = useRuns.getState()
  const id = isActive(current) ? current!.id : running[0]?.id
  if (id) await api.cancel(id).catch(tellError)
  lookAtQueue()
}

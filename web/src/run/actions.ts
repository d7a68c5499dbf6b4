// What a person does with runs: submit, stop.
import { api } from "../api/client"
import { tellError } from "../app/toasts"
import { asked, askedToSweep } from "../document/asked"
import { useDocument } from "../document/store"
import { afterSubmit } from "../widgets/seeds"
import { saidAll } from "../widgets/unsaid"
import { isActive } from "./frames"
import { useSweep } from "../sweeps/store"
import { lookAtQueue, refuse, sweepTaken, taken, useRuns, whileSubmitting } from "./store"

/** targets: outputs of the graph, or edges "node.output"; without them every output, and where inputs take several values a sweep over them. */
export async function submit(targets: string[] | null = null): Promise<void> {
  if (!(await saidAll())) return
  const { name } = useDocument.getState()
  await whileSubmitting(async () => {
    try {
      const sweep = askedToSweep()
      if (targets === null && Object.keys(sweep.axes).length) sweepTaken(await api.sweep({ ...sweep, targets }), name)
      else taken(await api.run({ ...asked(), targets }), name)
      afterSubmit()
    } catch (error) {
      refuse(error)
    }
  })
}

/** Ask the run or the sweep that is shown to stop at its next step; else what runs at all. */
export async function interrupt(): Promise<void> {
  const { sweep } = useSweep.getState()
  if (sweep && !sweep.ended) {
    await api.cancelSweep(sweep.id).catch(tellError)
    return lookAtQueue()
  }
  const { current, running } = useRuns.getState()
  const id = isActive(current) ? current!.id : running[0]?.id
  if (id) await api.cancel(id).catch(tellError)
  lookAtQueue()
}

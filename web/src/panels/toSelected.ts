// Run to the node that is selected: all its outputs, and nothing that hangs on it.
import { useReactFlow } from "@xyflow/react"
import { useEffect } from "react"
import { nodeType } from "../app/catalogue"
import { placed } from "../document/graphs"
import { currentDoc, useDocument } from "../document/store"
import { register } from "../keys/commands"
import { submit } from "../run/actions"

/** The edges that a run to this node asks for. */
export function edgesOf(id: string): string[] {
  const spec = nodeType(currentDoc().nodes?.[id]?.op ?? "")
  return Object.keys(spec?.outputs ?? {}).map((port) => placed(useDocument.getState().way, `${id}.${port}`))
}

export function useRunToSelected(): void {
  const { getNodes } = useReactFlow()
  useEffect(() => {
    const wanted = () => getNodes().filter(({ selected }) => selected).flatMap(({ id }) => edgesOf(id))
    return register([
      { id: "run.toSelected", words: "runToSelected", section: "run", keys: ["Mod+Shift+Enter"], when: () => wanted().length > 0, run: () => void submit(wanted()) },
    ])
  }, [getNodes])
}

// Which node's loop is being set.
import { create } from "zustand"
import { setLoop } from "../document/frames"
import { currentDoc, edit } from "../document/store"

const MOST = 5 // rounds, where nobody has said how many

export const useLoop = create<{ node: string | null }>()(() => ({ node: null }))

/** Set a node's loop; one that has none begins with a bound alone. */
export function openLoop(node: string): void {
  if (!currentDoc().nodes?.[node]?.loop) edit((doc) => setLoop(doc, node, { carry: {}, most: MOST }))
  useLoop.setState({ node })
}

export const closeLoop = (): void => useLoop.setState({ node: null })

// Nodes that were made with an older version than the one that is installed. What they become is for Python to say.
import { api } from "../api/client"
import type { Upgraded } from "../api/types"
import { nodeType } from "../app/catalogue"
import { tellError } from "../app/toasts"
import type { Doc } from "../document/model"
import { currentDoc, edit, editWhole, useDocument, wholeDoc } from "../document/store"
import { isOld } from "../document/versions"
import { tellOf } from "./store"

/** Those of these nodes of the graph that is shown. */
export const oldOf = (names: readonly string[]): string[] =>
  names.filter((name) => {
    const node = currentDoc().nodes?.[name]
    return node && isOld(node, nodeType(node.op))
  })

/** Whether there is one in a document, or in a definition of it. */
export function anyOld(doc: Doc): boolean {
  const own = Object.values(doc.nodes ?? {}).some((node) => isOld(node, nodeType(node.op)))
  return own || Object.values(doc.graphs ?? {}).some(anyOld)
}

/** Bring nodes of the graph that is shown to the installed versions, or (no names) all of the whole document: one step of undo. Then it is told what became of them. */
export async function upgrade(names?: readonly string[]): Promise<void> {
  const before = wholeDoc()
  let found: Upgraded
  try {
    const { name, root, doc } = useDocument.getState()
    found = await api.upgrade({ graph: (names ? doc : root) as Record<string, unknown>, name, nodes: names ? [...names] : null })
  } catch (error) {
    return tellError(error)
  }
  if (wholeDoc() !== before) return upgrade(names) // it was edited meanwhile
  const { nodes, outputs, graphs } = found.graph as Doc
  const made = { nodes, ...(outputs && { outputs }) }
  if (names) edit((doc) => ({ ...doc, ...made }))
  else editWhole((root) => ({ ...root, ...made, ...(graphs && { graphs }) }))
  tellOf({ kind: "upgrade", changes: found.changes, problems: found.problems })
}

// The node types, asked for once; the browser keeps them by their ETag.
import { create } from "zustand"
import { api } from "../api/client"
import type { Catalogue, Model, NodeType } from "../api/types"

interface CatalogueState {
  nodes: Catalogue["nodes"] | null
  packs: Catalogue["packs"]
  models: Model[]
}

export const useCatalogue = create<CatalogueState>()(() => ({ nodes: null, packs: [], models: [] }))

let loading: Promise<void> | null = null

export function loadCatalogue(): Promise<void> {
  loading ??= Promise.all([api.nodes(), api.models()]).then(
    ([{ nodes, packs }, models]) => useCatalogue.setState({ nodes: { ...nodes, ...pieces }, packs, models }),
    (error) => {
      loading = null
      throw error
    },
  )
  return loading
}

let pieces: Record<string, NodeType> = {}

/** The types of graphs that the open one uses as nodes. */
export function know(types: Record<string, NodeType>): void {
  const { nodes } = useCatalogue.getState()
  pieces = { ...pieces, ...types }
  if (!nodes) return
  const fresh = Object.entries(types).filter(([op, type]) => JSON.stringify(nodes[op]) !== JSON.stringify(type))
  if (fresh.length) useCatalogue.setState({ nodes: { ...nodes, ...Object.fromEntries(fresh) } })
}

export const nodeType = (op: string): NodeType | undefined => useCatalogue.getState().nodes?.[op]

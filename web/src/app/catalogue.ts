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
    ([{ nodes, packs }, models]) => useCatalogue.setState({ nodes, packs, models }),
    (error) => {
      loading = null
      throw error
    },
  )
  return loading
}

export const nodeType = (op: string): NodeType | undefined => useCatalogue.getState().nodes?.[op]

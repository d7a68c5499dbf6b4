// What the large viewer shows: one result, or two of them compared.
import { create } from "zustand"
import type { RunOutput } from "../api/types"

export interface Viewed extends RunOutput {
  run: string
  output: string // its name
  title?: string
  finished?: number | null
}

interface ViewState {
  shown: Viewed | null
  other: Viewed | null // compared with it
  item: number // of a batch of pictures
}

export const useView = create<ViewState>()(() => ({ shown: null, other: null, item: 0 }))

export const view = (shown: Viewed, item = 0): void => useView.setState({ shown, item, other: null })
export const compare = (shown: Viewed, other: Viewed): void => useView.setState({ shown, other, item: 0 })
export const closeView = (): void => useView.setState({ shown: null, other: null, item: 0 })

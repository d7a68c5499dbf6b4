// Whether all cards are drawn, in full and not only those in view: while a picture of the graph is taken.
import { create } from "zustand"

export const useWhole = create<{ whole: boolean }>()(() => ({ whole: false }))

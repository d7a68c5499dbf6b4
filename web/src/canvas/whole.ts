// How the graph is drawn as a whole.
import { createContext } from "react"
import { create } from "zustand"

/** Whether all cards are drawn, in full and not only those in view: while a picture of the graph is taken. */
export const useWhole = create<{ whole: boolean }>()(() => ({ whole: false }))

/** Whether one looks from so far that nothing on a card can be read: cards are plain boxes then, and wires plain lines. */
export const Far = createContext(false)

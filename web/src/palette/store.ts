// Whether the palette is open, where what is picked will be put, and the wire that waits for it.
import { create } from "zustand"
import type { Point } from "../document/model"
import type { End } from "../canvas/held"

export interface Asked {
  at: Point // on the surface
  screen: [number, number] // in the window
  end?: End // of a wire that was let go over the ground
}

export const usePalette = create<{ asked: Asked | null }>()(() => ({ asked: null }))
export const openPalette = (asked: Asked): void => usePalette.setState({ asked })
export const closePalette = (): void => usePalette.setState({ asked: null })

const STORED = "flowmm.recent"
const MOST = 6

/** The node types picked last, the last first. */
export function recent(): string[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(STORED) ?? "[]")
    return Array.isArray(found) ? found.filter((one) => typeof one === "string") : []
  } catch {
    return []
  }
}

export const picked = (op: string): void => localStorage.setItem(STORED, JSON.stringify([op, ...recent().filter((one) => one !== op)].slice(0, MOST)))

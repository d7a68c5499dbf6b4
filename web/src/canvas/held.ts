// The end of a wire that is being dragged, and where it may lead: Python says, once, when it is taken up.
import { create } from "zustand"
import { api } from "../api/client"
import type { NewFit } from "../api/types"
import { askedHere } from "../document/asked"
import { OUTPUTS } from "../document/model"

export interface End {
  node: string // a node's name, or `input` for the graph's inputs
  port: string
  side: "output" | "input" // which end of a wire it is
}

interface HeldState {
  end: End | null
  type: string // in words
  fits: Map<string, string> | null // by "node.port": "" where it fits, else why not; null until it is known
  items: Set<string> // "node.port" of lists that take it as one item
  nodes: NewFit[]
  byKeyboard: boolean
}

const NONE: HeldState = { end: null, type: "", fits: null, items: new Set(), nodes: [], byKeyboard: false }
export const useHeld = create<HeldState>()(() => NONE)
let asking: AbortController | null = null

export async function hold(end: End, byKeyboard = false): Promise<void> {
  letGo()
  useHeld.setState({ ...NONE, end, byKeyboard })
  if (end.node === OUTPUTS) return // an output takes whatever comes
  const { signal } = (asking = new AbortController())
  try {
    const found = await api.compatible({ ...askedHere(), ...end }, signal)
    if (signal.aborted) return
    const fits = new Map(found.ports.map((fit) => [`${fit.node}.${fit.port}`, fit.fits ? "" : (fit.why ?? "It does not fit.")]))
    const items = new Set(found.ports.flatMap((fit) => (fit.item ? [`${fit.node}.${fit.port}`] : [])))
    useHeld.setState({ type: found.type, fits, items, nodes: found.nodes })
  } catch {
    // Without an answer nothing is ruled out; the check after the wire is drawn will tell.
  }
}

export function letGo(): void {
  asking?.abort()
  useHeld.setState(NONE)
}

/** undefined: nothing is held, or it is not known yet. "": it fits. Else why not. */
export const useFit = (id: string, side: "output" | "input"): string | undefined =>
  useHeld(({ end, fits }) => (end && end.side !== side ? fits?.get(id) : end && fits ? "same" : undefined))

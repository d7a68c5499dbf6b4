// The sweep of the open graph that is shown, as its cells go on: in the place of the results, and as a sheet.
import { create } from "zustand"
import { api } from "../api/client"
import type { Frame, Sweep, SweepCell } from "../api/types"
import { hasEnded } from "../run/frames"

interface SweepState {
  sweep: Sweep | null // what the outputs of the open graph show; null: those of its last run
  sheet: string | null // the id of the sweep whose sheet is open
  other: Sweep | null // that sweep, where it is another
}

export const useSweep = create<SweepState>()(() => ({ sweep: null, sheet: null, other: null }))

const put = useSweep.setState
const STORED = "flowmm.sweep"

/** A sweep of the open graph was taken: its outputs are shown from now on. */
export function showSweep(sweep: Sweep, graph: string): void {
  sessionStorage.setItem(STORED, JSON.stringify([sweep.id, graph]))
  put({ sweep })
}

/** A single run was taken, or another graph opened. */
export const dropSweep = (): void => put({ sweep: null })

/** After a page was loaded: the sweep that this tab began of a graph. */
export async function resumeSweep(graph: string): Promise<void> {
  const [id, of] = JSON.parse(sessionStorage.getItem(STORED) ?? "[]") as [string?, string?]
  if (!id || of !== graph || useSweep.getState().sweep) return
  const sweep = await api.readSweep(id).catch(() => null)
  if (sweep) put({ sweep })
}

/** Forget the sweep that a reload would bring back: a single run came after it. */
export function forgetSweep(): void {
  sessionStorage.removeItem(STORED)
  dropSweep()
}

export function openSheet(id: string): void {
  put({ sheet: id })
  const { sweep } = useSweep.getState()
  if (sweep?.id !== id) void api.readSweep(id).then((other) => put({ other }), () => put({ sheet: null }))
}

export const closeSheet = (): void => put({ sheet: null, other: null })

/** A cell after what was said of its run. */
export function told(sweep: Sweep, frame: Frame): Sweep {
  const at = sweep.cells.findIndex(({ run }) => run === frame.id)
  if (at < 0 || frame.type !== "run" || !frame.state) return sweep
  const before = sweep.cells[at]!
  const gone = frame.state === "deleted"
  const cell: SweepCell = gone
    ? { ...before, run: null, state: null, outputs: {} }
    : { ...before, state: frame.state as SweepCell["state"], error: frame.error ?? null, outputs: frame.outputs ?? before.outputs }
  const cells = sweep.cells.map((one, i) => (i === at ? cell : one))
  return { ...sweep, cells, states: counted(cells), ended: cells.every(({ state }) => state === null || hasEnded(state)) }
}

function counted(cells: SweepCell[]): Sweep["states"] {
  const found: Record<string, number> = {}
  for (const { state } of cells) if (state) found[state] = (found[state] ?? 0) + 1
  return found as Sweep["states"]
}

export function heardOfSweep(frame: Frame): void {
  if (frame.type !== "run") return
  const { sweep, other } = useSweep.getState()
  if (sweep && frame.sweep === sweep.id) put({ sweep: told(sweep, frame) })
  if (other && frame.sweep === other.id) put({ other: told(other, frame) })
}

/** Frames were missed: the cells as they are now. */
export async function sweepAnew(): Promise<void> {
  const { sweep, other } = useSweep.getState()
  if (sweep && !sweep.ended) await api.readSweep(sweep.id).then((now) => useSweep.getState().sweep?.id === now.id && put({ sweep: now }), () => {})
  if (other && !other.ended) await api.readSweep(other.id).then((now) => useSweep.getState().other?.id === now.id && put({ other: now }), () => {})
}

/** How many cells have ended, and how many of them not well. */
export function standing({ cells }: Sweep): { done: number; failed: number; all: number } {
  const ended = cells.filter(({ state }) => state === null || hasEnded(state))
  return { done: ended.length, failed: ended.filter(({ state }) => state === "failed" || state === "interrupted").length, all: cells.length }
}

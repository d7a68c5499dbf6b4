// Runs as they happen: the queue, what each node is at, previews, texts that grow, results. Never part of the document, nor of undo.
import { create } from "zustand"
import { api } from "../api/client"
import { Events } from "../api/socket"
import type { Frame, Progress, Run, RunError, RunOutput, State } from "../api/types"
import type { Doc } from "../document/model"

export type NodeState = "waiting" | "running" | "done" | "cached" | "failed"

export interface Followed {
  id: string
  state: State
  graph: Doc // as it was when it was submitted
  total: number
  done: number
  error: RunError | null
  outputs: Record<string, RunOutput>
  seconds: number | null
}

interface RunState {
  connected: boolean
  waiting: Run[] // in order
  running: Run[]
  current: Followed | null // the run of the open graph that was started last
  nodes: Record<string, NodeState>
  progress: Record<string, Progress>
  took: Record<string, number> // seconds
  previews: Record<string, string> // addresses of blobs
  texts: Record<string, string>
  finished: number // counts ends of any run: lists that show past runs look again
}

const NOTHING = { current: null, nodes: {}, progress: {}, took: {}, previews: {}, texts: {} }

export const useRuns = create<RunState>()(() => ({ connected: false, waiting: [], running: [], finished: 0, ...NOTHING }))

const put = useRuns.setState
const get = useRuns.getState

/** Forget what is shown of a run: another graph was opened. */
export function leave(): void {
  for (const url of Object.values(get().previews)) URL.revokeObjectURL(url)
  put(NOTHING)
}

/** Follow a run of the open graph on its nodes. */
export function follow(run: Run, graph: Doc): void {
  leave()
  put({ current: { id: run.id, state: run.state, graph, total: 0, done: 0, error: run.error, outputs: {}, seconds: null } })
}

const amend = (change: Partial<Followed>) => put(({ current }) => ({ current: current && { ...current, ...change } }))

function hear(frame: Frame): void {
  if (frame.type === "run") return void heardRun(frame)
  const { current } = get()
  if (!current || frame.id !== current.id) return
  const node = frame.node ?? ""
  if (frame.type === "planned") amend({ total: current.total + (frame.total ?? 0) })
  else if (frame.type === "nodes") {
    const cached = new Set(Array.isArray(frame.cached) ? frame.cached : [])
    const names = frame.names ?? []
    amend({ done: current.done + names.length })
    put(({ nodes, took }) => ({
      nodes: { ...nodes, ...Object.fromEntries(names.map((name) => [name, cached.has(name) ? "cached" : "done"] as const)) },
      took: { ...took, ...frame.took },
    }))
  } else if (frame.type === "running") put(({ nodes }) => ({ nodes: { ...nodes, [node]: "running" } }))
  else if (frame.type === "progress")
    put(({ progress }) => ({ progress: { ...progress, [node]: { step: frame.step ?? 0, steps: frame.steps ?? 0, eta: frame.eta ?? null } } }))
  else if (frame.type === "preview" && frame.image) {
    const before = get().previews[node]
    const url = URL.createObjectURL(new Blob([frame.image], { type: "image/jpeg" }))
    put(({ previews }) => ({ previews: { ...previews, [node]: url } }))
    if (before) URL.revokeObjectURL(before)
  } else if (frame.type === "text")
    put(({ texts }) => ({ texts: { ...texts, [node]: (texts[node] ?? "").slice(0, frame.at) + (frame.text ?? "") } }))
}

const ENDED: ReadonlySet<string> = new Set(["done", "failed", "interrupted", "cancelled"])

function heardRun(frame: Frame): void {
  const { current } = get()
  if (current && frame.id === current.id && frame.state && frame.state !== "deleted") {
    amend({ state: frame.state, error: frame.error ?? null, outputs: frame.outputs ?? current.outputs, seconds: frame.seconds ?? null })
    const failed = frame.error?.node
    put(({ nodes }) => ({
      progress: ENDED.has(frame.state!) ? {} : get().progress,
      nodes: ENDED.has(frame.state!)
        ? Object.fromEntries(Object.entries({ ...nodes, ...(failed && { [failed]: "failed" as const }) }).filter(([, state]) => state !== "running"))
        : nodes,
    }))
  }
  if (frame.state && ENDED.has(frame.state)) put(({ finished }) => ({ finished: finished + 1 }))
  lookAtQueue()
}

let looking = 0

/** Read the queue again, soon: many changes of it come together. */
function lookAtQueue(): void {
  window.clearTimeout(looking)
  looking = window.setTimeout(async () => {
    const queue = await api.queue().catch(() => null)
    if (queue) put({ waiting: queue.waiting, running: queue.running })
  }, 80)
}

/** After frames were missed: ask for the state instead. */
async function anew(): Promise<void> {
  lookAtQueue()
  const { current } = get()
  put(({ finished }) => ({ finished: finished + 1 }))
  if (!current) return
  const run = await api.readRun(current.id).catch(() => null)
  if (!run) return
  amend({ state: run.state, error: run.error, outputs: run.outputs ?? {}, seconds: run.seconds, total: run.live?.total ?? current.total, done: run.live?.done ?? current.done })
  put({ progress: run.live?.progress ?? {}, texts: { ...get().texts, ...run.live?.texts } })
}

let events: Events | null = null

export function listen(): void {
  events ??= new Events({ frame: hear, anew, connected: (connected) => put({ connected }) })
  lookAtQueue()
}

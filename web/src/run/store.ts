// Runs as they happen: the queue, what each node is at, previews, texts that grow, results. Never part of the document, nor of undo.
import { create } from "zustand"
import { ApiError, api } from "../api/client"
import { Events } from "../api/socket"
import type { Frame, Problem, Run, Sweep } from "../api/types"
import { toldOf } from "../document/lifted"
import { useDocument } from "../document/store"
import { type Followed, NOTHING, caughtUp, followed, hasEnded, heard, holders, isActive } from "./frames"
import { dropSweep, forgetSweep, heardOfSweep, resumeSweep, showSweep, sweepAnew } from "../sweeps/store"
import { ownRuns, remember } from "./own"

export type { NodeState, Result } from "./frames"

interface RunState extends Followed {
  connected: boolean
  waiting: Run[] // in order
  running: Run[]
  previews: Record<string, string> // addresses of blobs, by node
  refused: Problem[] // why the last run that was asked for was not taken
  finished: number // counts ends of any run: lists that show past runs look again
}

export const useRuns = create<RunState>()(() => ({ connected: false, waiting: [], running: [], previews: {}, refused: [], finished: 0, ...NOTHING }))

const put = useRuns.setState
const get = useRuns.getState

function dropPreviews(): void {
  for (const url of Object.values(get().previews)) URL.revokeObjectURL(url)
}

const sitting = new Set<string>() // runs asked for since the graph was opened, whatever it was called then
const unseen = new Set<string>() // those of them that were asked for after the one that is shown, in order

function own(id: string): void {
  sitting.add(id)
  unseen.add(id)
}

/** Forget what is shown of a run: another graph was opened. */
export function leave(): void {
  dropPreviews()
  sitting.clear()
  unseen.clear()
  dropSweep()
  put({ ...NOTHING, previews: {}, refused: [] })
}

/** Follow a run of the open graph on its nodes. */
export function follow(run: Run): void {
  dropPreviews()
  const order = [...unseen]
  for (const id of order.slice(0, order.indexOf(run.id) + 1)) unseen.delete(id)
  put({ ...followed(get(), run, performance.now()), previews: {} })
  for (const frame of early) if (frame.id === run.id) show(frame)
}

/** Follow a run that has been under way for a while, or has ended. */
function takeUp(run: Run): void {
  follow(run)
  put(caughtUp(get(), run))
}

/** A run of the open graph was taken: it is shown at once if nothing else of it is under way, else when its turn comes. */
export function taken(run: Run, graph: string): void {
  remember(run.id, graph)
  forgetSweep()
  own(run.id)
  put({ refused: [] })
  if (!isActive(get().current)) {
    next = "" // one that is still being taken over is older
    follow(run)
  }
  lookAtQueue()
}

/** A sweep of the open graph was taken: its cells are shown as they come, on the nodes the one that is at work. */
export function sweepTaken(sweep: Sweep, graph: string): void {
  for (const { run } of sweep.cells) if (run) own(run)
  put({ refused: [] })
  showSweep(sweep, graph)
  for (const frame of early) heardOfSweep(frame)
  lookAtQueue()
}

/** The server would not take it. */
export function refuse(error: unknown): void {
  if (!(error instanceof ApiError)) throw error
  put({ refused: toldOf(useDocument.getState().root, error) })
}

// ── frames ──────────────────────────────────────────────────────────────────────────────────────

let submitting = 0
let early: Frame[] = [] // of runs whose number is not known yet: the socket may be faster than the answer

/** Keep frames while a run is being submitted, so that none of its own is lost. */
export async function whileSubmitting<T>(work: () => Promise<T>): Promise<T> {
  submitting += 1
  try {
    return await work()
  } finally {
    submitting -= 1
    if (!submitting) early = []
  }
}

function hear(frame: Frame): void {
  const { current } = get()
  if (submitting && frame.id !== current?.id) early.push(frame)
  show(frame)
  if (frame.id !== current?.id && (frame.type === "planned" || frame.type === "nodes")) lookAtQueue(COUNTED) // what the queue shows of a run of somebody else
  if (frame.type !== "run") return
  turns += 1
  heardOfSweep(frame)
  if (frame.state === "running" && frame.id && frame.id !== current?.id && isOwn(frame.id)) void takeOver(frame.id)
  if (frame.id && (frame.state === "cancelled" || frame.state === "deleted")) unseen.delete(frame.id)
  if (hasEnded(frame.state)) put(({ finished }) => ({ finished: finished + 1 }))
  lookAtQueue()
}

/** On the nodes, if it is of the run that is shown there. */
function show(frame: Frame): void {
  if (frame.type === "preview") showPreview(frame)
  else put(heard(get(), frame))
}

const isOwn = (id: string): boolean => sitting.has(id) || ownRuns().get(id) === useDocument.getState().name

let next = "" // the run that is being taken over: the last one that began

/** A run of this tab that waited has begun, or has come and gone unheard. */
async function takeOver(id: string): Promise<void> {
  if (next === id) return
  next = id
  await whileSubmitting(async () => {
    const run = await api.readRun(id).catch(() => null)
    if (next !== id) return
    next = ""
    if (!run || run.started === null) return // it waits, or never began
    takeUp(run)
  })
}

function showPreview({ id, node: name = "", image }: Frame): void {
  const { current, previews: before } = get()
  if (!image || id !== current?.id || !isActive(current)) return
  const url = URL.createObjectURL(new Blob([image], { type: "image/jpeg" }))
  const previews = { ...before, ...Object.fromEntries(holders(name).map((node) => [node, url])) }
  put({ previews })
  const shown = new Set(Object.values(previews))
  for (const old of new Set(Object.values(before))) if (!shown.has(old)) URL.revokeObjectURL(old)
}

// ── the queue ───────────────────────────────────────────────────────────────────────────────────

const SOON = 80 // ms: many changes of the queue come together
const COUNTED = 500 // ms between two looks at how far the runs of others are
let looking = 0
let due = Infinity // ms since the page was loaded, when the next look is
let looks = 0 // counts them: an answer that comes after a later one is of the past
let seen = 0
let turns = 0 // counts what was heard of runs: an answer that was asked for before the last of it is of the past

/** Read the queue again, at the latest after so long. However many changes come, it is not put off. */
export function lookAtQueue(wait = SOON): void {
  const at = performance.now() + wait
  if (due <= at) return
  window.clearTimeout(looking)
  due = at
  looking = window.setTimeout(() => {
    due = Infinity
    void look()
  }, wait)
}

/** Frames can be late, or lost, and answers too: whatever order they came in, the run that is shown is in the end the last of this tab that began. */
async function look(): Promise<void> {
  const asked = turns
  const one = ++looks
  const queue = await api.queue().catch(() => null)
  if (!queue || one < seen) return
  seen = one
  put({ waiting: queue.waiting, running: queue.running })
  const { current } = get()
  const there = [...queue.running, ...queue.waiting].map(({ id }) => id)
  const mine = queue.running.find(({ id }) => isOwn(id))
  if (mine && mine.id !== current?.id && current?.state !== "running" && asked === turns) return void takeOver(mine.id)
  if (current && isActive(current)) {
    if (there.includes(current.id)) return
    await catchUp(current.id)
    return isActive(get().current) ? undefined : lookAtQueue()
  }
  const later = [...unseen].filter((id) => !there.includes(id)).pop()
  if (later) void takeOver(later)
}

/** The run that is shown, as the server tells it now. */
async function catchUp(id: string): Promise<void> {
  const run = await api.readRun(id).catch(() => null)
  if (run) put(caughtUp(get(), run))
}

/** After frames were missed: ask for the state instead. */
function anew(): void {
  const { current } = get()
  put(({ finished }) => ({ finished: finished + 1 }))
  if (current) void catchUp(current.id)
  void sweepAnew()
  lookAtQueue()
}

/** After a page was loaded: the run that this tab began goes on being shown, and what the graph gave last lies where it will come again. */
export async function resume(name: string): Promise<void> {
  void resumeSweep(name)
  const mine = [...ownRuns()].filter(([, graph]) => graph === name).map(([id]) => id).pop()
  const run = mine ? await api.readRun(mine).catch(() => null) : null
  if (useDocument.getState().name !== name || get().current) return
  if (run) takeUp(run)
  if (run?.state === "done" || !name) return
  const items = await api.gallery({ name, limit: 20 }).catch(() => [])
  if (useDocument.getState().name !== name) return
  const last = items.filter((item) => item.run === items[0]?.run)
  put(({ results }) => ({ results: { ...Object.fromEntries(last.map((item) => [item.output, { run: item.run, output: item }])), ...results } }))
}

let events: Events | null = null

export function listen(): void {
  events ??= new Events({
    frame: hear, anew,
    connected(connected) {
      put({ connected })
      if (connected) lookAtQueue()
    },
  })
  lookAtQueue()
}

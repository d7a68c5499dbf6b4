import { afterEach, beforeEach, expect, it, vi } from "vitest"
import type { Frame, Queue, Run } from "../api/types"
import { ApiError, api } from "../api/client"
import type { Listener } from "../api/socket"
import { useDocument } from "../document/store"
import { leave, listen, taken, useRuns, whileSubmitting } from "./store"

// A server of three runs, one after the other, and a page that hears of them late, twice, or not at all.
let socket: Listener
vi.mock("../api/socket", () => ({ Events: class { constructor(listener: Listener) { socket = listener } } }))

const runs: Record<string, Run> = {}
const queue = vi.spyOn(api, "queue")
const readRun = vi.spyOn(api, "readRun")

const output = (id: string) => ({ image: { key: id, type: "Image", summary: {} } })
const run = (id: string, state: Run["state"]): Run => ({ id, state, error: null, seconds: null, started: state === "queued" ? null : 1, outputs: state === "done" ? output(id) : {} }) as unknown as Run
const become = (id: string, state: Run["state"]): Frame => {
  runs[id] = run(id, state)
  return { type: "run", id, state, ...(state === "done" ? { outputs: output(id) } : {}) }
}
const inQueue = (): Queue => {
  const of = (state: string) => Object.values(runs).filter((one) => one.state === state)
  return { running: of("running"), waiting: of("queued") } as unknown as Queue
}
const submit = (id: string) => whileSubmitting(async () => taken(run(id, "queued"), "mine"))
const pass = (ms = 1_000) => vi.advanceTimersByTimeAsync(ms)
const shown = () => [useRuns.getState().current?.id, useRuns.getState().current?.state, useRuns.getState().results.image?.run]
/** An answer that comes when it is let. */
function late<T>(answer: () => T): [Promise<T>, () => void] {
  let let_ = () => {}
  const held = answer()
  return [new Promise((resolve) => (let_ = () => resolve(held))), () => let_()]
}

beforeEach(() => {
  vi.useFakeTimers()
  sessionStorage.clear()
  for (const id of Object.keys(runs)) delete runs[id]
  queue.mockReset().mockImplementation(async () => inQueue())
  readRun.mockReset().mockImplementation(async (id) => {
    if (!runs[id]) throw new ApiError(404, "no-run", "there is no such run")
    return runs[id]
  })
  useDocument.setState({ name: "mine" })
  leave()
  listen()
})
afterEach(async () => {
  await vi.runOnlyPendingTimersAsync()
  vi.useRealTimers()
})

/** Three runs were asked for, and the first is at work. */
async function three(): Promise<void> {
  for (const id of ["a", "b", "c"]) {
    become(id, "queued")
    await submit(id)
  }
  socket.frame(become("a", "running"))
  await pass()
  expect(shown()).toEqual(["a", "running", undefined])
}

it("one after the other is shown, and the last stays", async () => {
  await three()
  for (const [id, next] of [["a", "b"], ["b", "c"]] as const) {
    socket.frame(become(id, "done"))
    socket.frame(become(next, "running"))
    await pass()
    expect(shown()).toEqual([next, "running", id])
  }
  socket.frame(become("c", "done"))
  await pass()
  expect(shown()).toEqual(["c", "done", "c"])
})

it("an answer about the queue that is older than what was heard brings no earlier run back", async () => {
  await three()
  socket.frame(become("a", "done"))
  const [old, arrives] = late(() => ({ running: [become("b", "running") && runs.b], waiting: [] }) as unknown as Queue)
  queue.mockReturnValueOnce(old)
  await pass()
  for (const frame of [become("b", "running"), become("b", "done"), become("c", "running"), become("c", "done")]) socket.frame(frame)
  await pass()
  expect(shown()).toEqual(["c", "done", "c"])
  arrives()
  await pass()
  expect(shown()).toEqual(["c", "done", "c"])
})

it("what was lost on the way is asked for, also while another run is being taken over", async () => {
  await three()
  socket.frame(become("a", "done"))
  become("b", "running")
  const [slow, arrives] = late(() => runs.b!)
  readRun.mockReturnValueOnce(slow)
  socket.frame(become("b", "running"))
  for (const id of ["b", "c"]) become(id, "done") // unheard
  socket.anew()
  arrives()
  await pass()
  expect(shown()).toEqual(["c", "done", "c"])
})

it("a run that was over before the page knew that it was taken is not waited for", async () => {
  become("a", "queued")
  await submit("a")
  become("a", "done") // unheard
  await pass()
  expect(shown()).toEqual(["a", "done", "a"])
})

it("a run that could not be read is read again at the next occasion", async () => {
  await three()
  socket.frame(become("a", "done"))
  readRun.mockRejectedValueOnce(new ApiError(0, "offline", "the server cannot be reached"))
  socket.frame(become("b", "running"))
  for (const id of ["b", "c"]) become(id, "done")
  queue.mockRejectedValueOnce(new ApiError(0, "offline", "the server cannot be reached"))
  await pass()
  expect(shown()).toEqual(["a", "done", "a"])
  socket.connected(true)
  await pass()
  expect(shown()).toEqual(["c", "done", "c"])
})

it("one that was taken from the queue before its turn is not shown", async () => {
  await three()
  socket.frame(become("a", "done"))
  socket.frame(become("b", "running"))
  for (const id of ["c", "b"]) runs[id] = { ...run(id, id === "b" ? "done" : "cancelled"), started: id === "b" ? 1 : null }
  socket.anew()
  await pass()
  expect(shown()).toEqual(["b", "done", "b"])
  const asked = readRun.mock.calls.length
  socket.frame({ type: "run", id: "c", state: "cancelled" })
  await pass()
  expect(readRun.mock.calls.length).toBe(asked)
})

it("one that was moved to the front is shown first, and the other then", async () => {
  await three()
  for (const frame of [become("a", "done"), become("c", "running")]) socket.frame(frame)
  await pass()
  expect(shown()[0]).toBe("c")
  for (const frame of [become("c", "done"), become("b", "running"), become("b", "done")]) socket.frame(frame)
  await pass()
  expect(shown()).toEqual(["b", "done", "b"])
})

it("runs of others are left alone", async () => {
  await three()
  socket.frame(become("a", "done"))
  socket.frame(become("x", "running"))
  await pass()
  expect(shown()).toEqual(["a", "done", "a"])
})

it("the queue shows how far a run of somebody else is, though nothing of it is shown on the nodes", async () => {
  socket.frame(become("theirs", "running"))
  await pass()
  const far = () => useRuns.getState().running[0]?.live?.done
  expect(far()).toBeUndefined()
  for (const done of [1, 2]) {
    runs.theirs = { ...runs.theirs!, live: { total: 4, done } as unknown as Run["live"] }
    socket.frame({ type: "nodes", id: "theirs", names: ["a"], cached: [] } as Frame)
    await pass()
    expect(far()).toBe(done)
  }
  expect(useRuns.getState().current).toBeNull()
})

it("a queue that changes all the time is looked at all the same, and an answer that was overtaken is of the past", async () => {
  const [old, arrives] = late(() => ({ running: [], waiting: [run("long-gone", "queued")] }) as unknown as Queue)
  await pass()
  queue.mockClear().mockReturnValueOnce(old)
  for (let i = 0; i < 100; i++) {
    socket.frame(become(`theirs-${i}`, "queued"))
    await pass(10)
  }
  expect(queue.mock.calls.length).toBeGreaterThan(5)
  expect(queue.mock.calls.length).toBeLessThan(20)
  await pass()
  arrives()
  await pass()
  expect(useRuns.getState().waiting).toHaveLength(100)
})

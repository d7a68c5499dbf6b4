import { expect, it } from "vitest"
import type { Frame, Sweep } from "../api/types"
import { standing, told } from "./store"

const cell = (run: string) => ({ inputs: {}, run, state: "queued" as const, error: null, outputs: {} })
const sweep = { id: "s", cells: [cell("a"), cell("b")], states: { queued: 2 }, ended: false } as unknown as Sweep
const frame = (id: string, more: Partial<Frame>): Frame => ({ type: "run", id, sweep: "s", ...more })

it("a cell is what its run came to, and the others stay as they are", () => {
  const image = { key: "k", type: "Image", summary: {} }
  const now = told(told(sweep, frame("a", { state: "running" })), frame("a", { state: "done", outputs: { image } }))
  expect(now.cells[0]).toMatchObject({ state: "done", outputs: { image } })
  expect(now.cells[1]).toBe(sweep.cells[1])
  expect([now.states, now.ended]).toEqual([{ done: 1, queued: 1 }, false])
})

it("a sweep has ended when all its cells have, well or not", () => {
  const error = { code: "node-failed", message: "no" }
  const over = told(told(sweep, frame("a", { state: "failed", error })), frame("b", { state: "cancelled" }))
  expect(over.ended).toBe(true)
  expect(over.cells[0]?.error).toBe(error)
  expect(standing(over)).toEqual({ done: 2, failed: 1, all: 2 })
})

it("runs of others, and what their nodes say, change nothing; one that is deleted leaves its place", () => {
  expect(told(sweep, frame("c", { state: "done" }))).toBe(sweep)
  expect(told(sweep, { ...frame("a", {}), type: "running", node: "x" })).toBe(sweep)
  expect(told(sweep, frame("a", { state: "deleted" })).cells[0]).toMatchObject({ run: null, state: null })
})

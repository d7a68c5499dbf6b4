import { describe, expect, it } from "vitest"
import type { Frame, Run, RunOutput } from "../api/types"
import { type Followed, NOTHING, caughtUp, followed, hasEnded, heard } from "./frames"

const run = { id: "a", state: "queued", error: null, seconds: null } as Run
const begun = followed(NOTHING, run, 0)
const frame = (type: Frame["type"], more: Partial<Frame> = {}): Frame => ({ type, id: "a", ...more })
const after = (...frames: Frame[]): Followed => frames.reduce(heard, begun)
const LIVE = { total: 6, done: 2, cached: 0, seconds: 3, texts: {}, broken: {}, stopping: "" }
const image: RunOutput = { key: "k", type: "Image", summary: {} }

describe("the frames of a run", () => {
  it("count its nodes, and tell which came from the cache", () => {
    const now = after(frame("planned", { total: 3 }), frame("running", { node: "x" }), frame("nodes", { names: ["x", "y"], cached: ["y"], took: { x: 1.5 } }))
    expect(now.current).toMatchObject({ total: 3, done: 2 })
    expect(now.nodes).toEqual({ x: "done", y: "cached" })
    expect(now.took).toEqual({ x: 1.5 })
  })
  it("of a node inside a piece or a round are shown on it, and on all that hold it", () => {
    const rounds = frame("progress", { node: "all[2]/paint", step: 2, steps: 20 })
    const now = after(frame("nodes", { names: ["p/a", "p/b"], cached: ["p/b"], took: { "p/a": 1, "p/b": 0.5 } }), rounds)
    expect(now.nodes).toEqual({ p: "done", "p/a": "done", "p/b": "cached", all: "running", "all/paint": "running" })
    expect(now.took).toEqual({ p: 1.5, "p/a": 1, "p/b": 0.5 })
    expect(now.progress["all/paint"]).toMatchObject({ step: 2, steps: 20 })
    expect(heard(now, frame("run", { state: "failed", error: { node: "all[3]/paint", op: "x", message: "" } as never })).nodes).toMatchObject({ all: "failed", "all/paint": "failed" })
  })
  it("tell of each node that failed, and go on with what does not need it", () => {
    const going = after(frame("progress", { node: "x", step: 1, steps: 3 }), frame("broken", { node: "x", text: "no such picture" }), frame("nodes", { names: ["y"] }))
    expect(going.nodes).toEqual({ x: "failed", y: "done" })
    expect(going.progress).toEqual({})
    expect(going.why).toEqual({ x: "no such picture" })
    const error = { code: "node-failed", message: "x (op): no such picture", node: "x", also: [{ code: "node-failed", message: "z/a (op): empty", node: "z/a" }] }
    const over = heard(going, frame("run", { state: "failed", error, outputs: { b: image } }))
    expect(over.nodes).toEqual({ x: "failed", y: "done", z: "failed", "z/a": "failed" })
    expect(over.why.z).toBe("z/a (op): empty")
    expect(over.results.b?.output).toBe(image)
  })
  it("count a frame's rounds, and beside that how far its round is", () => {
    const going = after(frame("progress", { node: "p/all", step: 2, steps: 8 }), frame("progress", { node: "p/all[2]/x/paint", step: 5, steps: 20 }))
    expect([going.progress["p/all"], going.round["p/all"]]).toMatchObject([{ step: 2, steps: 8 }, { step: 5, steps: 20 }])
    expect(going.progress["p/all/x"]).toMatchObject({ step: 5, steps: 20 })
    const next = heard(going, frame("progress", { node: "p/all", step: 3, steps: 8 }))
    expect([next.progress["p/all"]?.step, next.round["p/all"]]).toEqual([3, undefined])
    const late = caughtUp(begun, { ...run, state: "running", live: { ...LIVE, progress: { all: { step: 1, steps: 3, eta: null }, "all[1]/x": { step: 4, steps: 9, eta: null } } } })
    expect([late.progress.all?.step, late.round.all?.step]).toEqual([1, 4])
  })
  it("add up plans, as what is late is planned when it is known", () => {
    expect(after(frame("planned", { total: 3 }), frame("planned", { total: 2 })).current?.total).toBe(5)
  })
  it("show a node's steps until its value is there", () => {
    const going = after(frame("progress", { node: "x", step: 2, steps: 20, eta: 4 }))
    expect(going.progress.x).toEqual({ step: 2, steps: 20, eta: 4 })
    expect(going.nodes.x).toBe("running")
    expect(heard(going, frame("nodes", { names: ["x"] })).progress).toEqual({})
  })
  it("let a text grow, and take back what was written too far", () => {
    const written = after(frame("text", { node: "x", at: 0, text: "a re" }), frame("text", { node: "x", at: 4, text: "d circle" }))
    expect(written.texts.x).toBe("a red circle")
    expect(heard(written, frame("text", { node: "x", at: 2, text: "blue" })).texts.x).toBe("a blue")
  })
  it("mark the node that failed and leave none running", () => {
    const error = { code: "node-failed", message: "no", node: "y" }
    const now = after(frame("running", { node: "x" }), frame("running", { node: "y" }), frame("run", { state: "failed", error }))
    expect(now.nodes).toEqual({ y: "failed" })
    expect(now.current?.error).toEqual(error)
  })
  it("of a node that had not noticed yet that it is cancelled change nothing", () => {
    const over = after(frame("running", { node: "x" }), frame("run", { state: "cancelled" }))
    expect(heard(over, frame("progress", { node: "x", step: 9, steps: 20, eta: 1 }))).toBe(over)
  })
  it("put its outputs where those of the run before are", () => {
    const before = { ...begun, results: { image: { run: "z", output: image }, text: { run: "z", output: image } } }
    const now = heard(before, frame("run", { state: "done", outputs: { image: { ...image, key: "new" } }, seconds: 2 }))
    expect(now.results.image).toEqual({ run: "a", output: { ...image, key: "new" } })
    expect(now.results.text?.run).toBe("z")
    expect(now.current?.seconds).toBe(2)
  })
  it("begin anew when the run waits again, as after the server's restart", () => {
    const now = after(frame("planned", { total: 3 }), frame("nodes", { names: ["x"] }), frame("run", { state: "queued" }))
    expect(now.nodes).toEqual({})
    expect(now.current).toMatchObject({ state: "queued", total: 0, done: 0 })
  })
  it("of another run change nothing, nor does its being forgotten", () => {
    expect(heard(begun, { ...frame("running", { node: "x" }), id: "b" })).toBe(begun)
    expect(heard(begun, frame("run", { state: "deleted" }))).toBe(begun)
    expect(heard(NOTHING, frame("running", { node: "x" }))).toBe(NOTHING)
  })
})

describe("a page that missed frames", () => {
  const live = { total: 6, done: 2, cached: 0, seconds: 3, progress: { x: { step: 1, steps: 9, eta: null } }, texts: { w: "so far" }, broken: { v: "gone" }, stopping: "" }
  it("takes up what is under way", () => {
    const now = caughtUp(begun, { ...run, state: "running", live })
    expect(now.nodes).toEqual({ x: "running", v: "failed" })
    expect(now.current).toMatchObject({ state: "running", total: 6, done: 2 })
    expect(now.texts.w).toBe("so far")
  })
  it("that has heard of the end does not take up what was told before it", () => {
    const over = after(frame("run", { state: "done", outputs: { image } }))
    expect(caughtUp(over, { ...run, state: "running", live })).toBe(over)
  })
  it("has the results of what ended meanwhile", () => {
    const now = caughtUp(after(frame("running", { node: "x" })), { ...run, state: "done", outputs: { image } })
    expect(now.nodes).toEqual({})
    expect(now.results.image?.output).toBe(image)
    expect(hasEnded(now.current?.state)).toBe(true)
  })
})

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { ApiError, type Read, api } from "../api/client"
import type { ListedGraph } from "../api/types"
import { type Draft, drafts } from "./drafts"
import type { Doc } from "./model"
import { edit, history, useDocument } from "./store"
import { PAUSE, begin, keepMine, kept, recheck, saveNow, startSync, takeTheirs, useSync } from "./sync"

const doc = (title: string): Doc => ({ flowmm: 1, title, nodes: {}, outputs: {} })
const read = (title: string, etag: string, own = true): Read => ({ doc: doc(title), etag, own })
const offline = () => new ApiError(0, "offline", "the server cannot be reached")
const changed = () => new ApiError(412, "changed", "`mine` has changed since it was read")
const draftOf = (title: string, more: Partial<Draft> = {}): Draft =>
  ({ id: "old", page: "old", name: "mine", own: true, etag: "1", doc: doc(title), wanted: "", at: 0, ...more })
const rename = (title: string) => edit((now) => ({ ...now, title }))
const state = () => useSync.getState().state

const save = vi.spyOn(api, "save")
const graph = vi.spyOn(api, "graph")
const graphs = vi.spyOn(api, "graphs")
const put = vi.spyOn(drafts, "put")
const putNow = vi.spyOn(drafts, "putNow")
const remove = vi.spyOn(drafts, "remove")
const named = vi.fn()
let stop = () => {}

beforeEach(() => {
  vi.useFakeTimers()
  for (const spy of [save, graph, graphs, put, putNow, remove, named]) spy.mockReset()
  put.mockResolvedValue(null)
  remove.mockResolvedValue(null)
  putNow.mockReturnValue(true)
  graphs.mockResolvedValue(["text-to-image", "mine"].map((name) => ({ name }) as ListedGraph))
  save.mockImplementation(async (name) => ({ name, etag: "2" }))
  begin("mine", read("one", "1"))
  stop = startSync({ named })
})
afterEach(async () => {
  stop()
  await vi.runAllTimersAsync()
  vi.useRealTimers()
})

describe("an edit", () => {
  it("is in the draft at once, and on the server after a pause", async () => {
    rename("two")
    await vi.advanceTimersByTimeAsync(0)
    expect(put).toHaveBeenLastCalledWith(expect.objectContaining({ name: "mine", etag: "1", doc: doc("two") }))
    expect([state(), kept(), save.mock.calls.length]).toEqual(["edited", true, 0])
    await vi.advanceTimersByTimeAsync(PAUSE)
    expect(save).toHaveBeenCalledExactlyOnceWith("mine", doc("two"), "1")
    expect([state(), useDocument.getState().etag]).toEqual(["saved", "2"])
    expect(remove).toHaveBeenCalled()
  })
  it("waits for the last of many", async () => {
    for (const title of ["a", "b", "c"]) {
      rename(title)
      await vi.advanceTimersByTimeAsync(PAUSE - 100)
    }
    expect(save).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(100)
    expect(save.mock.calls.map(([, one]) => one.title)).toEqual(["c"])
  })
  it("made while another is saved is saved too, on top of it", async () => {
    save.mockImplementationOnce(async (name) => {
      rename("three")
      return { name, etag: "2" }
    })
    rename("two")
    await vi.advanceTimersByTimeAsync(3 * PAUSE)
    expect(save.mock.calls.map(([, one, etag]) => [one.title, etag])).toEqual([["two", "1"], ["three", "2"]])
    expect(state()).toBe("saved")
  })
  it("that is undone needs no saving", async () => {
    rename("two")
    history().undo()
    await vi.advanceTimersByTimeAsync(2 * PAUSE)
    expect([state(), save.mock.calls.length]).toEqual(["saved", 0])
  })
  it("is held by the page only while the draft is not written", async () => {
    put.mockRejectedValue(new Error("no disk"))
    rename("two")
    await vi.advanceTimersByTimeAsync(0)
    expect(kept()).toBe(false)
    await vi.advanceTimersByTimeAsync(PAUSE)
    expect(kept()).toBe(true)
  })
})

it("a page that is left before its draft is written says what it has", async () => {
  let written = (_: unknown) => {}
  put.mockReturnValueOnce(new Promise((resolve) => (written = resolve)))
  rename("two")
  window.dispatchEvent(new Event("pagehide"))
  expect(putNow).toHaveBeenLastCalledWith(expect.objectContaining({ name: "mine", doc: doc("two") }))
  const left = new Event("beforeunload", { cancelable: true })
  window.dispatchEvent(left)
  expect(left.defaultPrevented).toBe(false)
  putNow.mockReturnValue(false)
  const asks = new Event("beforeunload", { cancelable: true })
  window.dispatchEvent(asks)
  expect(asks.defaultPrevented).toBe(true)
  written(null)
})

describe("a server that is gone", () => {
  it("is tried again until it is back", async () => {
    save.mockRejectedValueOnce(offline()).mockRejectedValueOnce(offline())
    rename("two")
    await vi.advanceTimersByTimeAsync(PAUSE)
    expect([state(), kept()]).toEqual(["offline", true])
    await vi.advanceTimersByTimeAsync(10_000)
    expect([state(), save.mock.calls.length]).toEqual(["saved", 3])
  })
  it("that kept a new graph, whose answer was lost, is not given a second one", async () => {
    begin("", null)
    save.mockRejectedValueOnce(offline())
    graph.mockResolvedValueOnce({ doc: { flowmm: 1, nodes: {}, outputs: {}, title: "New" }, etag: "7", own: true })
    rename("New")
    await vi.advanceTimersByTimeAsync(10_000)
    expect(save).toHaveBeenCalledOnce()
    expect([useDocument.getState().name, useDocument.getState().etag]).toEqual(["new", "7"])
  })
})

describe("what is saved", () => {
  it("of a shipped graph is a copy under a free name, told", async () => {
    begin("text-to-image", read("Text to image", "s", false))
    rename("two")
    await vi.advanceTimersByTimeAsync(PAUSE)
    expect(save).toHaveBeenCalledWith("text-to-image-2", doc("two"), null)
    expect(named).toHaveBeenCalledWith("text-to-image-2", true)
    expect(useDocument.getState().own).toBe(true)
  })
  it("of a new graph is named by its title, past a name that another takes meanwhile", async () => {
    begin("", null)
    save.mockRejectedValueOnce(new ApiError(412, "exists", "there is a graph already"))
    rename("Red Circle!")
    await vi.advanceTimersByTimeAsync(PAUSE)
    expect(save.mock.calls.map(([name]) => name)).toEqual(["red-circle", "red-circle-2"])
    expect(named).toHaveBeenCalledWith("red-circle-2", false)
  })
  it("of a graph that was left is not taken for the one that is open now", async () => {
    rename("two")
    const saving = saveNow()
    begin("other", read("other", "9"))
    await saving
    expect([useDocument.getState().name, useDocument.getState().etag, useDocument.getState().doc.title]).toEqual(["other", "9", "other"])
  })
})

describe("a graph that was changed elsewhere", () => {
  beforeEach(async () => {
    save.mockRejectedValueOnce(changed())
    graph.mockResolvedValue(read("theirs", "5"))
    rename("mine now")
    await vi.advanceTimersByTimeAsync(PAUSE)
  })
  it("is never overwritten", async () => {
    expect(state()).toBe("conflict")
    rename("still mine")
    await vi.advanceTimersByTimeAsync(10 * PAUSE)
    expect(save).toHaveBeenCalledOnce()
    expect(put).toHaveBeenLastCalledWith(expect.objectContaining({ doc: doc("still mine") }))
  })
  it("can be taken, mine being one step of undo away", () => {
    takeTheirs()
    expect([useDocument.getState().doc.title, useDocument.getState().etag, state()]).toEqual(["theirs", "5", "saved"])
    history().undo()
    expect(useDocument.getState().doc.title).toBe("mine now")
  })
  it("can be left as it is, mine going on as a copy", async () => {
    await keepMine()
    expect(save).toHaveBeenLastCalledWith("mine-2", doc("mine now"), null)
    expect([useDocument.getState().name, state()]).toEqual(["mine-2", "saved"])
  })
})

it("the same change elsewhere is none", async () => {
  save.mockRejectedValueOnce(changed())
  graph.mockResolvedValue(read("two", "5"))
  rename("two")
  await vi.advanceTimersByTimeAsync(PAUSE)
  expect([state(), useDocument.getState().etag]).toEqual(["saved", "5"])
})

it("a graph that was removed elsewhere is told, not written again unasked", async () => {
  graph.mockRejectedValue(new ApiError(404, "no-graph", "there is no graph"))
  await recheck()
  expect([state(), useSync.getState().theirs]).toEqual(["conflict", null])
})

describe("a draft that was left", () => {
  it("is taken back onto the version it is an edit of, and saved", async () => {
    begin("mine", read("one", "1"), draftOf("typed"))
    expect(useDocument.getState().doc.title).toBe("typed")
    await vi.advanceTimersByTimeAsync(PAUSE)
    expect(save).toHaveBeenLastCalledWith("mine", doc("typed"), "1")
    expect(remove).toHaveBeenCalledWith("old")
    history().undo()
    expect(useDocument.getState().doc.title).toBe("one")
  })
  it("of an older version asks", () => {
    begin("mine", read("newer", "2"), draftOf("typed"))
    expect([state(), useDocument.getState().doc.title]).toEqual(["conflict", "typed"])
  })
  it("is there without the server", async () => {
    save.mockRejectedValueOnce(offline())
    begin("mine", null, draftOf("typed"))
    await vi.advanceTimersByTimeAsync(0)
    expect([useDocument.getState().doc.title, useDocument.getState().etag, state()]).toEqual(["typed", "1", "offline"])
  })
})

import { beforeEach, describe, expect, it } from "vitest"
import type { Doc } from "../document/model"
import { currentDoc, history, useDocument } from "../document/store"
import { LARGEST, advanced, afterSubmit, dice, nextSeed, setSeedMode } from "./seeds"

const DOC: Doc = { flowmm: 1, inputs: { seed: { default: 3 }, luck: { default: 5 } }, nodes: { draw: { op: "x.draw", in: { seed: 7 } } }, outputs: {} }

describe("a seed after a run", () => {
  it("stays unless it was told to change", () => expect(advanced(DOC)).toBe(DOC))

  it("is rolled, or counts on, wherever it is written", () => {
    const told = setSeedMode(setSeedMode(DOC, "input.seed", "random"), "draw.seed", "next")
    const doc = advanced(told, () => 42)
    expect([doc.inputs?.seed?.default, doc.inputs?.luck?.default, doc.nodes?.draw?.in?.seed]).toEqual([42, 5, 8])
  })

  it("stays again once it is kept", () => {
    const told = setSeedMode(setSeedMode(DOC, "input.seed", "random"), "input.seed", "keep")
    expect(told.layout?.seeds).toEqual({})
  })

  it("never leaves the range of seeds", () => {
    expect(nextSeed(LARGEST)).toBe(0)
    const rolled = Array.from({ length: 50 }, dice)
    expect(rolled.every((seed) => Number.isInteger(seed) && seed >= 0 && seed <= LARGEST)).toBe(true)
    expect(new Set(rolled).size).toBeGreaterThan(1)
  })
})

describe("a submitted run", () => {
  beforeEach(() => useDocument.getState().open("", DOC, null, true))

  it("changes every such seed in one step of undo", () => {
    useDocument.getState().edit((doc) => setSeedMode(setSeedMode(doc, "input.seed", "next"), "draw.seed", "next"))
    afterSubmit()
    expect([currentDoc().inputs?.seed?.default, currentDoc().nodes?.draw?.in?.seed]).toEqual([4, 8])
    history().undo()
    expect([currentDoc().inputs?.seed?.default, currentDoc().nodes?.draw?.in?.seed]).toEqual([3, 7])
  })

  it("is no step of undo where no seed changes", () => {
    afterSubmit()
    expect(history().pastStates).toHaveLength(0)
  })
})

import { describe, expect, it } from "vitest"
import type { Check } from "../api/types"
import type { Doc } from "./model"
import { modeOf, switched } from "./modes"

const doc: Doc = { flowmm: 1, nodes: { a: { op: "x.y", version: 1, in: {} }, b: { op: "x.y", mode: "bypass", in: {} } }, outputs: {} }

describe("nodes are switched off", () => {
  it("together, and on again together", () => {
    const off = switched(doc, ["a", "b"], "mute")
    expect(Object.values(off.nodes!).map(({ mode }) => mode)).toEqual(["mute", "mute"])
    const on = switched(off, ["a", "b"], "mute")
    expect(on.nodes!.a).toEqual(doc.nodes!.a)
    expect(on.nodes!.b).toEqual({ op: "x.y", in: {} })
  })
  it("and what is not there is no node", () => {
    expect(switched(doc, ["gone"], "mute")).toBe(doc)
    expect(Object.keys(switched(doc, ["a", "gone"], "mute").nodes!)).toEqual(["a", "b"])
  })
  it("and are seen so, with what they take along", () => {
    const check = { off: { a: "b", b: "b" } } as unknown as Check
    expect(modeOf(doc, check, "a")).toBe("off")
    expect(modeOf(doc, check, "b")).toBe("bypass")
    expect(modeOf(doc, null, "a")).toBeUndefined()
  })
})

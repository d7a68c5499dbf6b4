import { describe, expect, it } from "vitest"
import type { Doc, Point } from "../document/model"
import { spread } from "./apart"

const SIZES = { a: { width: 228, height: 100 }, b: { width: 228, height: 300 }, c: { width: 228, height: 100 } }
const doc = (nodes: Record<string, Point>): Doc => ({
  flowmm: 1, nodes: {}, layout: { nodes, collapsed: ["a"], notes: { n: { text: "", at: [100, 100], size: [50, 50] } }, groups: { g: { title: "", at: [-20, -20], size: [400, 200] } } },
})

describe("places of another program's cards", () => {
  it("stay where none lies on another", () => {
    const apart = doc({ a: [0, 0], b: [300, 0], c: [0, 150] })
    expect(spread(apart, SIZES)).toBe(apart)
  })
  it("are spread across as far as is needed, with notes and groups", () => {
    const { layout } = spread(doc({ a: [0, 0], b: [200, 0] }), SIZES)
    expect(layout!.nodes).toEqual({ a: [0, 0], b: [260, 0] })
    expect([layout!.notes!.n!.at, layout!.groups!.g!.at, layout!.groups!.g!.size, layout!.collapsed]).toEqual([[130, 100], [-26, -20], [520, 200], ["a"]])
  })
  it("are spread down where that is what they need", () => {
    expect(spread(doc({ b: [0, 0], c: [0, 250] }), SIZES).layout!.nodes).toEqual({ b: [0, 0], c: [0, 325] })
  })
  it("of two at one place stay a graph", () => {
    expect(spread(doc({ a: [0, 0], b: [0, 0], c: [10, 10] }), SIZES).layout!.nodes!.c).toEqual([30, 30])
  })
})

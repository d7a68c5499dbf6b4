import { expect, it } from "vitest"
import { arranged } from "../document/layout"
import type { Doc, Point } from "../document/model"
import { freePlace } from "./arrange"
import type { Rect } from "./stage"

const SIZE = { width: 228, height: 160 }
const overlap = (a: Rect, b: Rect): boolean => a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height

it("a place that is free is taken as it is", () => {
  expect(freePlace([10, 20], SIZE, [{ x: 400, y: 0, ...SIZE }])).toEqual([10, 20])
})

it("cards put at one place one after the other lie on none, and near it", () => {
  const taken: Rect[] = []
  for (let i = 0; i < 24; i++) {
    const [x, y] = freePlace([0, 0], SIZE, taken)
    for (const one of taken) expect(overlap(one, { x, y, ...SIZE })).toBe(false)
    expect(Math.abs(x)).toBeLessThan(1_000)
    expect(Math.abs(y)).toBeLessThan(1_000)
    taken.push({ x, y, ...SIZE })
  }
})

it("where all is full as far as one would look, it is put where it was asked for", () => {
  expect(freePlace([0, 0], SIZE, [{ x: -9_000, y: -9_000, width: 18_000, height: 18_000 }])).toEqual([0, 0])
})

const OWN = { ":inputs": SIZE, ":outputs": SIZE }
const x = (places: Record<string, Point>, name: string): number => places[name]![0]

it("the inputs stand left and the outputs right while there is nothing else, with room for a card between", () => {
  const places = arranged({ flowmm: 1, nodes: {}, outputs: {} }, OWN)
  expect(x(places, ":outputs") - x(places, ":inputs") - SIZE.width).toBeGreaterThanOrEqual(SIZE.width)
  expect(places[":inputs"]![1]).toBe(places[":outputs"]![1])
})

it("and around nodes that nothing joins to them", () => {
  const doc: Doc = { flowmm: 1, nodes: { a: { op: "t.a", version: 1 }, b: { op: "t.b", version: 1, in: { text: { from: "a.text" } } } }, outputs: {} }
  const places = arranged(doc, { ...OWN, a: SIZE, b: SIZE })
  const order = [":inputs", "a", "b", ":outputs"].map((name) => x(places, name))
  expect(order).toEqual([...order].sort((a, b) => a - b))
  expect(new Set(order).size).toBe(4)
})

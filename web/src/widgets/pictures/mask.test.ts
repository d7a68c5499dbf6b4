import { describe, expect, it } from "vitest"
import { Mask, fromColours } from "./mask"

const rows = ({ width, height, pixels }: Mask): string[] =>
  Array.from({ length: height }, (_, y) => Array.from(pixels.slice(y * width, (y + 1) * width), (one) => (one ? "#" : ".")).join(""))

describe("a brush", () => {
  it("is round, and as wide as it says", () => {
    const mask = new Mask(7, 7)
    mask.stroke({ x: 3.5, y: 3.5 }, { x: 3.5, y: 3.5 }, 5, true)
    expect(rows(mask)).toEqual([".......", "..###..", ".#####.", ".#####.", ".#####.", "..###..", "......."])
  })
  it("leaves no gap, however fast it moves", () => {
    const mask = new Mask(9, 3)
    mask.stroke({ x: 0.5, y: 1.5 }, { x: 8.5, y: 1.5 }, 1, true)
    expect(rows(mask)).toEqual([".........", "#########", "........."])
  })
  it("stays on the picture, and tells what it touched", () => {
    const mask = new Mask(4, 4)
    expect(mask.stroke({ x: -1, y: -1 }, { x: 1, y: 1 }, 2, true)).toEqual({ left: 0, top: 0, right: 3, bottom: 3 })
    expect(mask.stroke({ x: 99, y: 99 }, { x: 99, y: 99 }, 2, true)).toMatchObject({ right: 4, bottom: 4 })
    expect(mask.pixels).toHaveLength(16)
  })
  it("takes away, too", () => {
    const mask = new Mask(3, 1, new Uint8Array([255, 255, 255]))
    mask.stroke({ x: 1.5, y: 0.5 }, { x: 1.5, y: 0.5 }, 1, false)
    expect(rows(mask)).toEqual(["#.#"])
  })
})

describe("a mask", () => {
  it("is inverted and cleared, and both can be had back", () => {
    const mask = new Mask(2, 1, new Uint8Array([255, 0]))
    mask.begin()
    mask.invert()
    expect([rows(mask), mask.covered]).toEqual([[".#"], 0.5])
    mask.begin()
    mask.clear()
    expect(mask.covered).toBe(0)
    mask.undo()
    mask.undo()
    expect([rows(mask), mask.canUndo]).toEqual([["#."], false])
    mask.redo()
    expect([rows(mask), mask.canRedo]).toEqual([[".#"], true])
  })
  it("forgets what was undone once something else is painted", () => {
    const mask = new Mask(2, 1)
    mask.begin()
    mask.invert()
    mask.undo()
    mask.begin()
    expect(mask.canRedo).toBe(false)
  })
  it("is read from a picture by brightness", () => {
    expect([...fromColours(2, 1, new Uint8ClampedArray([255, 255, 255, 255, 0, 30, 60, 255])).pixels]).toEqual([255, 30])
  })
})

import { describe, expect, it } from "vitest"
import type { Point } from "../document/model"
import { pathThrough, routed } from "./routes"

const card = (x: number, y: number, width = 100, height = 100) => ({ x, y, width, height })
const wire = (id: string, from: Point, to: Point) => ({ id, from, to })

describe("the way of a wire", () => {
  it("is straight where nothing stands in it", () => {
    expect(routed([card(0, 0), card(300, 0)], [wire("a", [100, 50], [300, 50])]).size).toBe(0)
    expect(routed([card(0, 0), card(150, 200), card(300, 0)], [wire("a", [100, 50], [300, 50])]).size).toBe(0)
  })
  it("leads past a card, on the nearer side of it", () => {
    const way = routed([card(0, 0), card(150, 0), card(400, 0)], [wire("a", [100, 80], [400, 80])]).get("a")!
    expect(way.map(([, y]) => y)).toEqual([112, 112])
    expect(way[0]![0]).toBeLessThan(150)
    expect(way[1]![0]).toBeGreaterThan(250)
  })
  it("leads between two cards if there is room", () => {
    const way = routed([card(150, 0), card(150, 160)], [wire("a", [100, 90], [400, 90])]).get("a")!
    expect(way[0]![1]).toBe(112)
  })
  it("does not lead through a gap that is too narrow", () => {
    const [[, y]] = routed([card(150, 0), card(150, 110)], [wire("a", [100, 90], [400, 90])]).get("a")! as [Point]
    expect(y === -12 || y === 222).toBe(true)
  })
  it("lies beside other wires on the same way, and does not cross them", () => {
    const ways = routed([card(150, 0)], [wire("upper", [100, 70], [400, 70]), wire("lower", [100, 90], [400, 90])])
    expect(ways.get("upper")![0]![1]).toBeLessThan(ways.get("lower")![0]![1])
  })
  it("draws closer to others where the gap has no room for all", () => {
    const wires = Array.from({ length: 9 }, (_, i) => wire(`${i}`, [100, 60 + i], [400, 60 + i]))
    const ys = [...routed([card(150, 0), card(150, 140)], wires).values()].map(([first]) => first![1])
    expect(Math.max(...ys)).toBeLessThanOrEqual(128)
    expect(new Set(ys).size).toBe(9)
  })
})

it("a line through points is level at each of them", () => {
  expect(pathThrough([[0, 0], [100, 0], [200, 50]])).toBe("M0,0L100,0C150,0 150,50 200,50")
})

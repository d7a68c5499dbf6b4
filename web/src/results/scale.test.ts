import { describe, expect, it } from "vitest"
import { type Ramp, colourAt, scaleOf, short } from "./scale"

const ramp: Ramp = { pale: [255, 255, 255], strong: [0, 0, 255], opposite: [255, 0, 0] }

describe("a scale", () => {
  it("goes from the lowest to the highest value where all have one sign", () => {
    const { signed, at } = scaleOf(2, 6)
    expect([signed, at(2), at(4), at(6)]).toEqual([false, 0, 0.5, 1])
  })
  it("has zero in its middle where there are both signs, so that equal distances look alike", () => {
    const { signed, at } = scaleOf(-1, 4)
    expect([signed, at(0), at(4), at(-4), at(-1)]).toEqual([true, 0, 1, -1, -0.25])
  })
  it("of one value alone is in the middle, and no value leaves it", () => {
    expect(scaleOf(3, 3).at(3)).toBe(0.5)
    expect(scaleOf(0, 1).at(9)).toBe(1)
  })
  it("becomes colours from pale to strong, and to the opposite below zero", () => {
    expect(colourAt(0, ramp)).toEqual([255, 255, 255])
    expect(colourAt(1, ramp)).toEqual([0, 0, 255])
    expect(colourAt(-0.5, ramp)).toEqual([255, 128, 128])
  })
})

describe("a number", () => {
  it("is written as short as it stays telling", () => {
    expect([0, 12, 0.5, 44.4291, 0.96789, 2.8e-21, 123456.789, -3.3187, null].map(short)).toEqual(["0", "12", "0.5", "44.43", "0.9679", "2.80e-21", "1.235e+5", "-3.319", "–"])
  })
})

import { describe, expect, it } from "vitest"
import { type Range, nudged, read, scrubbing, stepOf } from "./numbers"

const COUNT: Range = { whole: true, low: 1, high: 64 }
const SHARE: Range = { whole: false, low: 0, high: 1 }
const ANY: Range = { whole: false }
const PLAIN = { shiftKey: false, altKey: false }

describe("a step", () => {
  it("is what the port says, one for whole numbers, else a hundredth of the range", () => {
    expect([stepOf({ ...SHARE, step: 0.25 }), stepOf(COUNT), stepOf(SHARE), stepOf({ whole: false, low: 0, high: 100 })]).toEqual([0.25, 1, 0.01, 1])
  })
  it("adds nothing that was not meant", () => {
    expect([nudged(0.1, 20, SHARE), nudged(0.29, 1, SHARE), nudged(0.3, 0.1, SHARE)]).toEqual([0.3, 0.3, 0.301])
  })
  it("ends at the range's ends", () => expect([nudged(60, 10, COUNT), nudged(3, -10, COUNT)]).toEqual([64, 1]))
  it("begins at zero where there is no number yet, or as near as may be", () => expect([nudged(null, 1, ANY), nudged(null, 1, COUNT)]).toEqual([0.1, 2]))
})

describe("a number that is written", () => {
  it("may have signs and commas as people write them", () => {
    expect([read(" +3 ", ANY), read("−2", ANY), read("0,5", ANY), read("1e3", ANY)]).toEqual([{ value: 3 }, { value: -2 }, { value: 0.5 }, { value: 1000 }])
  })
  it("is nothing when nothing is written", () => expect(read("  ", COUNT)).toEqual({ value: undefined }))
  it("is told what is wrong with it", () => {
    const faults = [read("abc", ANY), read("2.5", COUNT), read("0", COUNT), read("65", COUNT), read("1,2,3", ANY), read("9007199254740993", { whole: true })]
    expect(faults).toEqual([{ fault: "noNumber" }, { fault: "noWhole" }, { fault: "tooLow" }, { fault: "tooHigh" }, { fault: "noNumber" }, { fault: "noWhole" }])
  })
})

describe("a drag on a number", () => {
  it("goes one step every few pixels, from where it began", () => {
    const at = scrubbing(10, COUNT)
    expect([at(3, PLAIN), at(4, PLAIN), at(40, PLAIN), at(-8, PLAIN)]).toEqual([10, 11, 20, 8])
  })
  it("goes ten times as far with Shift, and a tenth with Alt, from where the key went down", () => {
    const at = scrubbing(0.5, SHARE)
    expect([at(8, PLAIN), at(12, { shiftKey: true, altKey: false }), at(52, { shiftKey: false, altKey: true })]).toEqual([0.52, 0.62, 0.63])
  })
  it("loses nothing to a slow hand", () => {
    const at = scrubbing(0, ANY)
    let last = 0
    for (let x = 1; x <= 40; x++) last = at(x, PLAIN)
    expect(last).toBe(1)
  })
})

import { describe, expect, it } from "vitest"
import { joined } from "./pages"

const rows = (...numbers: number[]) => numbers.map((number) => ({ number }))

describe("a list that is looked at again", () => {
  it("has what is new before what was known", () => {
    expect(joined(rows(9, 8, 7), rows(8, 7, 6, 5))).toEqual(rows(9, 8, 7, 6, 5))
  })
  it("loses what was forgotten from its first page", () => {
    expect(joined(rows(9, 7, 6), rows(9, 8, 7, 6, 5))).toEqual(rows(9, 7, 6, 5))
  })
  it("is empty once nothing is left", () => {
    expect(joined([], rows(3, 2))).toEqual([])
  })
})

import { describe, expect, it } from "vitest"
import type { ImportLine } from "../api/types"
import { asText, places, sorted } from "./report"

const line = (state: string, more: Partial<ImportLine> = {}): ImportLine => ({ state, node: "", type: "", title: "", became: "", why: "", ...more })
const LINES = [
  line("mapped", { node: "3", type: "KSampler", became: "paint" }), line("note", { why: "noise" }), line("note", { node: "8", type: "VAEDecode", became: "output.image", why: "an output" }),
  line("missing", { became: "input.model", why: "`a.safetensors` is not here" }), line("placeholder", { node: "30", type: "FreeU", title: "Mine", became: "freeu", why: "unknown" }),
]

describe("the report of an import", () => {
  it("begins with what asks for something; what is said of the whole stands apart", () => {
    const { groups, remarks } = sorted(LINES)
    expect(groups.map(([state, found]) => [state, found.length])).toEqual([["missing", 1], ["placeholder", 1], ["mapped", 1], ["note", 1]])
    expect(remarks).toEqual(["noise"])
  })
  it("leads to cards that are there", () => {
    const doc = { flowmm: 1 as const, nodes: { paint: { op: "x.y" } } }
    expect(places("paint, paint_2, input.width", doc)).toEqual([{ name: "paint", card: "paint" }, { name: "paint_2", card: null }, { name: "input.width", card: ":inputs" }])
    expect(places("", doc)).toEqual([])
  })
  it("is told as text, all of it", () => {
    expect(asText(LINES).split("\n")).toEqual([
      "mapped: KSampler #3 → paint", "note: (noise)", "note: VAEDecode #8 → output.image (an output)", "missing: → input.model (`a.safetensors` is not here)",
      "placeholder: FreeU #30 “Mine” → freeu (unknown)",
    ])
  })
})

import { describe, expect, it } from "vitest"
import type { NodeType } from "../api/types"
import { drawnAs, isOld } from "./versions"

const spec = { version: 2, inputs: { number: {}, factor: {} }, outputs: { product: {} } } as unknown as NodeType

describe("a node of an older version", () => {
  it("is one whose version is lower; what says none is of the first", () => {
    expect([isOld({ op: "a" }, spec), isOld({ op: "a", version: 2 }, spec), isOld({ op: "a", version: 3 }, spec), isOld({ op: "a" }, undefined)]).toEqual([true, false, false, false])
  })
  it("is drawn as what it is now where its ports are there still, else as it is written", () => {
    expect(drawnAs({ op: "a", in: { number: 1 } }, spec, () => ["product"])).toBe(spec)
    expect(drawnAs({ op: "a", in: { times: 1 } }, spec, () => [])).toBeUndefined()
    expect(drawnAs({ op: "a" }, spec, () => ["result"])).toBeUndefined()
    expect(drawnAs({ op: "a", version: 2, in: { times: 1 } }, spec, () => ["result"])).toBe(spec)
  })
})

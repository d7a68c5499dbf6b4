import { describe, expect, it } from "vitest"
import { upstream } from "./upstream"

describe("what an output hangs on", () => {
  it("is found through wires and lists, the nearest first, each once", () => {
    const nodes = {
      load: { op: "l" },
      paint: { op: "p", in: { model: { from: "load.model" }, seed: { from: "input.seed" } } },
      pixels: { op: "d", in: { latent: { from: "paint.latent" }, model: { from: "load.model" } } },
      sheet: { op: "s", in: { images: { list: [{ from: "pixels.image" }, { from: "pixels.image" }] } } },
      apart: { op: "a" },
    }
    expect(upstream(nodes, "sheet")).toEqual(["sheet", "pixels", "paint", "load"])
  })
  it("of a node that is not there is that name alone", () => {
    expect(upstream({}, "gone")).toEqual(["gone"])
  })
})

import { describe, expect, it } from "vitest"
import type { Repair } from "../api/types"
import type { Doc } from "../document/model"
import { mended } from "./repairs"

const doc: Doc = {
  flowmm: 1,
  inputs: { steps: { default: 5000 } },
  nodes: {
    paint: { op: "diffusion.sample", in: { steps: { from: "input.steps" } } },
    parts: { op: "diffusion.load", in: {} },
    smaller: { op: "image.resize", in: { image: { from: "paint.latent" }, width: 9000 } },
    row: { op: "image.sheet", in: { images: { list: [{ from: "smaller.image" }, { from: "paint.latent" }] } } },
  },
  outputs: { lost: { from: "gone.image" } },
  layout: { nodes: { paint: [0, 0], smaller: [400, 100] } },
}
const repair = (one: Partial<Repair>): Repair => ({ kind: "cut", node: "smaller", port: "image", words: {}, ...one })
const decode: Partial<Repair> = {
  kind: "insert", op: "diffusion.decode", version: 2, input: "latent", output: "image", wires: { autoencoder: "parts.autoencoder" }, from: "paint.latent",
}

describe("a repair", () => {
  it("puts a node between, with its other inputs wired, in the middle of the two", () => {
    const made = mended(doc, repair(decode))
    expect(made.nodes?.decode).toEqual({ op: "diffusion.decode", version: 2, in: { latent: { from: "paint.latent" }, autoencoder: { from: "parts.autoencoder" } } })
    expect(made.nodes?.smaller?.in?.image).toEqual({ from: "decode.image" })
    expect(made.layout?.nodes?.decode).toEqual([200, 110])
  })
  it("leads only the wire of a list that did not fit through it, and is placed with the others where nobody placed them", () => {
    const made = mended(doc, repair({ ...decode, node: "row", port: "images" }))
    expect(made.nodes?.row?.in?.images).toEqual({ list: [{ from: "smaller.image" }, { from: "decode.image" }] })
    expect(made.layout?.nodes).not.toHaveProperty("decode")
  })
  it("sets a port or an input of the graph, wires, gives a default back, and cuts", () => {
    expect(mended(doc, repair({ kind: "set", port: "width", value: 64 })).nodes?.smaller?.in?.width).toBe(64)
    expect(mended(doc, repair({ kind: "set", node: "input", port: "steps", value: 1000 })).inputs?.steps?.default).toBe(1000)
    expect(mended(doc, repair({ kind: "wire", node: "paint", port: "denoiser", from: "parts.denoiser" })).nodes?.paint?.in?.denoiser).toEqual({ from: "parts.denoiser" })
    expect(mended(doc, repair({ kind: "reset", port: "width" })).nodes?.smaller?.in).not.toHaveProperty("width")
    expect(mended(doc, repair({ node: "", port: "lost" })).outputs).toEqual({})
  })
  it("of what is gone meanwhile changes nothing", () => {
    expect(mended(doc, repair({ ...decode, node: "gone" }))).toBe(doc)
    expect(mended(doc, repair({ kind: "set", node: "input", port: "gone", value: 1 }))).toBe(doc)
  })
})

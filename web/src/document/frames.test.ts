import { describe, expect, it } from "vitest"
import type { Catalogue } from "../api/types"
import { eachToggled, roundsOf, setCombine, setLoop, specOf } from "./frames"
import { type Doc, removeInput, renameInput } from "./model"
import { axesOf, axisToggled, cellsOf, setAxis, setSweepCombine } from "./sweeps"

const paint = { op: "paint", in: { seed: 4, prompt: { from: "input.prompt" }, words: { list: [{ from: "a.x" }, { from: "b.x" }] } } }
const doc: Doc = { flowmm: 1, inputs: { prompt: { default: "a star" }, seed: { default: 0 } }, nodes: { paint } }
const plain = { kind: "plain", name: "int" } as const
const types = { paint: { title: "Paint", inputs: { seed: { type: plain, shown: "int", help: "", default: 0 }, prompt: { type: plain, shown: "str", help: "", default: "" } }, outputs: { image: { type: plain, shown: "Image", help: "" } } } } as unknown as Catalogue["nodes"]

describe("a node that runs once for each of a list", () => {
  it("has what was written as the first item, and again alone when it is one no longer", () => {
    const on = eachToggled(doc, "paint", "seed")
    expect(on.nodes?.paint).toMatchObject({ each: ["seed"], in: { seed: { value: [4] } } })
    expect(eachToggled(on, "paint", "seed")).toEqual(doc)
  })
  it("keeps its wires, and takes the first of several; an input that feeds it alone follows", () => {
    const on = eachToggled(eachToggled(doc, "paint", "prompt"), "paint", "words")
    expect(on.nodes?.paint?.in).toEqual(paint.in)
    expect(on.inputs?.prompt).toEqual({ default: ["a star"] })
    expect(eachToggled(on, "paint", "prompt").inputs).toEqual(doc.inputs)
    const twice = { ...doc, nodes: { paint, other: paint } }
    expect(eachToggled(twice, "paint", "prompt").inputs).toBe(twice.inputs)
    expect(eachToggled(on, "paint", "words").nodes?.paint).toMatchObject({ each: ["prompt"], in: { words: { from: "a.x" } } })
  })
  it("begins with the port's default, and with nothing where there is none", () => {
    expect(eachToggled(doc, "paint", "steps", 20).nodes?.paint?.in?.steps).toEqual({ value: [20] })
    expect(eachToggled(doc, "paint", "steps").nodes?.paint).toMatchObject({ each: ["steps"], in: paint.in })
  })
  it("is drawn as what takes and gives lists; the type stays the same object", () => {
    const node = eachToggled(doc, "paint", "seed").nodes!.paint!
    const spec = specOf(node, types)!
    expect(spec.inputs.seed).toEqual({ type: { kind: "list", item: plain }, shown: "list[int]", help: "", each: true })
    expect(spec.inputs.prompt).toBe(types.paint!.inputs.prompt)
    expect(spec.outputs.image!.shown).toBe("list[Image]")
    expect(specOf(node, types)).toBe(spec)
    expect(specOf(paint, types)).toBe(types.paint)
  })
  it("says how often it runs where its lists are written down", () => {
    const one = { op: "x", each: ["a"], in: { a: { value: [1, 2, 3] } } }
    expect(roundsOf(one)).toBe(3)
    expect(roundsOf({ ...one, in: { a: { list: [1, { from: "b.x" }] } } })).toBe(2)
    expect(roundsOf({ ...one, in: { a: { from: "b.x" } } })).toBeNull()
    const two = { op: "x", each: ["a", "b"], in: { a: { value: [1, 2, 3] }, b: { value: [1, 2, 3] } } }
    expect(roundsOf(two)).toBe(3)
    expect(roundsOf({ ...two, combine: "product" as const })).toBe(9)
    expect(roundsOf({ ...two, combine: "product" as const, in: { ...two.in, b: { from: "x.y" } } })).toBeNull()
  })
  it("combines lists side by side where nothing is said", () => {
    const product = setCombine(doc, "paint", "product")
    expect(product.nodes?.paint?.combine).toBe("product")
    expect(setCombine(product, "paint", "zip")).toEqual(doc)
  })
  it("is no loop as well", () => {
    const loop = { carry: { seed: "seed" }, most: 3 }
    const looped = setLoop(eachToggled(doc, "paint", "seed"), "paint", loop)
    expect(looped.nodes?.paint).toEqual({ ...paint, loop })
    expect(eachToggled(looped, "paint", "seed").nodes?.paint).toMatchObject({ each: ["seed"] })
    expect(eachToggled(looped, "paint", "seed").nodes?.paint).not.toHaveProperty("loop")
    expect(setLoop(looped, "paint", null)).toEqual(doc)
  })
})

describe("inputs that take several values", () => {
  const swept = setAxis(setAxis(doc, "seed", [0, 1, 2]), "prompt", ["a", "b"])
  it("begin with those they are given, and go with the last", () => {
    const on = axisToggled(doc, "seed", [7])
    expect(axesOf(on)).toEqual({ seed: [7] })
    expect(axisToggled(on, "seed", [])).toEqual({ ...doc, layout: {} })
  })
  it("make a run of each combination, or of each place", () => {
    expect(cellsOf(swept)).toBe(6)
    expect(cellsOf(setSweepCombine(swept, "zip"))).toBe(2)
  })
  it("keep their values under another name, and lose them with the input", () => {
    expect(axesOf(renameInput(swept, "seed", "dice"))).toEqual({ dice: [0, 1, 2], prompt: ["a", "b"] })
    expect(axesOf(removeInput(swept, "seed"))).toEqual({ prompt: ["a", "b"] })
  })
})

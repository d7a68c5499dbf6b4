import { describe, expect, it } from "vitest"
import { type Doc, giveInput, inputValue, inputsOf, moveInput, promote, removeInput, removeNodes, renameInput, renameNode, ungive } from "./model"

const DOC: Doc = {
  flowmm: 1,
  inputs: { image: { default: "examples/a.png" }, seed: { default: 3 }, text: {} },
  nodes: { draw: { op: "x.draw", in: { image: { from: "input.image" }, seed: { from: "input.seed" } } }, other: { op: "x.other", in: { seed: 7 } } },
  outputs: {},
  layout: { seeds: { "input.seed": "random", "other.seed": "next" } },
}
const UPLOAD = { upload: "a.png" }

describe("what an input is given", () => {
  it("keeps a picture of this server beside the document, whose default stays", () => {
    const doc = giveInput(DOC, "image", UPLOAD)
    expect(doc.inputs).toBe(DOC.inputs)
    expect([inputValue(doc, "image"), inputsOf(doc)]).toEqual([UPLOAD, { image: UPLOAD }])
    expect(inputValue(ungive(doc, "image"), "image")).toBe("examples/a.png")
  })

  it("keeps a list with one such picture whole", () => {
    const mixed = ["examples/a.png", UPLOAD]
    expect(inputsOf(giveInput(DOC, "image", mixed))).toEqual({ image: mixed })
  })

  it("writes anything else into the document, in place of what was given", () => {
    const doc = giveInput(giveInput(DOC, "image", UPLOAD), "image", "examples/b.png")
    expect([doc.inputs?.image?.default, inputsOf(doc)]).toEqual(["examples/b.png", {}])
  })

  it("takes the default away, not a null in its place", () => {
    expect(giveInput(DOC, "seed", undefined).inputs?.seed).toEqual({})
    expect(giveInput(DOC, "seed", null).inputs?.seed).toEqual({ default: null })
  })

  it("is the same document when nothing changes", () => expect(giveInput(DOC, "seed", 3)).toBe(DOC))
})

describe("what is said of inputs and ports beside the document", () => {
  const given = giveInput(DOC, "image", UPLOAD)

  it("follows an input to its new name", () => {
    expect(inputsOf(renameInput(given, "image", "photo"))).toEqual({ photo: UPLOAD })
    expect(renameInput(given, "seed", "luck").layout?.seeds).toEqual({ "input.luck": "random", "other.seed": "next" })
  })

  it("goes with an input that goes", () => {
    expect(inputsOf(removeInput(given, "image"))).toEqual({})
    expect(removeInput(given, "seed").layout?.seeds).toEqual({ "other.seed": "next" })
  })

  it("follows a node to its new name, and goes with it", () => {
    expect(renameNode(DOC, "other", "second").layout?.seeds).toEqual({ "input.seed": "random", "second.seed": "next" })
    expect(removeNodes(DOC, ["other"]).layout?.seeds).toEqual({ "input.seed": "random" })
  })

  it("goes along when a seed becomes an input", () => {
    const [doc, name] = promote(DOC, "other", "seed", undefined)
    expect([name, doc.inputs?.[name]?.default, doc.layout?.seeds]).toEqual(["seed_2", 7, { "input.seed": "random", "input.seed_2": "next" }])
  })
})

describe("the order of inputs", () => {
  const order = (doc: Doc) => Object.keys(doc.inputs ?? {})
  it("is changed by moving one", () => {
    expect(order(moveInput(DOC, "text", 0))).toEqual(["text", "image", "seed"])
    expect(order(moveInput(DOC, "image", 1))).toEqual(["seed", "image", "text"])
  })
  it("has ends", () => {
    expect(moveInput(DOC, "image", -1)).toBe(DOC)
    expect(order(moveInput(DOC, "image", 9))).toEqual(["seed", "text", "image"])
  })
})

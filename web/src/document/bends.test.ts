import { describe, expect, it } from "vitest"
import { before, bent, straightened } from "./bends"
import { type Doc, links, removeNodes } from "./model"

const doc: Doc = {
  flowmm: 1,
  inputs: { prompt: { default: "a" } },
  nodes: {
    words: { op: "text.join", in: { first: { from: "input.prompt" } } },
    both: { op: "text.list", in: { items: { list: [{ from: "words.text" }, "x", { from: "input.prompt" }] } } },
    one: { op: "text.repeat", in: { text: { from: "words.text" }, times: 2 } },
  },
  outputs: { text: { from: "words.text" } },
}
const from = (node: string, port: string) => links(doc).filter((link) => link.node === node && link.port === port)

describe("a bend", () => {
  it("is put into one wire, of a list only the one that is meant", () => {
    const [wire] = from("words", "text").filter(({ to }) => to === "both")
    const [made, name] = bent(doc, [wire!], 3, [10, 20])
    expect(name).toBe("reroute")
    expect(made.nodes!.reroute).toEqual({ op: "logic.reroute", version: 3, in: { value: { from: "words.text" } } })
    expect(made.nodes!.both!.in!.items).toEqual({ list: [{ from: "reroute.value" }, "x", { from: "input.prompt" }] })
    expect(made.nodes!.one).toBe(doc.nodes!.one)
    expect(made.layout!.nodes).toEqual({ reroute: [10, 20] })
  })
  it("is put into all wires of an output, those to outputs of the graph among them", () => {
    const [made] = bent(doc, from("words", "text"), 1, [0, 0])
    expect(made.outputs).toEqual({ text: { from: "reroute.value" } })
    expect(made.nodes!.one!.in).toEqual({ text: { from: "reroute.value" }, times: 2 })
    expect(links(made).filter(({ node }) => node === "words")).toHaveLength(1)
  })
  it("that is taken out leaves the wires as they were, also where several follow each other", () => {
    const [one] = bent(doc, from("words", "text"), 1, [0, 0])
    const [two] = bent(one, links(one).filter(({ node, to }) => node === "reroute" && to !== ":outputs"), 1, [5, 5])
    const out = removeNodes(straightened(two, ["reroute", "reroute_2"]), ["reroute", "reroute_2"])
    expect([out.nodes, out.outputs]).toEqual([doc.nodes, doc.outputs])
    expect(straightened(two, ["one"])).toBe(two)
  })
  it("tells where what comes out of it was made", () => {
    const [one] = bent(doc, from("words", "text"), 1, [0, 0])
    const [two] = bent(one, links(one).filter(({ node, to }) => node === "reroute" && to !== ":outputs"), 1, [5, 5])
    expect(before(two, "reroute_2", "value")).toEqual({ node: "words", port: "text" })
    expect(before(two, "one", "text")).toEqual({ node: "one", port: "text" })
    const ring: Doc = { ...doc, nodes: { a: { op: "logic.reroute", in: { value: { from: "b.value" } } }, b: { op: "logic.reroute", in: { value: { from: "a.value" } } }, c: { op: "logic.reroute" } } }
    expect([before(ring, "a", "value"), before(ring, "c", "value")]).toEqual([null, null])
  })
})

import { beforeEach, describe, expect, it } from "vitest"
import { enclosed } from "./enclose"
import { definitionOf, fromOutside, reached, uses } from "./graphs"
import { type Doc, INPUTS, OUTPUTS, promote, removeInput, removeNodes, renameInput, renameOutput, setPort } from "./model"
import { currentDoc, edit, history, useDocument, wholeDoc } from "./store"

const wire = (from: string) => ({ from })
const inner: Doc = {
  flowmm: 1,
  inputs: { x: {}, step: { default: 1, title: "Step" } },
  nodes: { one: { op: "x.add", in: { a: wire("input.x"), b: wire("input.step"), c: 4 } }, deep: { op: "graph:deep", in: { n: wire("one.sum") } } },
  outputs: { out: wire("deep.out"), sum: wire("one.sum") },
  graphs: { deep: { flowmm: 1, inputs: { n: {} }, nodes: { two: { op: "x.add", in: { a: wire("input.n"), b: 2 } } }, outputs: { out: wire("two.sum") } } },
}
const DOC: Doc = {
  flowmm: 1,
  inputs: { start: { default: 1 } },
  nodes: {
    p: { op: "graph:twice", in: { x: wire("input.start"), step: 3 } },
    q: { op: "graph:twice", in: { x: wire("p.out") }, each: ["x"] },
    r: { op: "graph:twice", in: { x: wire("q.sum") }, loop: { carry: { x: "out" }, until: "sum", most: 3 } },
    far: { op: "graph:saved", in: { x: wire("p.sum") } },
  },
  outputs: { out: wire("r.out"), sum: wire("p.sum") },
  graphs: { twice: inner, spare: { flowmm: 1, nodes: {}, outputs: {} } },
  layout: { seeds: { "p.step": "next" } },
}
const open = (way: string[] = []) => {
  useDocument.getState().open("saved", DOC, "1", true)
  useDocument.getState().go(way)
}

describe("the way into a graph", () => {
  it("leads through nodes to definitions, and ends where there is none", () => {
    expect(reached(DOC, ["p", "deep"])).toEqual({ way: ["p", "deep"], address: ["twice", "deep"] })
    expect(reached(DOC, ["p", "one"])).toEqual({ way: ["p"], address: ["twice"] })
    expect(reached(DOC, ["far"])).toEqual({ way: [], address: [] })
    expect(reached(DOC, ["constructor"])).toEqual({ way: [], address: [] })
  })
  it("finds the nearest definition of a name", () => {
    const near: Doc = { ...DOC, graphs: { ...DOC.graphs, deep: inner } }
    expect(definitionOf(near, ["twice"], "graph:deep")).toEqual(["twice", "deep"])
    expect(definitionOf(near, [], "graph:deep")).toEqual(["deep"])
    expect(definitionOf(DOC, [], "graph:deep")).toBeNull()
    expect(definitionOf(DOC, [], "x.add")).toBeNull()
  })
  it("tells what flows in from outside by the wire that gives it, or the value", () => {
    expect(fromOutside(DOC, ["p", "deep"], "two.sum")).toEqual({ wire: "p/deep/two.sum" })
    expect(fromOutside(DOC, ["p", "deep"], "input.n")).toEqual({ wire: "p/one.sum" })
    expect(fromOutside(DOC, ["p"], "input.x")).toEqual({ wire: "input.start" })
    expect(fromOutside(DOC, ["p"], "input.step")).toEqual({ value: 3 })
    expect(fromOutside(DOC, [], "input.start")).toEqual({ wire: "input.start" })
  })
  it("counts the nodes that use each definition", () => {
    expect(Object.fromEntries(uses(DOC))).toEqual({ twice: 3, "twice/deep": 1 })
  })
})

describe("an edit inside a node", () => {
  beforeEach(() => open(["p"]))
  it("is one of the whole document, and of every node that is the same graph", () => {
    edit((doc) => setPort(doc, "one", "c", 9))
    expect(wholeDoc().graphs!.twice!.nodes!.one!.in!.c).toBe(9)
    expect(wholeDoc().graphs!.spare).toBe(DOC.graphs!.spare)
    expect(currentDoc().nodes!.one!.in!.c).toBe(9)
  })
  it("is undone where it was made", () => {
    edit((doc) => setPort(doc, "one", "c", 9))
    useDocument.getState().go([])
    history().undo()
    expect([useDocument.getState().way, wholeDoc()]).toEqual([["p"], DOC])
    history().redo()
    expect(wholeDoc().graphs!.twice!.nodes!.one!.in!.c).toBe(9)
  })
  it("and a step to elsewhere are not undone together", () => {
    useDocument.getState().go(["p", "deep"])
    edit((doc) => setPort(doc, "two", "b", 5))
    history().undo()
    expect([useDocument.getState().way, wholeDoc()]).toEqual([["p", "deep"], DOC])
    expect(history().pastStates).toHaveLength(0)
  })
  it("keeps the definitions that are its own apart from those around it", () => {
    edit((doc) => enclosed(doc, ["one"], [0, 0], { [INPUTS]: [0, 0], [OUTPUTS]: [0, 0] })[0])
    expect(Object.keys(wholeDoc().graphs!)).toEqual(["twice", "spare"])
    expect(Object.keys(wholeDoc().graphs!.twice!.graphs!)).toEqual(["deep", "part"])
  })
  it("that renames an input leads what is outside to its new name", () => {
    edit((doc) => renameInput(renameInput(doc, "x", "begin"), "step", "by"))
    const { p, q, r } = wholeDoc().nodes!
    expect(p!.in).toEqual({ begin: wire("input.start"), by: 3 })
    expect(q).toMatchObject({ in: { begin: wire("p.out") }, each: ["begin"] })
    expect(r).toMatchObject({ in: { begin: wire("q.sum") }, loop: { carry: { begin: "out" }, until: "sum", most: 3 } })
    expect(wholeDoc().layout!.seeds).toEqual({ "p.by": "next" })
  })
  it("that renames an output leads all that reads it", () => {
    edit((doc) => renameOutput(renameOutput(doc, "out", "last"), "sum", "first"))
    expect(wholeDoc().nodes!.q!.in).toEqual({ x: wire("p.last") })
    expect(wholeDoc().nodes!.r).toMatchObject({ in: { x: wire("q.first") }, loop: { carry: { x: "last" }, until: "first" } })
    expect(wholeDoc().nodes!.far!.in).toEqual({ x: wire("p.first") })
    expect(wholeDoc().outputs).toEqual({ out: wire("r.last"), sum: wire("p.first") })
  })
  it("that takes an input or output away takes the wires to it away", () => {
    edit((doc) => removeInput(doc, "step"))
    expect(wholeDoc().nodes!.p!.in).toEqual({ x: wire("input.start") })
    edit((doc) => ({ ...doc, outputs: { out: doc.outputs!.out! } }))
    expect(wholeDoc().nodes!.r!.in).toEqual({})
    expect(wholeDoc().outputs).toEqual({ out: wire("r.out") })
    history().undo()
    history().undo()
    expect(wholeDoc()).toBe(DOC)
  })
  it("that makes a setting an input gives it to every such node", () => {
    edit((doc) => promote(doc, "one", "c", undefined)[0])
    expect(wholeDoc().graphs!.twice!.inputs!.c).toEqual({ default: 4 })
    expect(wholeDoc().nodes!.p).toBe(DOC.nodes!.p)
  })
})

describe("a definition", () => {
  it("goes with its last use, and comes back by undo; one that never had a use stays", () => {
    open()
    edit((doc) => removeNodes(doc, ["p", "q"]))
    expect(Object.keys(wholeDoc().graphs!)).toEqual(["twice", "spare"])
    edit((doc) => removeNodes(doc, ["r"]))
    expect(Object.keys(wholeDoc().graphs!)).toEqual(["spare"])
    history().undo()
    expect(wholeDoc().graphs!.twice).toBe(inner)
  })
  it("that is shown is left as soon as it is gone", () => {
    open(["p", "deep"])
    useDocument.getState().editWhole((root) => ({ ...root, nodes: { p: { op: "x.other" } } }))
    expect([useDocument.getState().way, currentDoc()]).toEqual([[], wholeDoc()])
  })
})

import { beforeEach, describe, expect, it, vi } from "vitest"
import { api } from "../api/client"
import type { Catalogue } from "../api/types"
import { know, useCatalogue } from "../app/catalogue"
import { draw, endOf, useStage } from "../canvas/stage"
import { enclosed } from "../document/enclose"
import { type Doc, INPUTS, OUTPUTS, addOutput } from "../document/model"
import { edit, useDocument } from "../document/store"
import { foreseen } from "./foreseen"
import { followDocument } from "./store"

const wire = (from: string) => ({ from })
const TEXT = { type: { kind: "socket", name: "Text", colour: "#369653" }, shown: "Text", help: "" } as const
const NODES: Catalogue["nodes"] = {
  "text.join": { op: "text.join", version: 1, title: "Join", help: "", tags: [], reference: "", module: "", pure: true, lane: "device", inputs: { first: TEXT, second: { ...TEXT, default: "b" } }, outputs: { text: TEXT } },
}
const join = (first: string, second: string) => ({ op: "text.join", version: 1, in: { first: wire(first), second: wire(second) } })
const DOC: Doc = {
  flowmm: 1,
  inputs: { start: { default: "a" } },
  nodes: { a: join("input.start", "input.start"), b: join("a.text", "input.start"), c: join("b.text", "a.text"), d: join("c.text", "b.text") },
  outputs: { out: wire("d.text") },
}
const CARDS = { [INPUTS]: [0, 0], [OUTPUTS]: [0, 0] } as Parameters<typeof enclosed>[3]
const [made] = enclosed(DOC, ["b", "c"], [0, 0], CARDS)

/** The wires whose two ends are on cards. */
function attached(doc: Doc): string[] {
  draw(doc, useCatalogue.getState().nodes!, null)
  const { nodes, edges } = useStage.getState()
  const byId = new Map(nodes.map((node) => [node.id, node]))
  return edges.flatMap(({ id, source, sourceHandle, target, targetHandle }) => (endOf(byId.get(source), sourceHandle, "source") && endOf(byId.get(target), targetHandle, "target") ? [id] : []))
}

beforeEach(() => {
  useCatalogue.setState({ nodes: NODES })
  useStage.setState({ nodes: [], edges: [] })
  useDocument.getState().open("mine", DOC, "1", true)
  vi.spyOn(api, "check").mockReturnValue(new Promise(() => {})) // Python has not answered
})

describe("a definition that Python has not spoken of", () => {
  it("has the names that the document gives it, typed where a node's port says it", () => {
    const { "graph:part": part } = foreseen(made, NODES)
    expect(part!.inputs).toEqual({ first: TEXT, start: { ...TEXT, default: "a" } })
    expect(part!.outputs).toEqual({ text: TEXT, text_2: TEXT })
  })
  it("is of unknown type where it is made of graphs", () => {
    const outer = { ...made, graphs: { ...made.graphs, outer: { ...made, outputs: { out: wire("part.text") }, graphs: undefined } } } as Doc
    expect(foreseen(outer, NODES)["graph:outer"]).toMatchObject({ title: "outer", outputs: { out: { type: { kind: "variable" }, shown: "?" } } })
  })
  it("is drawn with all its wires at once: when it is made, entered, and left with another output", () => {
    const stop = followDocument()
    know({ "graph:part": { ...NODES["text.join"]!, op: "graph:part" } }) // as it was before that was undone
    edit((doc) => enclosed(doc, ["b", "c"], [0, 0], CARDS)[0])
    const all = ["a.text>part.first", "input.start>part.start", "part.text>d.first", "part.text_2>d.second"]
    expect(attached(useDocument.getState().doc)).toEqual(expect.arrayContaining(all))
    useDocument.getState().go(["part"])
    edit((doc) => addOutput(enclosed(doc, ["b"], [0, 0], CARDS)[0], "c.text", "more")[0])
    expect(attached(useDocument.getState().doc)).toEqual(expect.arrayContaining(["part_2.text>c.first", "input.first>part_2.first"]))
    useDocument.getState().go([])
    expect(Object.keys(useCatalogue.getState().nodes!["graph:part"]!.outputs)).toEqual(["text", "text_2", "more"])
    stop()
  })
  it("is what Python said of it as soon as it has, and as long as its names are the same", () => {
    const typed = { ...foreseen(made, NODES)["graph:part"]!, title: "Said" }
    know({ "graph:part": typed })
    expect(foreseen(made, useCatalogue.getState().nodes!)).toEqual({})
  })
})

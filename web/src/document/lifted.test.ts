import { beforeEach, describe, expect, it } from "vitest"
import type { Check, Problem, Repair } from "../api/types"
import { restored } from "../panels/restore"
import { asked, askedHere, askedToSweep } from "./asked"
import { unpacked } from "./enclose"
import { seen } from "./graphs"
import { lifted, putBack, told, toldAll } from "./lifted"
import { meaning } from "./meaning.fixture"
import { type Doc, type NodeDoc, giveInput } from "./model"
import { useDocument } from "./store"

const wire = (from: string) => ({ from })
const PICTURE = { upload: "a.png" }
const OTHER = { value: "k".repeat(64) }
const show: Doc = { flowmm: 1, inputs: { image: { default: "examples/a.png", title: "Picture" } }, nodes: { one: { op: "x.show", in: { image: wire("input.image") } } }, outputs: { out: wire("one.out") } }
const given = giveInput(show, "image", PICTURE)
const deep: Doc = { flowmm: 1, inputs: {}, nodes: { s: { op: "graph:show", in: {} } }, outputs: { out: wire("s.out") }, layout: {} }
const ROOT: Doc = {
  flowmm: 1,
  inputs: { p_image: {}, size: { default: 2 } },
  nodes: { p: { op: "graph:show", in: {} }, q: { op: "graph:show", in: { image: wire("input.p_image") } }, d: { op: "graph:deep", in: {} } },
  outputs: { p: wire("p.out"), q: wire("q.out"), d: wire("d.out") },
  graphs: { show: given, deep },
  layout: { given: { p_image: OTHER } },
}

describe("a picture given inside a definition", () => {
  const { doc, inputs } = lifted(ROOT)
  it("goes to each node of it that gives the input nothing itself, from one input of the whole document", () => {
    expect(inputs).toEqual({ p_image: OTHER, p_image_2: PICTURE })
    expect(doc.inputs).toEqual({ ...ROOT.inputs, p_image_2: show.inputs!.image })
    expect([doc.nodes!.p!.in, doc.nodes!.q, doc.nodes!.d!.in]).toEqual([{ image: wire("input.p_image_2") }, ROOT.nodes!.q, { s_image: wire("input.p_image_2") }])
    expect(doc.graphs!.deep).toMatchObject({ inputs: { s_image: show.inputs!.image }, nodes: { s: { in: { image: wire("input.s_image") } } }, outputs: deep.outputs })
  })
  it("is asked about with the whole and with the graph that is shown, and stays where it is", () => {
    useDocument.getState().open("saved", { ...ROOT, layout: { ...ROOT.layout, sweep: { axes: { size: [1, 2] } } } }, "1", true)
    const { root } = useDocument.getState()
    expect(asked().inputs).toEqual(inputs)
    expect(askedToSweep()).toMatchObject({ inputs, axes: { size: [1, 2] } })
    useDocument.getState().go(["d"])
    expect(askedHere()).toMatchObject({ graph: { nodes: { s: { in: { image: wire("input.s_image") } } } }, inputs: { s_image: PICTURE } })
    useDocument.getState().go(["p"])
    expect([askedHere().graph, askedHere().inputs]).toEqual([useDocument.getState().doc, { image: PICTURE }])
    expect(useDocument.getState().root).toBe(root)
  })
  it("is not handed on by a node that is bypassed or muted, nor asked of one that is given a setting", () => {
    const off = { ...ROOT, nodes: { p: { op: "graph:show", mode: "bypass" }, q: { op: "graph:show", mode: "mute" }, d: { op: "graph:show", in: { image: "examples/b.png" } } } as Record<string, NodeDoc> }
    expect(lifted(off)).toEqual({ doc: off, inputs: { p_image: OTHER }, raised: [] })
  })
  it("of a graph that holds itself comes to an end", () => {
    const ring = { ...given, nodes: { ...given.nodes, again: { op: "graph:show" } } }
    expect(lifted({ ...ROOT, graphs: { show: ring, deep } }).inputs).toMatchObject({ p_image_2: PICTURE })
  })
  it("that no definition has leaves the very document and its inputs", () => {
    const plain = { ...ROOT, graphs: { show, deep } }
    useDocument.getState().open("saved", plain, "1", true)
    expect([asked().graph, asked().inputs]).toEqual([plain, plain.layout!.given])
    expect(asked().graph).toBe(plain)
    expect(asked().inputs).toBe(plain.layout!.given)
  })
  it("is an input of the graph around where the node is unpacked", () => {
    const [made] = unpacked(ROOT, "p", seen(ROOT, ["show"]), [0, 0])
    expect([made.inputs!.image, made.layout!.given, made.nodes!.one!.in]).toEqual([show.inputs!.image, { p_image: OTHER, image: PICTURE }, { image: wire("input.image") }])
    expect(unpacked(ROOT, "q", seen(ROOT, ["show"]), [0, 0])[0].inputs).toEqual(ROOT.inputs)
  })
})

describe("a document that was lifted and run", () => {
  it("is put back as it was when it is opened", () => {
    const { doc, inputs } = lifted(ROOT)
    expect(putBack(doc, inputs)).toEqual([ROOT, { p_image: OTHER }])
    expect(restored(doc, inputs, ROOT)).toEqual(ROOT)
    const placed = { ...ROOT, layout: { ...ROOT.layout, nodes: { p: [1, 2] as [number, number] } } }
    expect(restored(lifted(placed).doc, inputs, ROOT)).toEqual(placed)
  })
  it("whose picture is gone has the default", () => {
    const { doc } = lifted(ROOT)
    expect(putBack(doc, {})).toEqual([{ ...ROOT, graphs: { show: { ...show, layout: {} }, deep } }, {}])
  })
  it("of others is as it was run", () => expect(putBack(ROOT, inputsOnce)).toEqual([ROOT, inputsOnce]))
  const inputsOnce = { size: 3 }
})

describe("what Python says of it", () => {
  const problem = (more: Partial<Problem>): Problem => ({ code: "c", message: "m", node: "", port: "", got: "", expected: "", fix: "", level: "error", ...more })
  const repair = (more: Partial<Repair>): Repair => ({ kind: "wire", words: { en: "w" }, node: "q", port: "image", ...more })
  it("is told of the node that is given the picture", () => {
    expect(told(ROOT, problem({ node: "input", port: "p_image_2" }))).toEqual(problem({ node: "p", port: "image" }))
    const deeper = { ...ROOT, nodes: { d: ROOT.nodes!.d! } }
    expect(told(deeper, problem({ node: "input", port: "d_s_image" }))).toEqual(problem({ node: "d", inside: "s", port: "image" }))
    expect(told(ROOT, problem({ node: "input", port: "p_image" }))).toEqual(problem({ node: "input", port: "p_image" }))
  })
  it("offers no cure by an input that is not there", () => {
    const [good, ...bad] = [repair({ from: "input.p_image" }), repair({ from: "input.p_image_2" }), repair({ kind: "set", node: "input", port: "p_image_2" })]
    expect(told(ROOT, problem({ repairs: [good, ...bad] }))).toEqual(problem({ repairs: [good] }))
  })
  it("of inputs is of those that it has", () => {
    const inputs = { p_image: {}, p_image_2: {} } as unknown as Check["inputs"]
    expect(toldAll(ROOT, { inputs, problems: [] as Problem[] } as Check).inputs).toEqual({ p_image: {} })
  })
})

describe("pictures at random depths", () => {
  let state = 3
  const roll = (n: number) => (state = (state * 48271) % 2147483647) % n
  /** Definitions `d0` … of which each may use those before it, some of them standing in one another. */
  function made(): Doc {
    const graph = (names: string[], graphs?: Record<string, Doc>): Doc => {
      const nodes: Record<string, NodeDoc> = { plain: { op: `x.op${roll(3)}`, in: { image: wire("input.image") } } }
      for (let i = 0; names.length && i < 3; i++) nodes[`n${i}`] = { op: `graph:${names[roll(names.length)]}`, in: [{}, { image: wire("input.image") }, { image: "b.png" }][roll(3)] as NodeDoc["in"] }
      nodes.all = { op: "x.all", in: { some: { list: Object.keys(nodes).map((one) => wire(`${one}.out`)) } } }
      const doc: Doc = { flowmm: 1, inputs: { image: { default: "a.png" } }, nodes, outputs: { out: wire("all.out") }, layout: {}, ...(graphs && { graphs }) }
      return roll(2) ? giveInput(doc, "image", { upload: `${roll(1000)}.png` }) : doc
    }
    const graphs: Record<string, Doc> = {}
    for (let i = 0; i < 4; i++) graphs[`d${i}`] = graph([...Object.keys(graphs), "own"].filter((one) => one !== "own" || roll(2)), { own: graph(Object.keys(graphs)) })
    return graph(Object.keys(graphs), graphs)
  }
  /** With what is given inside as the defaults there. */
  const asDefaults = (doc: Doc): Doc => ({
    ...doc,
    inputs: Object.fromEntries(Object.entries(doc.inputs!).map(([name, input]) => [name, doc.layout?.given?.[name] === undefined ? input : { ...input, default: doc.layout.given[name] }])),
    ...(doc.graphs && { graphs: Object.fromEntries(Object.entries(doc.graphs).map(([name, one]) => [name, asDefaults(one)])) }),
  })
  const withInputs = (doc: Doc, inputs: Record<string, unknown>) => JSON.parse(JSON.stringify(meaning(doc)), (_, one) => (one && typeof one === "object" && typeof one.input === "string" && one.input in inputs ? inputs[one.input] : one))
  it("are computed with as if they were the defaults there, and put back", () => {
    for (let round = 0; round < 100; round++) {
      const root = made()
      const { doc, inputs } = lifted(root)
      expect(withInputs(doc, inputs)).toEqual(withInputs({ ...asDefaults(root), layout: root.layout }, root.layout?.given ?? {}))
      expect(putBack(doc, inputs)[0]).toEqual(root)
    }
  })
})

beforeEach(() => useDocument.getState().open("", { flowmm: 1, nodes: {}, outputs: {} }, null, true))

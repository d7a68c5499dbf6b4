import { describe, expect, it } from "vitest"
import { between, enclosed, unpacked } from "./enclose"
import { definitionOf, graphNames, seen, written } from "./graphs"
import { meaning } from "./meaning.fixture"
import { type Doc, INPUTS, type NodeDoc, OUTPUTS } from "./model"
import { duplicated, insert, piece } from "./pieces"

const wire = (from: string) => ({ from })
const CARDS = { [INPUTS]: [-300, 0], [OUTPUTS]: [900, 0] } as Parameters<typeof enclosed>[3]

/** a → b → c → d, with b and c reading the graph's input twice, and two outputs. */
const DOC: Doc = {
  flowmm: 1,
  inputs: { size: { default: 3, title: "Size" }, seed: { default: 7 } },
  nodes: {
    a: { op: "x.make", version: 1, in: { size: wire("input.size") } },
    b: { op: "x.turn", version: 1, in: { image: wire("a.image"), seed: wire("input.seed"), angle: 5 } },
    c: { op: "x.join", version: 1, in: { images: { list: [wire("b.image"), wire("a.image"), wire("b.rest")] }, seed: wire("input.seed") } },
    d: { op: "x.show", version: 1, in: { image: wire("c.image"), other: wire("b.image") } },
  },
  outputs: { image: wire("d.image"), half: wire("b.image") },
  layout: { nodes: { a: [0, 0], b: [300, 0], c: [600, 50], d: [900, 0] }, collapsed: ["c"], seeds: { "b.angle": "next" } },
}

describe("nodes made a graph", () => {
  const [made, name] = enclosed(DOC, ["b", "c"], [450, 20], CARDS)
  it("are a definition and one node in their place, which computes the same", () => {
    expect(meaning(made)).toEqual(meaning(DOC))
    expect(Object.keys(made.nodes!)).toEqual(["a", "d", name])
    expect(made.nodes![name]).toEqual({ op: "graph:part", version: 1, in: { image: wire("a.image"), seed: wire("input.seed") } })
  })
  it("have one input for each source, however many read it, with what the graph said of it", () => {
    expect(made.graphs!.part!.inputs).toEqual({ image: {}, seed: { default: 7 } })
  })
  it("have one output for each wire that leaves, under names of their own", () => {
    expect(made.graphs!.part!.outputs).toEqual({ image: wire("c.image"), image_2: wire("b.image") })
    expect(made.nodes!.d!.in).toEqual({ image: wire("part.image"), other: wire("part.image_2") })
    expect(made.outputs).toEqual({ image: wire("d.image"), half: wire("part.image_2") })
  })
  it("keep their layout", () => {
    expect(made.graphs!.part!.layout).toMatchObject({ nodes: { b: [300, 0], c: [600, 50], ...CARDS }, collapsed: ["c"], seeds: { "b.angle": "next" } })
    expect(made.layout!.nodes).toEqual({ a: [0, 0], d: [900, 0], part: [450, 20] })
    expect(made.layout!.collapsed).toEqual([])
  })
  it("have a name that means no other graph", () => {
    const taken = { ...DOC, nodes: { ...DOC.nodes, saved: { op: "graph:part_2", in: {} } }, graphs: { part: { ...DOC, graphs: { part_3: DOC } } } }
    expect(enclosed(taken, ["b"], [0, 0], CARDS)[1]).toBe("part_4")
  })
  it("that another node would lie between are refused by its name", () => {
    expect(between(DOC, ["a", "d"])).toEqual(["b", "c"])
    expect(between(DOC, ["b", "d"])).toEqual(["c"])
    expect(between(DOC, ["b", "c"])).toEqual([])
    expect(between(DOC, ["a"])).toEqual([])
  })
})

describe("a node unpacked", () => {
  const [made, name] = enclosed(DOC, ["b", "c"], [450, 20], CARDS)
  it("is the nodes that it was made of", () => {
    const back = written(made, [], unpacked(made, name, made.graphs!.part!, [300, 0])[0])
    expect(meaning(back)).toEqual(meaning(DOC))
    expect({ ...back, nodes: { ...back.nodes } }).toEqual({ ...DOC, layout: { ...back.layout, nodes: DOC.layout!.nodes, seeds: DOC.layout!.seeds } })
    expect(back.layout).toMatchObject({ collapsed: ["c"] })
  })
  it("gives its settings and defaults to those inside", () => {
    const set = { ...made, nodes: { ...made.nodes, part: { ...made.nodes!.part!, in: { image: wire("a.image"), seed: 11 } } } }
    expect(meaning(unpacked(set, name, made.graphs!.part!, [0, 0])[0])).toEqual(meaning(set))
    const left = { ...made, nodes: { ...made.nodes, part: { ...made.nodes!.part!, in: { image: wire("a.image") } } } }
    expect(unpacked(left, name, made.graphs!.part!, [0, 0])[0].nodes!.b!.in!.seed).toBe(7)
    expect(meaning(unpacked(left, name, made.graphs!.part!, [0, 0])[0])).toEqual(meaning(left))
  })
  it("beside nodes of the same names finds others, and brings the definitions within along", () => {
    const inner: Doc = { ...DOC, nodes: { ...DOC.nodes, e: { op: "graph:deep", in: { n: wire("d.image") } } }, outputs: { out: wire("e.out") }, graphs: { deep: { flowmm: 1, inputs: { n: {} }, nodes: { x: { op: "x.last", in: { n: wire("input.n") } } }, outputs: { out: wire("x.out") } } } }
    const other: Doc = { flowmm: 1, nodes: { x: { op: "x.first" } }, outputs: { out: wire("x.out") } }
    const doc: Doc = { ...DOC, nodes: { ...DOC.nodes, p: { op: "graph:outer", in: {} }, q: { op: "graph:deep" } }, outputs: { ...DOC.outputs, p: wire("p.out"), q: wire("q.out") }, graphs: { outer: inner, deep: other } }
    const [flat, names] = unpacked(doc, "p", inner, [0, 0])
    expect(names).toEqual(["a_2", "b_2", "c_2", "d_2", "e"])
    expect(meaning(flat)).toEqual(meaning(doc))
    expect(Object.keys(graphNames(flat)).sort()).toEqual(["deep", "deep_2", "outer"])
  })
})

it("graphs made and taken apart at random compute the same", () => {
  let state = 1
  const roll = (n: number) => (state = (state * 48271) % 2147483647) % n
  for (let round = 0; round < 60; round++) {
    const nodes: Record<string, NodeDoc> = {}
    const sources = ["input.size", "input.seed"]
    for (let i = 0; i < 9; i++) {
      const pick = () => wire(sources[roll(sources.length)]!)
      nodes[`n${i}`] = { op: `x.op${roll(3)}`, in: { a: pick(), b: roll(3) ? pick() : roll(9), c: { list: [pick(), roll(9), pick()] } } }
      sources.push(`n${i}.out`, `n${i}.more`)
    }
    const outputs = Object.fromEntries([0, 1, 2].map((i) => [`o${i}`, wire(`n${8 - roll(4)}.${roll(2) ? "out" : "more"}`)]))
    const doc: Doc = { flowmm: 1, inputs: DOC.inputs, nodes, outputs }
    let now = doc
    for (let step = 0; step < 6; step++) {
      const pieces = Object.keys(now.nodes!).filter((one) => definitionOf(now, [], now.nodes![one]!.op))
      const some = Object.keys(now.nodes!).filter(() => roll(3) === 0)
      if (roll(3) === 0 && pieces.length) {
        const one = pieces[roll(pieces.length)]!
        now = written(now, [], unpacked(now, one, seen(now, definitionOf(now, [], now.nodes![one]!.op)!), [0, 0])[0])
      } else if (some.length && !between(now, some).length) now = written(now, [], enclosed(now, some, [0, 0], CARDS)[0])
      expect(meaning(now)).toEqual(meaning(doc))
    }
  }
})

describe("a node that is a graph", () => {
  const [made, name] = enclosed(DOC, ["b", "c"], [450, 20], CARDS)
  it("is copied with what it stands for, once where it is there already", () => {
    const part = piece(made, [name])
    expect(Object.keys(part.graphs!)).toEqual(["part"])
    expect(Object.keys(insert(made, part, [0, 0])[0].graphs!)).toEqual(["part"])
    const there: Doc = { flowmm: 1, nodes: {}, outputs: {}, graphs: { part: DOC } }
    const [pasted, [copy]] = insert(there, part, [0, 0])
    expect([copy, pasted.nodes![copy!]!.op]).toEqual(["part", "graph:part_2"])
    expect(pasted.graphs).toEqual({ part: DOC, part_2: made.graphs!.part })
  })
  it("twice is two uses of one definition", () => {
    const [twice] = duplicated(made, [name])
    expect([twice.nodes!.part_2!.op, Object.keys(twice.graphs!)]).toEqual(["graph:part", ["part"]])
  })
  it("is seen within with all the graphs that it may use", () => {
    expect(Object.keys(seen({ ...made, graphs: { ...made.graphs, other: DOC } }, ["part"]).graphs!)).toEqual(["part", "other"])
  })
})

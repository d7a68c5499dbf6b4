import { describe, expect, it } from "vitest"
import { enclosed, unpacked } from "./enclose"
import { type Address, definitionOf, graphAt, seen, written } from "./graphs"
import { meaning } from "./meaning.fixture"
import { type Doc, INPUTS, type NodeDoc, OUTPUTS } from "./model"
import { insert, piece } from "./pieces"

const wire = (from: string) => ({ from })
const CARDS = { [INPUTS]: [0, 0], [OUTPUTS]: [0, 0] } as Parameters<typeof enclosed>[3]
const single = (op: string, more: Partial<Doc> = {}): Doc => ({ flowmm: 1, inputs: { n: {} }, nodes: { one: { op, in: { n: wire("input.n") } } }, outputs: { out: wire("one.out") }, ...more })
const use = (name: string): NodeDoc => ({ op: `graph:${name}`, in: { n: 5 } })

/** At the top `x`, and `y` that is made of it; within `d` another `x`. */
const ROOT: Doc = {
  flowmm: 1,
  nodes: { p: use("x"), q: use("y"), r: use("d") },
  outputs: { p: wire("p.out"), q: wire("q.out"), r: wire("r.out") },
  graphs: {
    x: single("op.outer"),
    y: single("graph:x"),
    d: { ...single("graph:x"), nodes: { one: { op: "graph:x", in: { n: wire("input.n") } }, y: use("y") }, outputs: { out: wire("one.out"), y: wire("y.out") }, graphs: { x: single("op.inner") } },
  },
}
const shown = (root: Doc, address: Address, node: string) => meaning(root, address, { out: wire(`${node}.out`) })
const edited = (root: Doc, address: Address, change: (doc: Doc) => [Doc, string | string[]]): [Doc, string] => {
  const [made, names] = change(seen(root, address))
  return [written(root, address, made), [names].flat()[0]!]
}
const pasted = (root: Doc, address: Address, part: Doc) => edited(root, address, (doc) => insert(doc, part, [0, 0]))
const copied = (root: Doc, address: Address, node: string) => piece(seen(root, address), [node])

describe("a graph within another", () => {
  it("is asked about with what its definitions mean where they stand", () => {
    expect(meaning(seen(ROOT, ["d"]))).toEqual(meaning(ROOT, ["d"]))
    expect(seen(ROOT, ["d"]).graphs!.x).toBe(ROOT.graphs!.d!.graphs!.x)
    expect(seen(ROOT, ["d"])).toBe(seen(ROOT, ["d"]))
  })
  it("has after an edit no definitions but its own", () => {
    const [made] = edited(ROOT, ["d"], (doc) => [{ ...doc, title: "D" }, ""])
    expect(made.graphs).toEqual({ ...ROOT.graphs, d: { ...ROOT.graphs!.d!, flowmm: 1, title: "D" } })
  })
})

describe("a node copied to where its graph's name means another", () => {
  it("brings its own along under a free name, once", () => {
    const [made, name] = pasted(ROOT, ["d"], copied(ROOT, [], "p"))
    expect([shown(made, ["d"], name), meaning(made)]).toEqual([shown(ROOT, [], "p"), meaning(ROOT)])
    expect(Object.keys(made.graphs!.d!.graphs!)).toEqual(["x", "x_2"])
    const [again, other] = pasted(made, ["d"], copied(ROOT, [], "p"))
    expect(shown(again, ["d"], other)).toEqual(shown(ROOT, [], "p"))
    expect(Object.keys(again.graphs!.d!.graphs!)).toEqual(["x", "x_2"])
  })
  it("uses the one around if that is the same, whatever its parts are called here", () => {
    const [made, name] = pasted(ROOT, ["d"], copied(ROOT, [], "q"))
    expect(shown(made, ["d"], name)).toEqual(shown(ROOT, [], "q"))
    expect([made.graphs!.d!.nodes![name]!.op, Object.keys(made.graphs!.d!.graphs!)]).toEqual(["graph:y", ["x"]])
  })
  it("does not use one that says the same and means another", () => {
    const there: Doc = { flowmm: 1, nodes: {}, outputs: {}, graphs: { x: single("op.other"), y: single("graph:x") } }
    const [made, name] = pasted(there, [], copied(ROOT, [], "q"))
    expect(shown(made, [], name)).toEqual(shown(ROOT, [], "q"))
    expect(made.graphs).toEqual({ ...there.graphs, x_2: single("op.outer"), y_2: single("graph:x_2") })
  })
  it("from within to the top likewise", () => {
    const [made, name] = pasted(ROOT, [], copied(ROOT, ["d"], "one"))
    expect([made.nodes![name]!.op, made.graphs!.x_2]).toEqual(["graph:x_2", single("op.inner")])
    const [other, y] = pasted(ROOT, [], copied(ROOT, ["d"], "y"))
    expect([other.nodes![y]!.op, Object.keys(other.graphs!)]).toEqual(["graph:y", ["x", "y", "d"]])
  })
  it("is given no name that a definition within means otherwise", () => {
    const part: Doc = { flowmm: 1, nodes: { a: use("y") }, outputs: {}, graphs: { x: single("op.a"), y: { ...single("graph:x"), nodes: { one: { op: "graph:x", in: {} }, two: use("x_2") }, graphs: { x_2: single("op.b") } } } }
    const [made, name] = pasted(ROOT, [], part)
    expect(shown(made, [], name)).toEqual(meaning(part, [], { out: wire("a.out") }))
  })
})

it("a node unpacked where a name means another keeps what it is made of", () => {
  const [made, name] = edited(ROOT, ["d"], (doc) => unpacked(doc, "y", seen(ROOT, ["y"]), [0, 0]))
  expect(meaning(made)).toEqual(meaning(ROOT))
  expect([made.graphs!.d!.nodes![name]!.op, made.graphs!.d!.graphs!.x_2]).toEqual(["graph:x_2", single("op.outer")])
})

it("nodes copied, unpacked and made graphs between random scopes mean what they meant", () => {
  let state = 7
  const roll = (n: number) => (state = (state * 48271) % 2147483647) % n
  const pick = <T>(some: readonly T[]): T => some[roll(some.length)]!
  const graph = (depth: number, around: string[]): Doc => {
    const names = depth < 3 ? ["x", "y", "z"].filter(() => roll(2)) : []
    const graphs: Record<string, Doc> = {}
    const usable = around.filter((name) => !names.includes(name)) // none means itself, however long the way
    for (const name of names) {
      graphs[name] = graph(depth + 1, [...usable, ...Object.keys(graphs)])
    }
    const known = [...usable, ...names]
    const nodes: Record<string, NodeDoc> = { plain: { op: `op.${roll(4)}`, in: { n: wire("input.n") } } }
    for (let i = 0; known.length && i < 2; i++) nodes[`g${i}`] = use(pick(known))
    nodes.all = { op: "op.all", in: { some: { list: Object.keys(nodes).map((one) => wire(`${one}.out`)) } } }
    return { flowmm: 1, inputs: { n: {} }, nodes, outputs: { out: wire("all.out") }, ...(names.length && { graphs }) }
  }
  const addresses = (root: Doc, here: Address = []): Address[] => [here, ...Object.keys(graphAt(root, here)!.graphs ?? {}).flatMap((name) => addresses(root, [...here, name]))]
  for (let round = 0; round < 150; round++) {
    let root = graph(0, [])
    const before = meaning(root)
    for (let step = 0; step < 3; step++) {
      const all = addresses(root)
      const [here, there] = [pick(all), pick(all)]
      expect(meaning(seen(root, here))).toEqual(meaning(root, here))
      const uses = Object.keys(graphAt(root, here)!.nodes!).filter((one) => definitionOf(root, here, graphAt(root, here)!.nodes![one]!.op))
      if (!uses.length) continue
      const node = pick(uses)
      const [copy, name] = pasted(root, there, copied(root, here, node))
      expect([shown(copy, there, name), meaning(copy)]).toEqual([shown(root, here, node), before])
      if (!there.length) expect(addresses(pasted(copy, [], copied(root, here, node))[0])).toEqual(addresses(copy)) // elsewhere it may now hold itself, and be another
      const definition = definitionOf(root, here, graphAt(root, here)!.nodes![node]!.op)!
      const [flat] = edited(root, here, (doc) => unpacked(doc, node, seen(root, definition), [0, 0]))
      expect(meaning(flat)).toEqual(before)
      const [made] = edited(root, here, (doc) => enclosed(doc, [node], [0, 0], CARDS))
      expect(meaning(made)).toEqual(before)
      root = pick([copy, flat, made])
    }
  }
})

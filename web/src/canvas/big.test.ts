import { expect, it } from "vitest"
import type { Catalogue } from "../api/types"
import type { Doc, NodeDoc } from "../document/model"
import { useStage, draw } from "./stage"

const TEXT = { kind: "socket", name: "Text", colour: "#369653" } as const
const PORT = { type: TEXT, shown: "Text", help: "" }
const NODES: Catalogue["nodes"] = {
  "text.join": {
    op: "text.join", version: 1, title: "Join", help: "", tags: [], reference: "", module: "", pure: true, lane: "device",
    inputs: { first: PORT, second: PORT }, outputs: { text: PORT },
  },
}

/** Columns of nodes, each fed by two of the column before. */
export function big(count: number, column = 25, placed = true): Doc {
  const nodes: Record<string, NodeDoc> = {}
  for (let i = 0; i < count; i++) {
    const start = (Math.floor(i / column) - 1) * column
    nodes[`n${i}`] = { op: "text.join", version: 1, in: start < 0 ? {} : { first: { from: `n${i - column}.text` }, second: { from: `n${start + ((i * 7) % column)}.text` } } }
  }
  const places = Object.fromEntries(Object.keys(nodes).map((name, i) => [name, [310 + 290 * Math.floor(i / column), 200 * (i % column)] as [number, number]]))
  return { flowmm: 1, nodes, outputs: { out: { from: `n${count - 1}.text` } }, layout: placed ? { nodes: { ...places, ":inputs": [0, 0], ":outputs": [12_000, 0] } } : {} }
}

it("an edit of one node of a thousand leaves the others' cards and wires the same objects", () => {
  const doc = big(1_000)
  draw(doc, NODES, null)
  const before = useStage.getState()
  expect(before.nodes).toHaveLength(1_002)
  draw({ ...doc, nodes: { ...doc.nodes, n5: { ...doc.nodes!.n5!, in: { first: "a" } } } }, NODES, null)
  const after = useStage.getState()
  expect(after.nodes.filter((node) => !before.nodes.includes(node)).length).toBeLessThanOrEqual(1)
  expect(after.edges.filter((edge) => !before.edges.includes(edge))).toEqual([])
})

it("what is typed into a field gives React Flow nothing new", () => {
  const doc = big(100)
  draw(doc, NODES, null)
  const { nodes, edges } = useStage.getState()
  draw({ ...doc, inputs: {}, nodes: { ...doc.nodes, n5: { ...doc.nodes!.n5!, in: { ...doc.nodes!.n5!.in } } } }, NODES, null)
  expect(useStage.getState().nodes).toBe(nodes)
  expect(useStage.getState().edges).toBe(edges)
  draw({ ...doc, layout: { ...doc.layout, nodes: { ...doc.layout!.nodes, n5: [1, 1] } } }, NODES, null)
  expect(useStage.getState().nodes).not.toBe(nodes)
})

it("a thousand cards without places are put in columns from left to right, none on another", () => {
  draw(big(1_000, 25, false), NODES, null)
  const { nodes } = useStage.getState()
  const at = new Map(nodes.map(({ id, position }) => [id, position]))
  for (let i = 25; i < 1_000; i++) expect(at.get(`n${i}`)!.x).toBeGreaterThan(at.get(`n${i - 25}`)!.x)
  expect(new Set(nodes.map(({ position: { x, y } }) => `${x},${y}`)).size).toBe(nodes.length)
})

import { describe, expect, it } from "vitest"
import { differences } from "./differences"
import { freeGraphName, isGraphName, nameFrom } from "./filenames"
import type { Doc } from "./model"
import { crc32, withText } from "./png"

const doc = (more: Partial<Doc> = {}): Doc => ({ flowmm: 1, nodes: { a: { op: "x.a", in: { n: 1 } }, b: { op: "x.b", in: { v: { from: "a.out" } } } }, outputs: {}, ...more })

describe("what differs", () => {
  it("is nothing between the same", () => expect(differences(doc(), doc())).toEqual([]))
  it("names nodes that came, went, or have another value", () => {
    const after = doc({ nodes: { a: { op: "x.a", in: { n: 2 } }, c: { op: "x.c" } } })
    expect(differences(doc(), after)).toEqual([
      { part: "node", change: "changed", name: "a", details: [{ port: "n", before: "1", after: "2" }] },
      { part: "node", change: "removed", name: "b", details: [] },
      { part: "node", change: "added", name: "c", details: [] },
    ])
  })
  it("shows a wire as where it comes from", () => {
    const after = doc({ nodes: { ...doc().nodes, b: { op: "x.b", in: {} } } })
    expect(differences(doc(), after)[0]?.details).toEqual([{ port: "v", before: "← a.out", after: "" }])
  })
  it("says that cards were moved, once", () => {
    const [found, ...more] = differences(doc({ layout: { nodes: { a: [0, 0] } } }), doc({ layout: { nodes: { a: [9, 0], b: [1, 1] } } }))
    expect([found?.part, more]).toEqual(["layout", []])
  })
  it("keeps what it does not know", () => expect(differences(doc(), doc({ licence: "MIT" }))[0]).toMatchObject({ part: "other", name: "licence" }))
})

describe("a name for a graph", () => {
  it("comes from its title", () => {
    expect(["Red Circle!", "Épées & co.json", "文字", "con", "  --x--  "].map(nameFrom)).toEqual(["red-circle", "epees-co", "untitled", "untitled", "x"])
  })
  it("is free, whatever the case of those that are there", () => {
    expect(freeGraphName("mine", ["Mine", "mine-2"])).toBe("mine-3")
    expect(freeGraphName("mine-2", ["mine-2"])).toBe("mine-3")
    expect(freeGraphName("other", ["mine"])).toBe("other")
  })
  it("is one that the server takes", () => expect(["a", "a b", "-a", "a.", "", "nul", "x".repeat(81)].map(isGraphName)).toEqual([true, true, false, false, false, false, false]))
})

describe("a text in a PNG", () => {
  const PIXEL = Uint8Array.from(
    atob("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="),
    (letter) => letter.charCodeAt(0),
  )
  it("has the sum that PNG wants", () => expect(crc32(new TextEncoder().encode("IEND"))).toBe(0xae426082))
  it("lies behind the header, before the pixels", () => {
    const made = withText(PIXEL, "flowmm", '{"ü": 1}')
    const view = new DataView(made.buffer)
    const length = view.getUint32(33)
    const kind = new TextDecoder().decode(made.slice(37, 41))
    const text = new TextDecoder().decode(made.slice(41, 41 + length))
    expect([kind, text]).toEqual(["iTXt", 'flowmm\0\0\0\0\0{"ü": 1}'])
    expect(view.getUint32(41 + length)).toBe(crc32(made.slice(37, 41 + length)))
    expect(made.slice(45 + length)).toEqual(PIXEL.slice(33))
  })
})

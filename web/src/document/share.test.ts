import { describe, expect, it } from "vitest"
import type { Doc } from "./model"
import { curl, python, pythonConnect, pythonLoad, shared } from "./share"

const DOC: Doc = {
  flowmm: 1,
  inputs: { prompt: { default: "it's a \"star\"\nof two lines" }, steps: { default: null }, seed: { default: 4 }, fit: { default: true }, image: { default: "examples/a.png" }, many: {} },
  nodes: {},
  outputs: { image: { from: "pixels.image" } },
  layout: { given: { image: { upload: "ab.png" } } },
}
const SHARED = shared("my graph", DOC, "http://127.0.0.1:8383")

it("what is shared has the inputs as they are now, without those that have no value", () => {
  expect(SHARED.inputs).toEqual({ prompt: "it's a \"star\"\nof two lines", seed: 4, fit: true, image: { upload: "ab.png" } })
})

describe("the shell script", () => {
  const text = curl(SHARED)
  it("survives quotes of every kind", () => {
    const body = /-d '(.*?)' \| python3/s.exec(text)![1]!.replaceAll(`'\\''`, "'")
    expect(JSON.parse(body)).toEqual({ graph: "my graph", inputs: SHARED.inputs })
  })
  it("fetches every output, and holds no token", () => {
    expect(text).toContain("/outputs/image")
    expect(text.match(/Bearer \$FLOWMM_TOKEN/g)).toHaveLength(3)
  })
})

describe("Python", () => {
  it("has its own words for JSON's", () => {
    expect(python([true, null, { a: false }, 1.5, "“ü”\n"])).toBe('[True, None, {"a": False}, 1.5, "“ü”\\n"]')
  })
  it("names uploads for the server, and files for this machine", () => {
    expect(pythonConnect(SHARED)).toContain('image={"upload": "ab.png"}')
    expect(pythonLoad(SHARED)).toContain('image="ab.png"')
    expect(pythonLoad(SHARED)).toContain("# image: put the pictures beside this file")
    expect(pythonLoad(SHARED)).toContain("fit=True")
  })
})

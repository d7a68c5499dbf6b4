import { describe, expect, it } from "vitest"
import type { Catalogue } from "../api/types"
import { found, grouped, nodeEntries, prepare, sentence } from "./search"

const node = (op: string, title: string, zh: string, help: string, tags: string[] = []) =>
  ({ op, version: 1, title: { en: title, zh }, help, tags, reference: "", module: "", pure: true, lane: "device", inputs: {}, outputs: {} }) as Catalogue["nodes"][string]

const NODES: Catalogue["nodes"] = Object.fromEntries(
  [
    node("diffusion.sample", "Sample", "采样", "Remove noise step by step, guided by a prompt.", ["diffusion"]),
    node("diffusion.encode_prompt", "Encode prompt", "编码提示词", "Words as conditioning.", ["diffusion", "text"]),
    node("text.join", "Join texts", "连接文本", "Join texts line by line.", ["text"]),
    node("clip.load", "Load CLIP", "加载 CLIP", "The parts of a CLIP model.", ["clip", "load"]),
  ].map((one) => [one.op, one]),
)
const all = prepare(nodeEntries(NODES, null))
const first = (text: string) => found(text, all)[0]?.id

describe("the palette finds a node by", () => {
  it.each([
    ["sample", "diffusion.sample"], ["采样", "diffusion.sample"], ["提示词", "diffusion.encode_prompt"], ["diffusion.encode", "diffusion.encode_prompt"],
    ["enc prompt", "diffusion.encode_prompt"], ["dfsn.smpl", "diffusion.sample"], ["line by line", "text.join"], ["clip", "clip.load"],
  ])("%s", (text, op) => expect(first(text)).toBe(op))
  it("nothing that has none of it", () => expect(found("zzzz", all)).toEqual([]))
})

it("a hit in the title comes before one in the help", () => expect(found("prompt", all).map(({ id }) => id).slice(0, 2)).toEqual(["diffusion.encode_prompt", "diffusion.sample"]))

it("with a wire held, only what fits is offered, with the ports that do", () => {
  const [only, ...rest] = nodeEntries(NODES, [{ op: "text.join", version: 1, title: "Join texts", ports: ["first", "second"] }])
  expect(only).toMatchObject({ id: "text.join", ports: ["first", "second"] })
  expect(rest).toEqual([])
})

it("without a search the recent ones come first, then every room", () =>
  expect(grouped(nodeEntries(NODES, null), ["clip.load", "gone.node"]).map(({ room, entries }) => [room, entries.length])).toEqual([["recent", 1], ["diffusion", 2], ["text", 1], ["clip", 1]]))

it("a line shows the first sentence", () => {
  expect(sentence("Remove noise step by step. Then more.\n\nDetails.")).toBe("Remove noise step by step.")
  expect(sentence("去除噪声。然后继续。")).toBe("去除噪声。")
})

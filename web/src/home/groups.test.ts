import { expect, it } from "vitest"
import type { ListedGraph } from "../api/types"
import { firstSentence, found, grouped, latestFirst } from "./groups"

const graph = (name: string, more: Partial<ListedGraph> = {}): ListedGraph =>
  ({ name, own: false, etag: "", modified: 0, title: name, about: "", tags: [], inputs: [], outputs: [], problem: "", ...more })
const GRAPHS = [
  graph("ask", { title: { en: "Ask about a picture", zh: "看图提问" }, tags: ["understanding", "BLIP"] }),
  graph("draw", { title: { en: "Text to image", zh: "文字生成图片" }, about: { en: "A picture from words." }, tags: ["generation"] }),
  graph("mine", { tags: ["sketches"] }),
]
const names = (graphs: ListedGraph[]) => graphs.map(({ name }) => name)

it("a search finds titles, tags and descriptions in every language, whichever is shown", () => {
  expect(names(found(GRAPHS, "提问"))).toEqual(["ask"])
  expect(names(found(GRAPHS, "blip PICTURE"))).toEqual(["ask"])
  expect(names(found(GRAPHS, "nothing like it"))).toEqual([])
})
it("a search shows first what is called so", () => expect(names(found(GRAPHS, "picture"))).toEqual(["ask", "draw"]))
it("templates are grouped by their first tag, in the order of teaching", () => {
  expect(grouped([...GRAPHS].reverse()).map(([group, members]) => [group, ...names(members)])).toEqual([["understanding", "ask"], ["generation", "draw"], ["others", "mine"]])
})
it("one's own come latest first", () => expect(names(latestFirst([graph("old", { modified: 1 }), graph("new", { modified: 2 })]))).toEqual(["new", "old"]))
it("a description is its first sentence, in either script", () => {
  expect(firstSentence("DiT v1.5 paints. More.\n\nRest")).toBe("DiT v1.5 paints.")
  expect(firstSentence("先画图。再提问。")).toBe("先画图。")
  expect(firstSentence("See [the *paper*](http://x). Then")).toBe("See the paper.")
  expect(firstSentence("no end")).toBe("no end")
})

import { describe, expect, it } from "vitest"
import { MIME, type Picture, carried, moved, pictureUrl, picturesOf, valueOf } from "./value"

describe("pictures as a value", () => {
  it("are the same after they were shown and taken back", () => {
    const several: Picture[] = ["examples/a.png", { upload: "b.png" }, { value: "c" }]
    expect(valueOf(picturesOf(several))).toEqual(several)
    expect(valueOf(picturesOf("examples/a.png"))).toBe("examples/a.png")
    expect(valueOf(picturesOf(undefined))).toBeUndefined()
  })
  it("leave out what is none", () => expect(picturesOf([1, null, { upload: 2 }, "a"] as never)).toEqual(["a"]))
})

describe("where a picture is seen", () => {
  it("depends on what names it", () => {
    expect(pictureUrl("a b.png", "my graph", 64)).toBe("/api/pictures?graph=my%20graph&path=a%20b.png&size=64")
    expect(pictureUrl({ upload: "u.png" }, "")).toBe("/api/uploads/u.png")
    expect(pictureUrl({ value: "k" }, "", 64)).toContain("/api/values/k?shape=thumbnail")
  })
})

describe("a list that is put in another order", () => {
  it("moves one, and no further than its ends", () => {
    expect([moved([1, 2, 3], 0, 2), moved([1, 2, 3], 2, -4), moved([1, 2, 3], 5, 0)]).toEqual([[2, 3, 1], [3, 1, 2], [1, 2, 3]])
  })
})

describe("what is dropped", () => {
  const data = (text: string, ...files: File[]) => ({ files, getData: (type: string) => (type === MIME ? text : "") }) as unknown as DataTransfer
  it("may be files, of which only pictures count", () => {
    const png = new File(["x"], "a.png", { type: "image/png" })
    expect(carried(data("", png, new File(["x"], "b.txt", { type: "text/plain" }))).files).toEqual([png])
  })
  it("may be a result of this server", () => {
    expect(carried(data('{"value":"k"}')).picture).toEqual({ value: "k" })
    expect([carried(data('"a path"')).picture, carried(data("no json")).picture, carried(null).picture]).toEqual([null, null, null])
  })
})

import { describe, expect, it } from "vitest"
import type { TypeShape } from "../api/types"
import { type FieldPort, choices, takesTexts, widgetOf } from "./kind"
import { itemsOf, written } from "./lines"

const plain = (name: string): TypeShape => ({ kind: "plain", name })
const socket = (name: string): TypeShape => ({ kind: "socket", name })
const list = (item: TypeShape): TypeShape => ({ kind: "list", item })
const union = (...members: TypeShape[]): TypeShape => ({ kind: "union", members })
const port = (type: TypeShape, more: Partial<FieldPort> = {}): FieldPort => ({ type, help: "", ...more })
const NONE = plain("None")

describe("the widget of a port", () => {
  it.each<[string, FieldPort, unknown, string]>([
    ["a model's name", port(plain("str"), { source: true }), "zoo:sd", "model"],
    ["a mask", port(socket("Mask")), undefined, "mask"],
    ["one picture or several", port(union(socket("Image"), list(socket("Image")))), undefined, "pictures"],
    ["yes or no", port(plain("bool")), true, "check"],
    ["yes, no or nothing", port(union(plain("bool"), NONE)), null, "choice"],
    ["one of a few words", port({ kind: "choice", values: ["a", "b"] }), "a", "choice"],
    ["a word of a few, or any", port(union({ kind: "choice", values: ["a"] }, plain("str"), NONE)), null, "choice"],
    ["a seed", port(socket("Seed")), 0, "seed"],
    ["a share", port(plain("float"), { between: { low: 0, high: 1 }, default: 0.5 }), 0.5, "slider"],
    ["a few", port(plain("int"), { between: { low: 1, high: 64 }, default: 1 }), 1, "slider"],
    ["many", port(plain("int"), { between: { low: 1, high: 1000 }, default: 1 }), 1, "number"],
    ["a number without bounds", port(plain("float")), 1, "number"],
    ["a number that the model may choose", port(union(plain("float"), NONE), { between: { low: 0, high: 1 }, default: null }), null, "number"],
    ["a text", port(socket("Text")), "", "text"],
    ["several texts", port(socket("Text")), ["a", "b"], "lines"],
    ["a list of numbers", port(list(plain("float"))), undefined, "lines"],
    ["a long string", port(plain("str"), { multiline: true }), "", "text"],
    ["a short string", port(plain("str")), "", "line"],
    ["a path", port(plain("Path")), "", "line"],
  ])("of %s", (_, of, shown, kind) => expect(widgetOf(of, shown as never)).toBe(kind))

  it("knows where several texts may stand for one", () => {
    expect([takesTexts(port(socket("Text"))), takesTexts(port(plain("str")))]).toEqual([true, false])
  })

  it("offers nothing as a choice where it is one, and other words where they are taken", () => {
    expect(choices(port(union({ kind: "choice", values: ["a"] }, plain("str"), NONE)))).toEqual({ values: [null, "a"], free: true })
    expect(choices(port(union(plain("bool"), NONE)))).toEqual({ values: [null, true, false], free: false })
  })
})

describe("a list as lines", () => {
  it("is the same after it was written and read", () => {
    expect(itemsOf(written(["a", "", "b c"]), port(socket("Text")))).toEqual(["a", "", "b c"])
    expect(itemsOf(written([1, 2.5]), port(list(plain("float"))))).toEqual([1, 2.5])
  })
  it("has no item for a line that was only begun", () => {
    expect(itemsOf("a\n", port(socket("Text")))).toEqual(["a"])
    expect(itemsOf("", port(socket("Text")))).toEqual([])
  })
  it("says when a line is no number", () => expect(itemsOf("1\ntwo", port(list(plain("int"))))).toBeNull())
})

import { describe, expect, it } from "vitest"
import type { TypeShape } from "../api/types"
import { type FieldPort, choices, takesTexts, widgetOf } from "./kind"
import { areTexts, inRows, itemsOf, written } from "./lines"

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
    ["a list of numbers", port(list(plain("float"))), undefined, "row"],
    ["a list of numbers that may be left out", port(union(list(plain("int")), NONE)), null, "row"],
    ["a list of texts", port(list(plain("str"))), undefined, "lines"],
    ["numbers in turn", port(list(plain("int")), { each: true }), [1], "spread"],
    ["lists of numbers in turn", port(list(list(plain("int"))), { each: true }), [], "rows"],
    ["texts in turn", port(list(socket("Text")), { each: true }), ["a"], "lines"],
    ["several texts in turn", port(list(socket("Text")), { each: true }), [["a", "b"]], "rows"],
    ["pictures in turn", port(list(union(socket("Image"), list(socket("Image")))), { each: true }), [], "pictures"],
    ["masks in turn", port(list(socket("Mask")), { each: true }), [], "mask"],
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
    expect(itemsOf(written(["a", "", "b c"]))).toEqual(["a", "", "b c"])
  })
  it("has no item for a line that was only begun", () => {
    expect(itemsOf("a\n")).toEqual(["a"])
    expect(itemsOf("")).toEqual([])
  })
})

describe("lists, a line each", () => {
  it("are written in a row where it is read back so, else as JSON", () => {
    expect(inRows([[1, 2.5, true], ["a b", "c"], [], "alone"])).toBe('1, 2.5, true\na b, c\n[]\nalone')
    const odd = [["a, b", "c"], ["[x"], ['"q"'], [" a"], [""], ["a\nb"]]
    expect(inRows(odd).split("\n").map((line) => JSON.parse(line))).toEqual(odd)
  })
  it("are of texts where every item is one", () => {
    expect([list(plain("str")), socket("Text"), union(plain("Path"), NONE), { kind: "choice", values: ["a"] } as TypeShape].map(areTexts)).toEqual([true, true, true, true])
    expect([list(plain("int")), { kind: "choice", values: [1] } as TypeShape, union(plain("str"), plain("int"))].map(areTexts)).toEqual([false, false, false])
  })
})

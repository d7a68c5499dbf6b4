import { expect, it } from "vitest"
import type { GraphInput, TypeShape } from "../api/types"
import { begun, severalOf, sweepable } from "./sweepable"

const plain = (name: string): TypeShape => ({ kind: "plain", name })
const socket = (name: string): TypeShape => ({ kind: "socket", name })
const list = (item: TypeShape): TypeShape => ({ kind: "list", item })
const union = (...members: TypeShape[]): TypeShape => ({ kind: "union", members })
const input = (type: TypeShape) => ({ type, help: "" }) as GraphInput

it("texts, numbers, pictures and masks, and lists of what is written, may take several values in turn", () => {
  const may = [plain("int"), socket("Text"), socket("Image"), socket("Mask"), union(socket("Image"), list(socket("Image"))), list(plain("int")), list(plain("str"))]
  expect(may.map((type) => sweepable(input(type)))).toEqual(may.map(() => true))
  const not = [socket("Latent"), list(socket("Image")), list(list(plain("int")))]
  expect([...not.map((type) => sweepable(input(type))), sweepable(undefined)]).toEqual([false, false, false, false])
})

it("they begin with the value that there is: a list is one, of pictures each", () => {
  expect(begun(input(list(plain("int"))), [1, 2])).toEqual([[1, 2]])
  expect(begun(input(socket("Text")), ["a", "b"])).toEqual([["a", "b"]])
  expect(begun(input(socket("Text")), "a")).toEqual(["a"])
  expect(begun(input(socket("Image")), ["a.png", "b.png"])).toEqual(["a.png", "b.png"])
  expect([begun(input(plain("int")), null), begun(input(plain("int")), undefined)]).toEqual([[], []])
})

it("nothing is no value among several", () => expect(severalOf(input(union(list(plain("int")), plain("None")))).type).toEqual(list(list(plain("int")))))

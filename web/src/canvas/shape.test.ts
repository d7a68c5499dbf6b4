import { expect, it } from "vitest"
import type { InputPort, NodeType, TypeShape } from "../api/types"
import { literalKind, shapeOf } from "./shape"

const plain = (name: string): TypeShape => ({ kind: "plain", name }) as TypeShape
const socket = (name: string): TypeShape => ({ kind: "socket", name }) as TypeShape
const list = (item: TypeShape): TypeShape => ({ kind: "list", item }) as TypeShape
const port = (type: TypeShape): InputPort => ({ type, shown: "", help: "" }) as InputPort

it("lists of plain values are written on the card, lists of anything else come by wire", () => {
  const kinds = [plain("int"), plain("float"), plain("str"), socket("Image"), socket("Seed")].map((item) => literalKind(port(list(item))))
  expect(kinds).toEqual(["text", "text", "text", "socket", "socket"])
})

it("a list that is wired is a socket, one that is written has room", () => {
  const spec = { inputs: { numbers: port(list(plain("int"))) }, outputs: {} } as unknown as NodeType
  const kind = (value: unknown) => shapeOf({ op: "x", in: { numbers: value } } as never, spec, { open: true, collapsed: false }).rows.map((row) => row.kind)
  expect(kind({ value: [1, 2] })).toEqual(["text"])
  expect(kind({ from: "a.b" })).toEqual(["socket"])
  expect(kind({ list: [{ from: "a.b" }, 2] })).toEqual(["socket"])
})

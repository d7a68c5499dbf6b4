// Which inputs of a graph may take several values in turn: those that are written or chosen, and not lists themselves.
import type { GraphInput, TypeShape } from "../api/types"
import type { FieldPort } from "../widgets/kind"
import { kindOf, members } from "../canvas/shape"

export function sweepable(input: GraphInput | undefined): boolean {
  if (!input || kindOf(input) === "socket") return false
  return !members(input.type).some(({ kind, name }) => kind === "list" || name === "Mask")
}

/** An input as the widget of its several values needs it. */
export const severalOf = ({ type, help, between }: GraphInput): FieldPort => ({ type: { kind: "list", item: withoutNone(type) }, help, between, each: true })

function withoutNone(type: TypeShape): TypeShape {
  const found = members(type)
  return found.length === 1 ? found[0]! : { ...type, members: found }
}

// Which inputs of a graph may take several values in turn: those that are written or chosen.
import type { GraphInput, Json, TypeShape } from "../api/types"
import type { FieldPort } from "../widgets/kind"
import { kindOf, members } from "../canvas/shape"

export function sweepable(input: GraphInput | undefined): boolean {
  if (!input || kindOf(input) === "socket") return false
  return kindOf(input) !== "picture" || members(input.type).some(({ kind }) => kind !== "list") // lists of pictures have no words
}

/** What they begin with: the value that there is, or each of its pictures. */
export function begun(input: GraphInput | undefined, value: Json | undefined): Json[] {
  if (value === undefined || value === null) return []
  return Array.isArray(value) && input && kindOf(input) === "picture" ? value : [value]
}

/** An input as the widget of its several values needs it. */
export const severalOf = ({ type, help, between }: GraphInput): FieldPort => ({ type: { kind: "list", item: withoutNone(type) }, help, between, each: true })

function withoutNone(type: TypeShape): TypeShape {
  const found = members(type)
  return found.length === 1 ? found[0]! : { ...type, members: found }
}

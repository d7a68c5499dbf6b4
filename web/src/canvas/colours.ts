// The colour of a type: its socket's own, from the catalogue; what is plain is grey.
import type { TypeShape } from "../api/types"
import { members } from "./shape"

const PLAIN = "var(--plain)"

export function colourOf(type: TypeShape | null | undefined): string {
  if (!type) return PLAIN
  const inner = type.kind === "list" && type.item ? type.item : (members(type)[0] ?? type)
  if (inner.kind === "list" && inner.item) return colourOf(inner.item)
  return inner.kind === "socket" ? (inner.colour ?? PLAIN) : PLAIN
}

const inner = (type: TypeShape): TypeShape => (type.kind === "list" && type.item ? inner(type.item) : (members(type)[0] ?? type))

/** A recipe for a part of a model, not a value that was computed: its sockets are hollow, its wires thin. */
export const isHandle = (type: TypeShape): boolean => inner(type).handle === true
export const isListType = (type: TypeShape): boolean => members(type).some(({ kind }) => kind === "list")

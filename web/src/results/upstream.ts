// The nodes that an output hangs on: what is made in them is on its way to it.
import { type Doc, isList, isWire, split, type Value } from "../document/model"

function* sources(value: Value | undefined): Generator<string> {
  if (isWire(value)) yield split(value.from)[0]
  else if (isList(value)) for (const item of value.list) yield* sources(item)
}

/** A node and all above it, the nearest first. */
export function upstream(nodes: Doc["nodes"], from: string): string[] {
  const found = new Set([from])
  for (const name of found) for (const value of Object.values(nodes?.[name]?.in ?? {})) for (const source of sources(value)) if (nodes?.[source]) found.add(source)
  return [...found]
}

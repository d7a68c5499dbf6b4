// What is known of a value before it is there, in a line: `Latent 4×8×8 · 4 channels ÷4 · zoo:sd`.
import { nodeType } from "../app/catalogue"
import type { Edge } from "../api/types"
import { type Doc, isWire, plain, split } from "../document/model"

/** A type as `Latent` and what is in its brackets. */
function parted(type: string): [name: string, space: string] {
  const open = type.indexOf("[")
  const generic = open > 0 && type.endsWith("]") && !type.startsWith("list[") && !type.includes(" | ")
  return generic ? [type.slice(0, open), type.slice(open + 1, -1)] : [type, ""]
}

export function factsOf({ type, shape, dtype }: Pick<Edge, "type" | "shape" | "dtype">, source = ""): string {
  const [name, space] = parted(type)
  const lone = shape && shape.length > 1 && (shape[0] === 1 || shape[0] === null) ? shape.slice(1) : shape // a batch of one goes without saying
  const sizes = lone?.map((n) => n ?? "?").join("×")
  return [`${name}${sizes ? ` ${sizes}` : ""}`, space, source, dtype].filter(Boolean).join(" · ")
}

/** The model that a node's values come from, if it is one: what is given to the loaders above it. */
export function sourceOf(doc: Doc, name: string): string {
  const found = new Set<string>()
  const seen = new Set<string>()
  const waiting = [name]
  for (let one = waiting.pop(); one !== undefined; one = waiting.pop()) {
    if (seen.has(one)) continue
    seen.add(one)
    const node = doc.nodes?.[one]
    const spec = nodeType(node?.op ?? "")
    for (const [port, value] of Object.entries(node?.in ?? {})) {
      if (spec?.inputs[port]?.source) {
        const given = isWire(value) && split(value.from)[0] === "input" ? doc.inputs?.[split(value.from)[1]]?.default : plain(value)
        if (typeof given === "string") found.add(given)
      } else if (isWire(value) && split(value.from)[0] !== "input") waiting.push(split(value.from)[0])
    }
  }
  return found.size === 1 ? [...found][0]! : ""
}

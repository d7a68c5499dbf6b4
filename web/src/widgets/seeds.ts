// Seeds that change by themselves: after a run was submitted with what they were, as each says in layout.seeds.
import { type Doc, type SeedMode, giveInput, plain, setPort, split } from "../document/model"
import { everywhere } from "../document/graphs"
import { editWhole } from "../document/store"

export const LARGEST = Number.MAX_SAFE_INTEGER // 2⁵³ − 1, as Python's Seed has it
const COMMON = 2 ** 32 // dice stay below: short enough to be read and written down

export const dice = (): number => crypto.getRandomValues(new Uint32Array(1))[0]! % COMMON

export const nextSeed = (seed: number): number => (seed >= LARGEST ? 0 : seed + 1)

export function setSeedMode(doc: Doc, reference: string, mode: SeedMode): Doc {
  const { [reference]: _, ...others } = doc.layout?.seeds ?? {}
  return { ...doc, layout: { ...doc.layout, seeds: mode === "keep" ? others : { ...others, [reference]: mode } } }
}

/** Every seed as it is to be for the run after this one. */
export function advanced(doc: Doc, roll: () => number = dice): Doc {
  let made = doc
  for (const [reference, mode] of Object.entries(doc.layout?.seeds ?? {})) {
    const [node, port] = split(reference)
    const now = node === "input" ? doc.inputs?.[port]?.default : plain(doc.nodes?.[node]?.in?.[port])
    if (typeof now !== "number") continue
    const seed = mode === "random" ? roll() : mode === "next" ? nextSeed(now) : now
    made = node === "input" ? giveInput(made, port, seed) : setPort(made, node, port, seed)
  }
  return made
}

/** To be called once a run was submitted. One step of undo, none where no seed changes. */
export function afterSubmit(): void {
  editWhole((root) => everywhere(root, (doc) => (Object.keys(doc.layout?.seeds ?? {}).length ? advanced(doc) : doc)))
}

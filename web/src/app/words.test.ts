import { expect, it } from "vitest"

const ROOMS = import.meta.glob<{ en: Record<string, string>; zh: Record<string, string> }>("../*/words.ts", { eager: true })

it("a name of words means the same in every room that has it, as the rooms are joined into one", () => {
  const said = new Map<string, string>()
  const clashes: string[] = []
  for (const [room, { en, zh }] of Object.entries(ROOMS))
    for (const name of Object.keys(en)) {
      const words = `${en[name]} / ${zh[name]}`
      if (said.has(name) && said.get(name) !== words) clashes.push(`${name} in ${room}: ${words}, elsewhere ${said.get(name)}`)
      said.set(name, words)
    }
  expect(clashes).toEqual([])
})

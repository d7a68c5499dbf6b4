import { expect, it } from "vitest"

const ROOMS = import.meta.glob<{ en: Record<string, string>; zh: Record<string, string> }>("../*/words.ts", { eager: true })

it("a word that two rooms have says the same in both, as one hides the other", () => {
  const said = new Map<string, Set<string>>()
  for (const { en, zh } of Object.values(ROOMS)) for (const key of Object.keys(en)) said.set(key, (said.get(key) ?? new Set()).add(`${en[key]} / ${zh[key]}`))
  expect([...said].filter(([, texts]) => texts.size > 1).map(([key, texts]) => [key, ...texts])).toEqual([])
})

it("both languages fill in the same values", () => {
  const values = (text = "") => [...text.matchAll(/\{\w+\}/g)].map(([found]) => found).sort()
  for (const [room, { en, zh }] of Object.entries(ROOMS)) for (const key of Object.keys(en)) expect([room, key, values(zh[key])]).toEqual([room, key, values(en[key])])
})

it("each language has words of its own", () => {
  for (const { en, zh } of Object.values(ROOMS))
    for (const [key, text] of Object.entries(zh)) if (/[a-z]{4}/i.test(en[key]!.replace(/\{\w+\}|`[^`]*`/g, ""))) expect([key, /\p{Script=Han}/u.test(text) || text === ""]).toEqual([key, true])
})

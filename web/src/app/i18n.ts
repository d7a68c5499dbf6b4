// Words in English and Chinese. A key is checked where it is used; what graphs and nodes say of themselves comes from Python in either language.
import { create } from "zustand"
import type { Words } from "../api/types"
import * as canvas from "../canvas/words"
import * as changes from "../changes/words"
import * as home from "../home/words"
import * as keys from "../keys/words"
import * as palette from "../palette/words"
import * as panels from "../panels/words"
import * as results from "../results/words"
import * as rounds from "../rounds/words"
import * as sweeps from "../sweeps/words"
import * as widgets from "../widgets/words"
import * as app from "./words"

export type Language = "en" | "zh"
const en = { ...app.en, ...canvas.en, ...changes.en, ...home.en, ...keys.en, ...palette.en, ...panels.en, ...results.en, ...rounds.en, ...sweeps.en, ...widgets.en }
const zh: typeof en = { ...app.zh, ...canvas.zh, ...changes.zh, ...home.zh, ...keys.zh, ...palette.zh, ...panels.zh, ...results.zh, ...rounds.zh, ...sweeps.zh, ...widgets.zh }
export type Key = keyof typeof en
const WORDS: Record<Language, Record<Key, string>> = { en, zh }
const STORED = "flowmm.language"

export const useLanguage = create<{ language: Language }>()(() => ({
  language: (localStorage.getItem(STORED) as Language | null) ?? (navigator.language.startsWith("zh") ? "zh" : "en"),
}))

useLanguage.subscribe(({ language }) => {
  localStorage.setItem(STORED, language)
  document.documentElement.lang = language
})
document.documentElement.lang = useLanguage.getState().language
window.addEventListener("storage", ({ key, newValue }) => {
  if (key === STORED && newValue && newValue in WORDS) useLanguage.setState({ language: newValue as Language }) // chosen in another tab
})

function filled(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole))
}

export const say = (key: Key, values: Record<string, string | number> = {}): string => filled(WORDS[useLanguage.getState().language][key], values)

/** `const t = useT()`, then t("run") in the language chosen. */
export function useT(): typeof say {
  useLanguage(({ language }) => language)
  return say
}

/** What a graph or node says of itself, in the language chosen where it has it. */
export function words(text: Words | undefined): string {
  if (typeof text === "string" || text === undefined) return text ?? ""
  return text[useLanguage.getState().language] ?? text.en ?? Object.values(text)[0] ?? ""
}

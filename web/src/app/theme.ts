// Light, dark, or as the system has it.
import { create } from "zustand"

export type Theme = "system" | "light" | "dark"
export const THEMES: readonly Theme[] = ["system", "light", "dark"]
const STORED = "flowmm.theme"

const stored = localStorage.getItem(STORED) as Theme | null
export const useTheme = create<{ theme: Theme }>()(() => ({ theme: stored && THEMES.includes(stored) ? stored : "system" }))

function show({ theme }: { theme: Theme }): void {
  if (theme === "system") delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
}

useTheme.subscribe((now) => {
  localStorage.setItem(STORED, now.theme)
  show(now)
})
show(useTheme.getState())

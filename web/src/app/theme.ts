// Light, dark, or as the system has it.
import { create } from "zustand"

export type Theme = "system" | "light" | "dark"
export const THEMES: readonly Theme[] = ["system", "light", "dark"]
const STORED = "flowmm.theme"

const known = (name: string | null): Theme => THEMES.find((one) => one === name) ?? "system"
export const useTheme = create<{ theme: Theme }>()(() => ({ theme: known(localStorage.getItem(STORED)) }))

function show({ theme }: { theme: Theme }): void {
  if (theme === "system") delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
}

useTheme.subscribe((now) => {
  localStorage.setItem(STORED, now.theme)
  show(now)
})
show(useTheme.getState())
window.addEventListener("storage", ({ key, newValue }) => {
  if (key === STORED) useTheme.setState({ theme: known(newValue) }) // chosen in another tab
})

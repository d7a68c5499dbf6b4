// Every command of the editor: what it is called, which keys call it, when it may be called. Menus, shortcuts and the cheat sheet all read from here.
import { create } from "zustand"
import type { Key } from "../app/i18n"

/** Where the cheat sheet shows a command. */
export type Section = "run" | "file" | "edit" | "view" | "wire" | "arrange"
export const SECTIONS: readonly Section[] = ["run", "edit", "wire", "view", "arrange", "file"]

export interface Command {
  id: string // `<room>.<what>`
  words: Key
  section: Section
  keys?: string[] // "Mod+Shift+G", "/", "F2": the first is shown. Mod is ⌘ on a Mac, Ctrl elsewhere
  inFields?: boolean // also while somebody types in a field
  native?: boolean // the browser makes an event of its own of these keys, which the room listens to
  hidden?: boolean // from the cheat sheet: said there together with another
  when?(): boolean
  run(): unknown
}

const useRegistry = create<{ commands: ReadonlyMap<string, Command> }>()(() => ({ commands: new Map() }))

/** Make commands callable until the function that comes back is called: `useEffect(() => register([…]), [])`. */
export function register(added: readonly Command[]): () => void {
  useRegistry.setState(({ commands }) => ({ commands: new Map([...commands, ...added.map((command) => [command.id, command] as const)]) }))
  return () =>
    useRegistry.setState(({ commands }) => ({ commands: new Map([...commands].filter(([, command]) => !added.includes(command))) }))
}

export const useCommands = (): ReadonlyMap<string, Command> => useRegistry(({ commands }) => commands)
export const command = (id: string): Command | undefined => useRegistry.getState().commands.get(id)
export const possible = (one: Command): boolean => one.when?.() ?? true

/** Call a command by its id; false if it is not there, or not possible now. */
export function perform(id: string): boolean {
  const found = command(id)
  if (!found || !possible(found)) return false
  found.run()
  return true
}

type Press = Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "shiftKey" | "altKey">

/** Whether a press of keys is the one that is written. Shift counts for letters and named keys only: "?" is "?" however it is typed. */
export function matches(written: string, press: Press): boolean {
  const parts = written.split(/\+(?=.)/) // "Mod++" is two parts
  const key = parts.pop()!
  const shiftCounts = key.length > 1 || /[a-z ]/i.test(key)
  return (
    press.key.toLowerCase() === key.toLowerCase() &&
    (press.ctrlKey || press.metaKey) === parts.includes("Mod") &&
    press.altKey === parts.includes("Alt") &&
    (!shiftCounts || press.shiftKey === parts.includes("Shift"))
  )
}

const FIELDS = "input:not([type=checkbox]):not([type=radio]):not([type=range]):not([type=button]), textarea, select, [contenteditable=true]"
export const inField = (target: EventTarget | null): boolean => target instanceof Element && target.closest(FIELDS) !== null

/** The command that a press of keys calls here and now. */
export function called(press: Press, typing: boolean): Command | undefined {
  for (const one of useRegistry.getState().commands.values())
    if (!one.native && (!typing || one.inFields) && one.keys?.some((written) => matches(written, press)) && possible(one)) return one
  return undefined
}

const MAC = /Mac|iP(hone|ad)/.test(navigator.platform)
const SIGNS: Record<string, string> = {
  Mod: MAC ? "⌘" : "Ctrl", Alt: MAC ? "⌥" : "Alt", Shift: MAC ? "⇧" : "Shift", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Enter: "↵",
  Escape: "Esc", Delete: "Del", " ": "Space", ContextMenu: "Menu",
}

/** Keys as they are printed: `Ctrl D`, one part each. */
export function printed(written: string): string[] {
  const parts = written.split(/\+(?=.)/) // "Mod++" is two parts
  const key = parts.pop()!
  return [...parts.map((part) => SIGNS[part] ?? part), SIGNS[key] ?? (key.length === 1 ? key.toUpperCase() : key)]
}

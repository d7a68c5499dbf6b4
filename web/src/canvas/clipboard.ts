// Copy, cut and paste through the system's clipboard, as JSON text: across graphs, tabs and programs.
import { useEffect } from "react"
import { say } from "../app/i18n"
import { inField } from "../keys/commands"
import { read } from "../document/pieces"
import { announce } from "./Announcer"
import { copied, paste, removeSelected } from "./edits"
import { middle, onSurface } from "./stage"

let pointer: [number, number] | null = null // where it was last over the surface
let times = 0 // pasted since it was copied, so that each lies a little apart

function elsewhere(event: Event): boolean {
  const selection = window.getSelection()
  return inField(event.target) || (selection !== null && !selection.isCollapsed)
}

function onCopy(event: ClipboardEvent): void {
  const text = elsewhere(event) ? "" : copied()
  if (!text) return
  event.clipboardData?.setData("text/plain", text)
  event.preventDefault()
  times = 0
  if (event.type === "cut") removeSelected()
}

function onPaste(event: ClipboardEvent): void {
  if (inField(event.target)) return
  if (pasteText(event.clipboardData?.getData("text/plain") ?? "")) event.preventDefault()
}

/** Where something new goes: under the pointer, or in the middle of what is in view. */
export const spot = (): [number, number] => pointer ?? middle()

function pasteText(text: string): boolean {
  const part = read(text)
  if (!part) return false
  const [x, y] = spot()
  const at = onSurface(x + 24 * times, y + 24 * times)
  times += 1
  paste(part, at)
  return true
}

/** Paste by menu: the browser may ask the person first. */
export async function pasteNow(at: [number, number]): Promise<void> {
  pointer = at
  const text = await navigator.clipboard?.readText().catch(() => null)
  if (!text || !pasteText(text)) announce(say(text === "" || text ? "nothingToPaste" : "pasteByKeys"))
}

export const copyNow = (): boolean => document.execCommand("copy") // makes the same event as the keys do
export const cutNow = (): boolean => document.execCommand("cut")

export function useClipboard(): void {
  useEffect(() => {
    const moved = (event: PointerEvent) => {
      const over = event.target instanceof Element && event.target.closest(".react-flow__pane, .react-flow__node")
      pointer = over ? [event.clientX, event.clientY] : null
    }
    document.addEventListener("copy", onCopy)
    document.addEventListener("cut", onCopy)
    document.addEventListener("paste", onPaste)
    document.addEventListener("pointermove", moved, { passive: true })
    return () => {
      document.removeEventListener("copy", onCopy)
      document.removeEventListener("cut", onCopy)
      document.removeEventListener("paste", onPaste)
      document.removeEventListener("pointermove", moved)
    }
  }, [])
}

// Files that come from a person's machine and go there.
import { tellOf } from "../changes/store"
import { isGraphFile, openNew, readFile } from "../document/open"
import { draftId, saveNow } from "../document/sync"
import { say } from "./i18n"
import { tell, tellError } from "./toasts"

/** Open a graph's file as a new graph; navigate: where to. What is open is saved first. */
export async function openFile(file: File, navigate: (to: string) => void): Promise<void> {
  if (!isGraphFile(file)) return void tell(say("notAGraph", { name: file.name }), { bad: true })
  try {
    const restored = await readFile(file)
    if (restored.imported) restored.doc = await import("../changes/apart").then(({ apart }) => apart(restored.doc))
    await saveNow()
    openNew(restored)
    navigate(`/edit?draft=${draftId()}`)
    const { missing, imported } = restored
    if (imported) tellOf({ kind: "report" })
    else if (missing.length) tell(say("missingInputs", { inputs: missing.map(({ input, file }) => (file ? `${input} (${file})` : input)).join(", ") }), { bad: true })
    else tell(say("openedAs", { name: file.name }))
  } catch (error) {
    tellError(error)
  }
}

/** Ask for a file to open. */
export function chooseFile(navigate: (to: string) => void): void {
  const input = document.createElement("input")
  input.type = "file"
  input.accept = ".json,.png,application/json,image/png"
  input.onchange = () => input.files?.[0] && void openFile(input.files[0], navigate)
  input.click()
}

export function download(content: Blob, name: string): void {
  const url = URL.createObjectURL(content)
  const link = document.createElement("a")
  link.href = url
  link.download = name
  link.click()
  window.setTimeout(() => URL.revokeObjectURL(url), 10_000)
}

export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text)
    tell(say("copiedText"))
  } catch {
    tell(say("cannotCopy"), { bad: true })
  }
}

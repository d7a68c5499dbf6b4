// The graph's title, edited in place in the language chosen.
import { useRef, useState } from "react"
import { useT, words, useLanguage } from "../app/i18n"
import type { Words } from "../api/types"
import { editWhole, useDocument } from "../document/store"

export function Title() {
  const t = useT()
  const title = useDocument(({ root }) => root.title)
  const name = useDocument(({ name }) => name)
  const [draft, setDraft] = useState<string | null>(null)
  const left = useRef(false) // Escape: what goes away loses the focus, which is no reason to take the text
  const shown = words(title)
  const commit = () => {
    if (draft !== null && !left.current && draft.trim() !== shown) editWhole((doc) => ({ ...doc, title: titled(doc.title, draft.trim()) }))
    setDraft(null)
  }
  if (draft === null)
    return (
      <h1 className="title">
        <button type="button" className={`bare${shown ? "" : " none"}`} title={t("title")} onClick={() => ((left.current = false), setDraft(shown))}>{shown || name || t("untitled")}</button>
      </h1>
    )
  return (
    <input
      className="entry title" aria-label={t("title")} autoFocus value={draft} placeholder={name || t("untitled")} size={Math.max(16, draft.length + 1)}
      onFocus={({ target }) => target.select()} onChange={({ target }) => setDraft(target.value)} onBlur={commit}
      onKeyDown={({ key, nativeEvent }) => {
        if (key === "Enter" && !nativeEvent.isComposing) commit()
        if (key === "Escape") {
          left.current = true
          setDraft(null)
        }
      }}
    />
  )
}

/** A title in several languages keeps the others. */
export function titled(before: Words | undefined, text: string): Words {
  return typeof before === "object" ? { ...before, [useLanguage.getState().language]: text } : text
}

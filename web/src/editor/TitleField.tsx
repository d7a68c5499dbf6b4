// A title, edited in place in the language chosen.
import { useRef, useState } from "react"
import { useLanguage, words } from "../app/i18n"
import type { Words } from "../api/types"

interface Props {
  title: Words | undefined
  fallback: string // what is shown where there is none
  label: string
  onChange(title: Words): void
}

export function TitleField({ title, fallback, label, onChange }: Props) {
  const [draft, setDraft] = useState<string | null>(null)
  const left = useRef(false) // Escape: what goes away loses the focus, which is no reason to take the text
  const shown = words(title)
  const commit = () => {
    if (draft !== null && !left.current && draft.trim() !== shown) onChange(titled(title, draft.trim()))
    setDraft(null)
  }
  if (draft === null)
    return <button type="button" className={`bare${shown ? "" : " none"}`} title={label} onClick={() => ((left.current = false), setDraft(shown))}>{shown || fallback}</button>
  return (
    <input
      className="entry title" aria-label={label} autoFocus value={draft} placeholder={fallback} size={Math.max(16, draft.length + 1)}
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

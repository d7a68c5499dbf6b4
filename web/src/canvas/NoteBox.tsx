// A note on the surface, in markdown: shown until it is written in.
import { type NodeProps, NodeResizer } from "@xyflow/react"
import { Pencil } from "lucide-react"
import { Suspense, memo, useState } from "react"
import { create } from "zustand"
import { useT } from "../app/i18n"
import { lazily } from "../app/lazily"
import { edit, useDocument } from "../document/store"
import { settle } from "./boxes"
import { changeNote } from "./layout"

const Markdown = lazily(() => import("markdown-to-jsx"))
const useEdited = create<{ id: string }>()(() => ({ id: "" }))
export const editNote = (id: string): void => useEdited.setState({ id })

export const NoteBox = memo(function NoteBox({ id, selected }: NodeProps) {
  const t = useT()
  const name = id.slice("note:".length)
  const note = useDocument(({ doc }) => doc.layout?.notes?.[name])
  const writing = useEdited((edited) => edited.id === id)
  if (!note) return null
  return (
    <article className={`note${selected ? " selected" : ""}`} data-colour={note.colour} aria-label={t("note")} onDoubleClick={() => editNote(id)}>
      <NodeResizer isVisible={selected} minWidth={120} minHeight={60} onResizeEnd={(_, box) => settle(id, box)} />
      {writing ? (
        <Writing text={note.text} done={(text) => (editNote(""), text !== null && edit((doc) => changeNote(doc, name, { text })))} />
      ) : (
        <>
          <div className="note-text"><Suspense fallback={note.text}><Markdown options={{ disableParsingRawHTML: true, forceBlock: true }}>{note.text || t("noteEmpty")}</Markdown></Suspense></div>
          {selected && <button type="button" className="bare nodrag note-edit" aria-label={t("noteEdit")} title={t("noteEdit")} onClick={() => editNote(id)}><Pencil size={13} /></button>}
        </>
      )}
    </article>
  )
})

function Writing({ text, done }: { text: string; done(text: string | null): void }) {
  const t = useT()
  const [written, setWritten] = useState(text)
  return (
    <textarea
      autoFocus className="nodrag nowheel nopan" aria-label={t("note")} value={written} placeholder={t("noteHint")} onChange={({ target }) => setWritten(target.value)}
      onBlur={() => done(written)}
      onKeyDown={(event) => {
        event.stopPropagation()
        if (event.key === "Escape" || (event.key === "Enter" && (event.ctrlKey || event.metaKey))) event.currentTarget.blur()
      }}
    />
  )
}

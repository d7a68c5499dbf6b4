// A frame around cards that moves them together. Its title is written in place.
import { type NodeProps, NodeResizer } from "@xyflow/react"
import { memo, useState } from "react"
import { useT } from "../app/i18n"
import { edit, useDocument } from "../document/store"
import { settle } from "./boxes"
import { changeGroup } from "./layout"

export const GroupBox = memo(function GroupBox({ id, selected }: NodeProps) {
  const t = useT()
  const name = id.slice("group:".length)
  const group = useDocument(({ doc }) => doc.layout?.groups?.[name])
  const [written, setWritten] = useState<string | null>(null)
  if (!group) return null
  const done = () => {
    if (written !== null && written.trim() && written !== group.title) edit((doc) => changeGroup(doc, name, { title: written.trim() }))
    setWritten(null)
  }
  return (
    <section className={`group${selected ? " selected" : ""}`} data-colour={group.colour} aria-label={group.title}>
      <NodeResizer isVisible={selected} minWidth={120} minHeight={80} onResizeEnd={(_, box) => settle(id, box)} />
      <header className="group-head" title={t("groupHint")} onDoubleClick={() => setWritten(group.title)}>
        {written === null ? group.title : (
          <input
            autoFocus className="nodrag" aria-label={t("title")} value={written} onChange={({ target }) => setWritten(target.value)} onBlur={done}
            onFocus={({ target }) => target.select()}
            onKeyDown={(event) => {
              event.stopPropagation()
              if (event.key === "Enter") done()
              if (event.key === "Escape") setWritten(null)
            }}
          />
        )}
      </header>
    </section>
  )
})

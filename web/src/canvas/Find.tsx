// Find a card by what it is called, and go there.
import fuzzysort from "fuzzysort"
import { X } from "lucide-react"
import { useMemo, useState } from "react"
import { create } from "zustand"
import { useT, words } from "../app/i18n"
import { nodeType } from "../app/catalogue"
import { INPUTS, OUTPUTS } from "../document/model"
import { currentDoc } from "../document/store"
import { show, useStage } from "./stage"

const useFind = create<{ open: boolean }>()(() => ({ open: false }))
export const openFind = (): void => useFind.setState({ open: true })
const close = (): void => useFind.setState({ open: false })

export function Find() {
  return useFind(({ open }) => open) && <Bar />
}

function Bar() {
  const t = useT()
  const [text, setText] = useState("")
  const [at, setAt] = useState(0)
  const nodes = useStage(({ nodes }) => nodes)
  const ids = nodes.map(({ id }) => id).join("\n")
  const entries = useMemo(() => {
    const { nodes, layout } = currentDoc()
    const name = (id: string): string => {
      if (id === INPUTS) return t("inputs")
      if (id === OUTPUTS) return t("outputs")
      if (id.startsWith("note:")) return layout?.notes?.[id.slice(5)]?.text ?? ""
      if (id.startsWith("group:")) return layout?.groups?.[id.slice(6)]?.title ?? ""
      const op = nodes?.[id]?.op ?? ""
      return `${words(nodeType(op)?.title)} ${op}`
    }
    return ids.split("\n").map((id) => ({ id, name: name(id) }))
  }, [ids, t])
  const found = text ? fuzzysort.go(text, entries, { keys: ["id", "name"], limit: 50, threshold: 0.3 }).map(({ obj }) => obj) : []
  const go = (to: number) => {
    if (!found.length) return
    const next = (to + found.length) % found.length
    setAt(next)
    show(found[next]!.id)
  }
  return (
    <search className="find">
      <input
        autoFocus aria-label={t("findNode")} placeholder={t("findNode")} value={text} onChange={({ target }) => (setText(target.value), setAt(-1))}
        onKeyDown={(event) => {
          if (event.key === "Enter") go(event.shiftKey ? at - 1 : at + 1)
          else if (event.key === "Escape") close()
          else return
          event.stopPropagation()
          event.preventDefault()
        }}
      />
      <output>{text && `${found.length ? Math.max(at, 0) + 1 : 0}/${found.length}`}</output>
      <button type="button" className="bare" aria-label={t("close")} onClick={close}><X size={14} /></button>
    </search>
  )
}

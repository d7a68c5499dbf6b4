// Another name for a node. Code, problems and wires call it by that.
import { useId, useState } from "react"
import { create } from "zustand"
import { Dialog } from "../app/Dialog"
import { useT } from "../app/i18n"
import { isName, renameNode } from "../document/model"
import { useDocument } from "../document/store"
import { arrange } from "./edits"
import { reveal, select, whenDrawn } from "./stage"

const useRenaming = create<{ id: string | null }>()(() => ({ id: null }))
export const rename = (id: string | null): void => useRenaming.setState({ id })

export function Rename() {
  const id = useRenaming(({ id }) => id)
  const there = useDocument(({ doc }) => id !== null && doc.nodes?.[id] !== undefined)
  return there && <Form key={id} id={id!} />
}

function Form({ id }: { id: string }) {
  const t = useT()
  const field = useId()
  const nodes = useDocument(({ doc }) => doc.nodes)
  const [wanted, setWanted] = useState(id)
  const fault = wanted === id ? "" : !isName(wanted) ? t("nameWrong") : nodes && wanted in nodes ? t("nameTaken") : ""
  const save = () => {
    if (fault) return
    rename(null)
    arrange((doc) => renameNode(doc, id, wanted))
    select([wanted])
    whenDrawn(wanted, () => requestAnimationFrame(() => reveal(wanted)))
  }
  return (
    <Dialog title={t("renameNode")} close={() => rename(null)}>
      <form onSubmit={(event) => (event.preventDefault(), save())}>
        <div className="form-row">
          <label htmlFor={field}>{t("name")}</label>
          <input
            id={field} className="entry" value={wanted} spellCheck={false} autoComplete="off" aria-invalid={fault !== ""} aria-describedby={`${field}h`}
            onChange={({ target }) => setWanted(target.value)}
          />
          <small id={`${field}h`} className={fault ? "bad" : ""} role={fault ? "alert" : undefined}>{fault || t("inputNameHelp")}</small>
        </div>
        <div className="dialog-foot">
          <button type="button" className="button" onClick={() => rename(null)}>{t("cancel")}</button>
          <button type="submit" className="button primary" disabled={fault !== ""}>{t("done")}</button>
        </div>
      </form>
    </Dialog>
  )
}

// A graph's title, for people, and its name, for programs.
import { useId, useState } from "react"
import { type ApiError, api } from "../api/client"
import type { ListedGraph } from "../api/types"
import { Dialog } from "../app/Dialog"
import { say, useLanguage, useT, words } from "../app/i18n"
import { sentence, tell } from "../app/toasts"
import { isGraphName } from "../document/filenames"

interface Props {
  graph: ListedGraph
  close(): void
  done(): void
}

export function RenameDialog({ graph, close, done }: Props) {
  const t = useT()
  const id = useId()
  const [title, setTitle] = useState(words(graph.title))
  const [name, setName] = useState(graph.name)
  const [error, setError] = useState("")
  const wrong = isGraphName(name) ? error : t("nameBad")
  const save = async () => {
    try {
      let { etag } = graph
      if (title.trim() !== words(graph.title)) {
        const read = await api.graph(graph.name)
        const now = read.doc.title
        const { language } = useLanguage.getState()
        etag = (await api.save(graph.name, { ...read.doc, title: typeof now === "object" ? { ...now, [language]: title.trim() } : title.trim() }, read.etag)).etag
      }
      if (name !== graph.name) {
        await api.rename(graph.name, name, etag)
        tell(say("renamed", { name }))
      }
      done()
      close()
    } catch (problem) {
      setError(sentence((problem as ApiError).message))
    }
  }
  return (
    <Dialog title={t("rename").replace("…", "")} close={close}>
      <form onSubmit={(event) => (event.preventDefault(), void save())}>
        <div className="form-row">
          <label htmlFor={`${id}t`}>{t("title")}</label>
          <input id={`${id}t`} className="entry" value={title} onChange={({ target }) => setTitle(target.value)} />
        </div>
        <div className="form-row">
          <label htmlFor={`${id}n`}>{t("name")}</label>
          <input id={`${id}n`} className="entry" value={name} aria-invalid={wrong !== ""} aria-describedby={`${id}h`} onChange={({ target }) => (setName(target.value), setError(""))} />
          <small id={`${id}h`} className={wrong ? "bad" : ""}>{wrong || t("nameHelp")}</small>
        </div>
        <div className="dialog-foot">
          <button type="button" className="button" onClick={close}>{t("cancel")}</button>
          <button type="submit" className="button primary" disabled={!isGraphName(name)}>{t("save")}</button>
        </div>
      </form>
    </Dialog>
  )
}

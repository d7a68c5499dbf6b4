// The title of the whole graph.
import { useT } from "../app/i18n"
import { editWhole, useDocument } from "../document/store"
import { TitleField } from "./TitleField"

export function Title() {
  const t = useT()
  const title = useDocument(({ root }) => root.title)
  const name = useDocument(({ name }) => name)
  return (
    <h1 className="title">
      <TitleField title={title} fallback={name || t("untitled")} label={t("title")} onChange={(title) => editWhole((doc) => ({ ...doc, title }))} />
    </h1>
  )
}

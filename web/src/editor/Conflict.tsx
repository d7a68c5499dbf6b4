// The graph was changed or removed elsewhere: the person chooses, and nothing is overwritten until then.
import { TriangleAlert } from "lucide-react"
import { useState } from "react"
import { Dialog } from "../app/Dialog"
import { useT } from "../app/i18n"
import { useDocument } from "../document/store"
import { keepMine, takeTheirs, useSync } from "../document/sync"
import { Differences } from "./Differences"

export function Conflict() {
  const t = useT()
  const conflict = useSync(({ state }) => state === "conflict")
  const theirs = useSync(({ theirs }) => theirs)
  const [looking, setLooking] = useState(false)
  if (!conflict) return null
  return (
    <div className="conflict" role="alert">
      <TriangleAlert size={16} />
      <p><b>{t(theirs ? "changedElsewhere" : "removedElsewhere")}</b> {t("changedHelp")}</p>
      {theirs && <button type="button" className="button" onClick={() => setLooking(true)}>{t("showDifferences")}</button>}
      {theirs && <button type="button" className="button" onClick={takeTheirs}>{t("takeTheirs")}</button>}
      <button type="button" className="button primary" onClick={() => void keepMine()}>{t(theirs ? "keepMine" : "saveAgain")}</button>
      {looking && theirs && (
        <Dialog title={t("differences")} close={() => setLooking(false)} wide><Between before={theirs.doc} /></Dialog>
      )}
    </div>
  )
}

function Between({ before }: { before: Parameters<typeof Differences>[0]["before"] }) {
  const t = useT()
  const doc = useDocument(({ root }) => root)
  return <Differences before={before} after={doc} what={t("differencesTheirs")} />
}

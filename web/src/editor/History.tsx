// Earlier versions of the graph: look at what differs, take one back.
import { useEffect, useState } from "react"
import { ApiError, api } from "../api/client"
import type { Version } from "../api/types"
import { Dialog } from "../app/Dialog"
import { date } from "../app/format"
import { say, useT } from "../app/i18n"
import { sentence, tell } from "../app/toasts"
import type { Doc } from "../document/model"
import { editWhole, useDocument } from "../document/store"
import { saveNow } from "../document/sync"
import { Differences } from "./Differences"

export function History({ close }: { close(): void }) {
  const t = useT()
  const name = useDocument(({ name }) => name)
  const doc = useDocument(({ root }) => root)
  const [versions, setVersions] = useState<Version[] | null>(null)
  const [chosen, setChosen] = useState<{ version: Version; doc: Doc } | null>(null)
  const [error, setError] = useState("")
  const failed = (error: ApiError) => setError(sentence(error.message))
  useEffect(() => {
    void saveNow().then(() => (name ? api.history(name) : [])).then(setVersions, failed)
  }, [name])
  const look = (version: Version) => void api.version(name, version.etag).then((doc) => setChosen({ version, doc }), failed)
  const restore = () => {
    if (!chosen) return
    editWhole(() => chosen.doc)
    tell(say("restored", { when: date(chosen.version.saved * 1000) }))
    close()
  }
  return (
    <Dialog title={t("history")} close={close} wide>
      <p>{t("historyHelp")}</p>
      {error && <p className="bad">{error}</p>}
      {versions?.length === 0 && <p className="none">{t("historyNone")}</p>}
      {versions && versions.length > 0 && (
        <div className="versions">
          <ul aria-label={t("history")}>
            {versions.map((version) => (
              <li key={version.etag + version.saved}>
                <button type="button" aria-pressed={chosen?.version === version} onClick={() => look(version)}>{date(version.saved * 1000)}</button>
              </li>
            ))}
          </ul>
          <div>{chosen && <Differences before={chosen.doc} after={doc} what={t("differencesPast")} />}</div>
        </div>
      )}
      <div className="dialog-foot">
        <button type="button" className="button" onClick={close}>{t("cancel")}</button>
        <button type="button" className="button primary" disabled={!chosen} onClick={restore}>{t("restoreVersion")}</button>
      </div>
    </Dialog>
  )
}

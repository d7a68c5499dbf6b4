// Whether what is seen is on the server, in a word; a click shows earlier versions, or tries again.
import { Check, CircleAlert, CloudOff, LoaderCircle, Pencil } from "lucide-react"
import { useEffect, useState } from "react"
import { ago } from "../app/format"
import { useT } from "../app/i18n"
import { sentence } from "../app/toasts"
import { useDocument } from "../document/store"
import { saveNow, useSync } from "../document/sync"
import { useRuns } from "../run/store"

const TICK = 30_000 // ms: "5 minutes ago" grows older

export function SaveState({ showHistory }: { showHistory(): void }) {
  const t = useT()
  const { state, error, at } = useSync()
  const named = useDocument(({ name }) => name !== "")
  const own = useDocument(({ own }) => own)
  const connected = useRuns(({ connected }) => connected)
  const [, tick] = useState(0)
  useEffect(() => {
    const timer = window.setInterval(() => tick((n) => n + 1), TICK)
    return () => window.clearInterval(timer)
  }, [])
  if (state === "conflict") return null // the banner says it
  if (state === "refused")
    return <button type="button" className="save-state bad" title={`${sentence(error?.message ?? "")}. ${error?.fix ?? ""}`} onClick={() => void saveNow()}><CircleAlert size={14} />{t("notSaved")}</button>
  if (state === "offline" || !connected)
    return <button type="button" className="save-state warn" title={t("offline")} onClick={() => void saveNow()}><CloudOff size={14} />{t("offlineShort")}</button>
  if (state === "saving") return <span className="save-state" role="status"><LoaderCircle size={14} className="spin" />{t("saving")}</span>
  if (state === "edited") return <span className="save-state" role="status" title={t("unsavedHelp")}><Pencil size={13} />{t("unsaved")}</span>
  if (!named) return null
  if (!own) return <span className="save-state" title={t("templateHelp")}>{t("template")}</span>
  return (
    <button type="button" className="save-state" onClick={showHistory} title={t("history")}>
      <Check size={14} />{at ? t("savedAt", { when: ago(at) }) : t("saved")}
    </button>
  )
}

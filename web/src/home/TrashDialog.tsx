// What was deleted, each with the way back.
import { useEffect, useState } from "react"
import { api } from "../api/client"
import type { Trashed } from "../api/types"
import { Dialog } from "../app/Dialog"
import { ago } from "../app/format"
import { say, useT } from "../app/i18n"
import { tell, tellError } from "../app/toasts"

export function TrashDialog({ close, done }: { close(): void; done(): void }) {
  const t = useT()
  const [trashed, setTrashed] = useState<Trashed[] | null>(null)
  const load = () => void api.trash().then(setTrashed, tellError)
  useEffect(load, [])
  const restore = async ({ id }: Trashed) => {
    try {
      const { name } = await api.restore(id)
      tell(say("restoredGraph", { name }))
      done()
      load()
    } catch (error) {
      tellError(error)
    }
  }
  const forget = async (these: Trashed[]) => {
    for (const { id } of these) await api.forgetGraph(id).catch(tellError)
    load()
  }
  return (
    <Dialog title={t("trash")} close={close}>
      {trashed?.length === 0 && <p>{t("trashEmpty")}</p>}
      <ul className="trash">
        {trashed?.map((one) => (
          <li key={one.id}>
            <div><b>{one.name}</b><small>{t("deletedAt", { when: ago(one.deleted * 1000) })}</small></div>
            <button type="button" className="button" aria-label={`${t("bringBack")}: ${one.name}`} onClick={() => void restore(one)}>{t("bringBack")}</button>
            <Sure label={t("deleteForGood")} of={one.name} act={() => void forget([one])} />
          </li>
        ))}
      </ul>
      {trashed && trashed.length > 1 && <div className="dialog-foot"><Sure label={t("emptyTrash")} act={() => void forget(trashed)} /></div>}
    </Dialog>
  )
}

/** A button for what cannot be undone: it asks once, in its own place. */
function Sure({ label, of, act }: { label: string; of?: string; act(): void }) {
  const t = useT()
  const [asks, setAsks] = useState(false)
  const words = asks ? t("reallyDelete") : label
  return (
    <button
      type="button" className={`button${asks ? " danger" : ""}`} aria-label={of ? `${words}: ${of}` : words} onBlur={() => setAsks(false)}
      onClick={() => (asks ? act() : setAsks(true))}
    >
      {words}
    </button>
  )
}

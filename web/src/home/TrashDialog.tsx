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
  return (
    <Dialog title={t("trash")} close={close}>
      {trashed?.length === 0 && <p>{t("trashEmpty")}</p>}
      <ul className="trash">
        {trashed?.map((one) => (
          <li key={one.id}>
            <div><b>{one.name}</b><small>{t("deletedAt", { when: ago(one.deleted * 1000) })}</small></div>
            <button type="button" className="button" aria-label={`${t("bringBack")}: ${one.name}`} onClick={() => void restore(one)}>{t("bringBack")}</button>
          </li>
        ))}
      </ul>
    </Dialog>
  )
}

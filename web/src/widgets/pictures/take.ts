// Pictures that a person hands in are uploaded; the server alone judges whether they are any.
import { useState } from "react"
import { ApiError, api } from "../../api/client"
import { useT } from "../../app/i18n"
import type { Picture } from "./value"

interface Taking {
  busy: boolean
  fault: string
  /** Hand the uploads of these files on. */
  take(files: File[], then: (pictures: Picture[]) => void): Promise<void>
  fail(message: string): void
}

export function useTaking(): Taking {
  const t = useT()
  const [busy, setBusy] = useState(false)
  const [fault, setFault] = useState("")
  return {
    busy,
    fault,
    fail: setFault,
    async take(files, then) {
      setFault(files.length ? "" : t("noPicture"))
      if (!files.length) return
      setBusy(true)
      try {
        const made: Picture[] = []
        for (const file of files) made.push({ upload: (await api.upload(file)).id })
        then(made)
      } catch (error) {
        setFault(error instanceof ApiError ? `${error.message}. ${error.fix}` : String(error))
      } finally {
        setBusy(false)
      }
    },
  }
}

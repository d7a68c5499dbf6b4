// The picture that a map of a run lies over: the run's own input picture.
import { useEffect, useState } from "react"
import { api, uploadUrl, valueUrl } from "../api/client"
import type { Run } from "../api/types"
import type { Doc } from "../document/model"
import { itemType } from "./kinds"

const MAPS = new Set(["HeatMap", "Attention"])

/** The address of the first picture among a run's inputs, as far as one can be told. */
function pictureOf(run: Run, doc: Doc): string | undefined {
  for (const [name, input] of Object.entries(doc.inputs ?? {})) {
    const given = run.inputs?.[name] ?? input.default
    const value = Array.isArray(given) ? given[0] : given
    if (typeof value === "string" && /\.(png|jpe?g|webp)$/i.test(value)) return `/api/pictures?graph=${encodeURIComponent(run.name)}&path=${encodeURIComponent(value)}`
    const { upload, value: key } = (typeof value === "object" && value !== null ? value : {}) as { upload?: string; value?: string }
    if (upload) return uploadUrl(upload)
    if (key) return valueUrl(key, "thumbnail")
  }
  return undefined
}

export function useUnder(run: string, type: string): string | undefined {
  const wanted = MAPS.has(itemType(type))
  const [url, setUrl] = useState<string>()
  useEffect(() => {
    if (!wanted) return
    let gone = false
    Promise.all([api.readRun(run), api.runGraph(run)]).then(([found, doc]) => !gone && setUrl(pictureOf(found, doc)), () => {})
    return () => void (gone = true)
  }, [run, wanted])
  return url
}

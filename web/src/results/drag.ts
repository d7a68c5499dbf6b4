// A result that is dragged: what an input takes from it is {"value": key}.
import type { DragEvent } from "react"
import { outputUrl, valueUrl } from "../api/client"
import type { RunOutput } from "../api/types"
import { MIME } from "../widgets/pictures/value"

export function dragValue(event: DragEvent, { key }: Pick<RunOutput, "key">, from?: { run: string; output: string }): void {
  event.stopPropagation()
  event.dataTransfer.setData(MIME, JSON.stringify({ value: key }))
  event.dataTransfer.setData("text/uri-list", new URL(from ? outputUrl(from.run, from.output) : valueUrl(key), location.href).href)
  event.dataTransfer.effectAllowed = "copy"
}

// Pictures as inputs have them: a path that the graph names, an upload of this server, or a value that a run gave.
import { uploadUrl, valueUrl } from "../../api/client"
import type { Json } from "../../api/types"

export type Picture = string | { upload: string } | { value: string }

export const MIME = "application/x-flowmm-value" // of a result that is dragged: {"value": key}

const isPicture = (one: Json): one is Picture =>
  typeof one === "string" || (typeof one === "object" && one !== null && !Array.isArray(one) && (typeof one.upload === "string" || typeof one.value === "string"))

export function picturesOf(value: Json | undefined): Picture[] {
  return (Array.isArray(value) ? value : [value ?? null]).filter(isPicture)
}

/** As the input takes them: one alone is no list, none is nothing. */
export const valueOf = (pictures: Picture[]): Json | undefined => (pictures.length > 1 ? pictures : pictures[0])

export const keyOf = (one: Picture): string => (typeof one === "string" ? one : "upload" in one ? one.upload : one.value)

/** What is shown where the picture cannot be. */
export const nameOf = (one: Picture): string => (typeof one === "string" ? one.slice(one.lastIndexOf("/") + 1) : keyOf(one).slice(0, 8))

/** Where a picture is to be seen. graph: beside which its path starts. size: in pixels, none for the picture as it is. */
export function pictureUrl(one: Picture, graph: string, size?: number): string {
  const small = size ? `size=${size}` : ""
  if (typeof one === "string") return `/api/pictures?graph=${encodeURIComponent(graph)}&path=${encodeURIComponent(one)}${small && `&${small}`}`
  if ("upload" in one) return uploadUrl(one.upload) + (small && `?${small}`)
  return size ? valueUrl(one.value, "thumbnail", 0, size) : valueUrl(one.value)
}

export function moved<T>(items: readonly T[], from: number, to: number): T[] {
  const made = [...items]
  if (from < 0 || from >= made.length) return made
  made.splice(Math.max(0, Math.min(to, made.length - 1)), 0, ...made.splice(from, 1))
  return made
}

/** What was dropped or pasted: picture files, or a result dragged from elsewhere on the page. */
export function carried(data: DataTransfer | null): { files: File[]; picture: Picture | null } {
  const files = [...(data?.files ?? [])].filter(({ type }) => type.startsWith("image/"))
  try {
    const told = JSON.parse(data?.getData(MIME) || "null") as Json
    return { files, picture: told !== null && isPicture(told) && typeof told === "object" ? told : null }
  } catch {
    return { files, picture: null }
  }
}

// Opening graphs: a saved one by name, a draft that was left, a file that was dropped.
import { ApiError, api } from "../api/client"
import type { Json, Opened } from "../api/types"
import { type Draft, drafts } from "./drafts"
import { nameFrom } from "./filenames"
import { putBack } from "./lifted"
import { type Doc, giveInput } from "./model"
import { begin, settled } from "./sync"

/** What was found: taken back: edits that were not saved; offline: they alone, as the server is not there. */
export interface Found {
  takenBack: boolean
  offline: boolean
}

/** Open a graph by name, or (name "") a new one; draft: the id of one that was never saved. Raises ApiError. */
export async function openGraph(name: string, draft = ""): Promise<Found> {
  await settled()
  const reading = name ? api.graph(name) : null
  reading?.catch(() => {}) // is told below
  const left = await drafts.left().catch((): Draft[] => [])
  if (!reading) {
    const found = left.find(({ id }) => id === draft) ?? null
    begin("", null, found)
    return { takenBack: found !== null, offline: false }
  }
  const found = left.find((one) => one.name === name) ?? null
  try {
    const read = await reading
    const news = found && JSON.stringify(found.doc) !== JSON.stringify(read.doc)
    begin(name, read, news ? found : null)
    if (found && !news) void drafts.remove(found.id).catch(() => {})
    return { takenBack: Boolean(news), offline: false }
  } catch (error) {
    if (!found || !(error instanceof ApiError) || !(error.offline || error.status === 404)) throw error
    if (error.offline) begin(name, null, found)
    else begin("", null, { ...found, name: "", wanted: name, etag: null, own: true })
    return { takenBack: true, offline: error.offline }
  }
}

export const isGraphFile = ({ name, type }: File): boolean => type === "application/json" || type === "image/png" || /\.(json|png)$/i.test(name)

export interface Restored {
  doc: Doc
  wanted: string
  missing: Opened["missing"]
  imported: boolean // from another program: its layout keeps the report of that
}

/** Read a graph's JSON, or a PNG that carries one, with the inputs that it was run with; also what other programs made. Raises ApiError. */
export async function readFile(file: File): Promise<Restored> {
  const png = file.type === "image/png" || /\.png$/i.test(file.name)
  const { graph, name, inputs, missing, report } = await api.open(new Blob([await file.arrayBuffer()], { type: png ? "image/png" : "application/json" }))
  const doc = withInputs(...putBack(graph as Doc, inputs as Record<string, Json>))
  const imported = report.length > 0
  return { doc: imported ? { ...doc, layout: { ...doc.layout, report } } : doc, wanted: name || nameFrom(file.name), missing, imported }
}

/** The document with these values of its inputs. */
export const withInputs = (doc: Doc, inputs: Record<string, Json>): Doc => Object.entries(inputs).reduce((made, [name, value]) => giveInput(made, name, value), doc)

/** Open a document that is on no server yet; it is saved under a name like `wanted`. */
export function openNew({ doc, wanted }: Pick<Restored, "doc" | "wanted">): void {
  begin("", null, { id: "", page: "", name: "", own: true, etag: null, doc, wanted, at: 0 })
}

// What picking from the palette does: one step of undo, the wire that waits included.
import { api } from "../api/client"
import { nodeType, useCatalogue } from "../app/catalogue"
import { between } from "../canvas/connect"
import { add, groupSelected, noteAt } from "../canvas/edits"
import { outlinesOf } from "../canvas/flow"
import { letGo } from "../canvas/held"
import { editNote } from "../canvas/NoteBox"
import { select } from "../canvas/stage"
import { HEAD, WIDTH } from "../canvas/shape"
import { arranged } from "../document/layout"
import { INPUTS, OUTPUTS, addNode, connect, place } from "../document/model"
import { insert } from "../document/pieces"
import type { Entry } from "./search"
import { type Asked, closePalette, picked } from "./store"

const WIRE = 40 // px from the end of a wire to the card that takes it

/** port: of the entry's that the held wire goes to. */
export async function pick(entry: Entry, { at, end }: Asked, port = entry.ports?.[0]): Promise<void> {
  closePalette()
  letGo()
  if (entry.kind === "note") return editNote(noteAt(at)[0]!)
  if (entry.kind === "group") return (select([]), groupSelected(at))
  if (entry.kind === "graph") {
    const { doc } = await api.graph(entry.id.slice("graph:".length))
    const sizes = outlinesOf(doc, useCatalogue.getState().nodes ?? {}, null)
    const places = { ...arranged(doc, sizes), ...doc.layout?.nodes }
    delete places[INPUTS]
    delete places[OUTPUTS]
    add((now) => insert(now, place(doc, places), at))
    return
  }
  picked(entry.id)
  add((doc) => {
    const x = end?.side === "input" ? at[0] - WIDTH - WIRE : end ? at[0] + WIRE : at[0]
    const [made, name] = addNode(doc, entry.id, nodeType(entry.id)?.version ?? 1, [x, at[1] - HEAD])
    if (!end || !port) return [made, name]
    const ends = between(end, { node: name, port })
    return [connect(made, ends.from, ends.to, ends.toPort, entry.items?.includes(port)), name]
  })
}

// What picking from the palette does: one step of undo, the wire that waits included.
import { api } from "../api/client"
import { nodeType, useCatalogue } from "../app/catalogue"
import { freePlace } from "../canvas/arrange"
import { between } from "../canvas/connect"
import { add, groupSelected, noteAt } from "../canvas/edits"
import { outlinesOf } from "../canvas/flow"
import { letGo } from "../canvas/held"
import { editNote } from "../canvas/NoteBox"
import { HEAD, shapeOf, WIDTH } from "../canvas/shape"
import { bounds, rectOf, select, show, useStage, whenDrawn } from "../canvas/stage"
import { arranged, type Size } from "../document/layout"
import { INPUTS, OUTPUTS, type Point, addNode, connect, place } from "../document/model"
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
    const { width, height } = bounds(Object.entries(places).map(([id, [x, y]]) => ({ x, y, ...sizes[id]! })))
    bringIn(add((now) => insert(now, place(doc, places), clear(at, { width, height }))))
    return
  }
  picked(entry.id)
  const type = nodeType(entry.id)
  const size = type ? shapeOf({ op: entry.id }, type, { open: false, collapsed: false }) : { width: WIDTH, height: HEAD }
  bringIn(add((doc) => {
    const x = end?.side === "input" ? at[0] - WIDTH - WIRE : end ? at[0] + WIRE : at[0]
    const [made, name] = addNode(doc, entry.id, type?.version ?? 1, clear([x, at[1] - HEAD], size))
    if (!end || !port) return [made, name]
    const ends = between(end, { node: name, port })
    return [connect(made, ends.from, ends.to, ends.toPort, entry.items?.includes(port)), name]
  }))
}

/** A place by this one where nothing else lies. */
const clear = (at: Point, size: Size): Point => freePlace(at, size, useStage.getState().nodes.filter(({ type }) => type !== "groupBox").map(rectOf))

const bringIn = ([name]: string[]): void => void (name && whenDrawn(name, () => show(name)))

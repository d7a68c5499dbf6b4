// What picking from the palette does: one step of undo, the wire that waits included.
import { api } from "../api/client"
import { know, nodeType } from "../app/catalogue"
import { freePlace } from "../canvas/arrange"
import { between } from "../canvas/connect"
import { add, groupSelected, noteAt } from "../canvas/edits"
import { letGo } from "../canvas/held"
import { editNote } from "../canvas/NoteBox"
import { HEAD, shapeOf, WIDTH } from "../canvas/shape"
import { rectOf, select, show, useStage, whenDrawn } from "../canvas/stage"
import { askedHere } from "../document/asked"
import { graphOf } from "../document/graphs"
import type { Size } from "../document/layout"
import { type Point, addNode, connect } from "../document/model"
import { currentDoc } from "../document/store"
import type { Entry } from "./search"
import { type Asked, closePalette, picked } from "./store"

const WIRE = 40 // px from the end of a wire to the card that takes it

/** port: of the entry's that the held wire goes to. */
export async function pick(entry: Entry, { at, end }: Asked, port = entry.ports?.[0]): Promise<void> {
  closePalette()
  letGo()
  if (entry.kind === "note") return editNote(noteAt(at)[0]!)
  if (entry.kind === "group") return (select([]), groupSelected(at))
  if (entry.kind === "graph") await learn(entry.id)
  picked(entry.id)
  const type = nodeType(entry.id)
  const size = type ? shapeOf({ op: entry.id }, type, { open: false, collapsed: false }) : { width: WIDTH, height: HEAD }
  bringIn(add((doc) => {
    const x = end?.side === "input" ? at[0] - WIDTH - WIRE : end ? at[0] + WIRE : at[0]
    const [made, name] = addNode(doc, entry.id, type?.version ?? 1, clear([x, at[1] - HEAD], size), graphOf(entry.id).replace(/\W+/g, "_") || undefined)
    if (!end || !port) return [made, name]
    const ends = between(end, { node: name, port })
    return [connect(made, ends.from, ends.to, ends.toPort, entry.items?.includes(port)), name]
  }))
}

/** Ask what the node type of a graph is, so that its card has its ports from the start. Without an answer the next check tells. */
const learn = (op: string): Promise<void> => api.check({ ...askedHere(), graph: { ...currentDoc(), nodes: { one: { op } }, outputs: {} }, inputs: {} }).then(({ types }) => know(types), () => undefined)

/** A place by this one where nothing else lies. */
const clear = (at: Point, size: Size): Point => freePlace(at, size, useStage.getState().nodes.filter(({ type }) => type !== "groupBox").map(rectOf))

const bringIn = ([name]: string[]): void => void (name && whenDrawn(name, () => show(name)))

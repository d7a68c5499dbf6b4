// Edits of how the graph is shown.
import { type Doc, type Layout, type Point, freeName, place } from "../document/model"
import type { Size } from "../document/layout"
import { arranged } from "../document/layout"

const changed = (doc: Doc, change: Layout): Doc => ({ ...doc, layout: { ...doc.layout, ...change } })

/** Fold a node or unfold it (`collapsed`), show all its settings or few (`open`). */
export function toggled(doc: Doc, what: "collapsed" | "open", id: string): Doc {
  const before = doc.layout?.[what] ?? []
  return changed(doc, { [what]: before.includes(id) ? before.filter((one) => one !== id) : [...before, id] })
}

export function coloured(doc: Doc, ids: Iterable<string>, colour: string | null): Doc {
  const colours = { ...doc.layout?.colours }
  for (const id of ids) {
    if (colour === null) delete colours[id]
    else colours[id] = colour
  }
  return changed(doc, { colours })
}

export function addNote(doc: Doc, at: Point, text = ""): [Doc, string] {
  const name = freeName("note", doc.layout?.notes)
  return [changed(doc, { notes: { ...doc.layout?.notes, [name]: { text, at, size: [240, 140] } } }), `note:${name}`]
}

export function addGroup(doc: Doc, at: Point, size: Point, title: string): [Doc, string] {
  const name = freeName("group", doc.layout?.groups)
  return [changed(doc, { groups: { ...doc.layout?.groups, [name]: { title, at, size } } }), `group:${name}`]
}

/** Notes and groups of these ids go. */
export function removeBoxes(doc: Doc, ids: Iterable<string>): Doc {
  const notes = { ...doc.layout?.notes }
  const groups = { ...doc.layout?.groups }
  for (const id of ids) {
    const [kind, name = ""] = id.split(":", 2)
    if (kind === "note") delete notes[name]
    if (kind === "group") delete groups[name]
  }
  return changed(doc, { notes, groups })
}

export function rearranged(doc: Doc, sizes: Record<string, Size>): Doc {
  return place(doc, arranged(doc, sizes))
}

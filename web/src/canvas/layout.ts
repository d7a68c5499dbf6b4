// Edits of how the graph is shown.
import { type Doc, type Group, type Layout, type Note, type Point, freeName } from "../document/model"

const changed = (doc: Doc, change: Layout): Doc => ({ ...doc, layout: { ...doc.layout, ...change } })

/** Fold a node or unfold it (`collapsed`), show all its settings or few (`open`). */
export function toggled(doc: Doc, what: "collapsed" | "open", id: string): Doc {
  const before = doc.layout?.[what] ?? []
  return changed(doc, { [what]: before.includes(id) ? before.filter((one) => one !== id) : [...before, id] })
}

/** Give nodes, notes and groups a colour, or (null) none. */
export function coloured(doc: Doc, ids: Iterable<string>, colour: string | null): Doc {
  const colours = { ...doc.layout?.colours }
  const notes = { ...doc.layout?.notes }
  const groups = { ...doc.layout?.groups }
  for (const id of ids) {
    const [kind, name] = split(id)
    if (kind === "note" && notes[name]) notes[name] = { ...notes[name], colour: colour ?? undefined }
    else if (kind === "group" && groups[name]) groups[name] = { ...groups[name], colour: colour ?? undefined }
    else if (colour === null) delete colours[id]
    else colours[id] = colour
  }
  return changed(doc, { colours, ...(doc.layout?.notes && { notes }), ...(doc.layout?.groups && { groups }) })
}

/** `note:name` as its two parts; any other id alone. */
const split = (id: string): [kind: string, name: string] => (/^(note|group):/.test(id) ? [id.slice(0, id.indexOf(":")), id.slice(id.indexOf(":") + 1)] : ["", id])

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
    const [kind, name] = split(id)
    if (kind === "note") delete notes[name]
    if (kind === "group") delete groups[name]
  }
  return changed(doc, { notes, groups })
}

export function changeNote(doc: Doc, name: string, change: Partial<Note>): Doc {
  const note = doc.layout?.notes?.[name]
  return note ? changed(doc, { notes: { ...doc.layout?.notes, [name]: { ...note, ...change } } }) : doc
}

export function changeGroup(doc: Doc, name: string, change: Partial<Group>): Doc {
  const group = doc.layout?.groups?.[name]
  return group ? changed(doc, { groups: { ...doc.layout?.groups, [name]: { ...group, ...change } } }) : doc
}

// The document that is open, with undo and redo of every edit. What happens to it while it runs is in run/store.
import { temporal } from "zundo"
import { create } from "zustand"
import { type Way, reached, seen, written } from "./graphs"
import { type Doc, EMPTY } from "./model"

export interface DocumentState {
  name: string // "" until it has one
  own: boolean // whether the file is the person's own; a shipped one is saved as a copy of the same name
  etag: string | null // of the version on the server that this is an edit of
  saved: Doc // what that version says
  root: Doc // the whole document: what is saved and run
  way: Way // the nodes that one has gone into; undo leads back to where an edit was made
  doc: Doc // the graph that is shown: the whole one, or the definition at the end of the way, with all that it may use
  open(name: string, doc: Doc, etag: string | null, own: boolean): void
  /** One step of undo, of the graph that is shown. A function that gives the same document back is none. */
  edit(change: (doc: Doc) => Doc): void
  /** The same, of the whole document. */
  editWhole(change: (root: Doc) => Doc): void
  /** An edit that goes on: typing, dragging. It is part of the step before if that was of the same kind. */
  amend(kind: string, change: (doc: Doc) => Doc): void
  /** Show another graph of the document: go as far as the way leads. No step of undo. */
  go(way: Way): void
  kept(name: string, doc: Doc, etag: string, own: boolean): void
}

const PAUSE = 1_000 // ms: a pause this long in typing begins a new step
let last = { kind: "", at: 0 }

type Shown = Pick<DocumentState, "root" | "way" | "doc">

function shown(root: Doc, wanted: Way): Shown {
  const { way, address } = reached(root, wanted)
  return { root, way, doc: seen(root, address) }
}

export const useDocument = create<DocumentState>()(
  temporal(
    (set, get) => ({
      name: "",
      own: false,
      etag: null,
      saved: EMPTY,
      ...shown(EMPTY, []),
      open(name, doc, etag, own) {
        history().pause()
        set({ name, etag, own, saved: doc, ...shown(doc, []) })
        history().clear()
        history().resume()
        last = { kind: "", at: 0 }
      },
      edit(change) {
        last = { kind: "", at: 0 }
        const next = changed(get(), change)
        if (next) set(next)
      },
      editWhole(change) {
        last = { kind: "", at: 0 }
        const { root, way } = get()
        const made = change(root)
        if (made !== root) set(shown(made, way))
      },
      amend(kind, change) {
        const now = performance.now()
        const goes = last.kind === kind && now - last.at < PAUSE
        last = { kind, at: now }
        const next = changed(get(), change)
        if (!next) return
        if (goes) history().pause()
        set(next)
        if (goes) history().resume()
      },
      go(way) {
        last = { kind: "", at: 0 }
        const { root } = get()
        set(shown(root, way))
      },
      kept(name, doc, etag, own) {
        history().pause()
        set({ name, saved: doc, etag, own })
        history().resume()
      },
    }),
    { partialize: ({ root, way, doc }): Shown => ({ root, way, doc }), equality: (a, b) => a.root === b.root, limit: 500 },
  ),
)

/** What an edit of the graph that is shown makes of the whole; null if nothing. */
function changed({ root, way, doc }: Shown, change: (doc: Doc) => Doc): Shown | null {
  const made = change(doc)
  return made === doc ? null : shown(written(root, reached(root, way).address, made), way)
}

export const history = () => useDocument.temporal.getState()
export const edit = (change: (doc: Doc) => Doc): void => useDocument.getState().edit(change)
export const amend = (kind: string, change: (doc: Doc) => Doc): void => useDocument.getState().amend(kind, change)
export const editWhole = (change: (root: Doc) => Doc): void => useDocument.getState().editWhole(change)
export const currentDoc = (): Doc => useDocument.getState().doc
export const wholeDoc = (): Doc => useDocument.getState().root

// The document that is open, with undo and redo of every edit. What happens to it while it runs is in run/store.
import { temporal } from "zundo"
import { create } from "zustand"
import { type Doc, EMPTY } from "./model"

export interface DocumentState {
  name: string // "" until it has one
  own: boolean // whether the file is the person's own; a shipped one is saved as a copy of the same name
  etag: string | null // of the version on the server that this is an edit of
  saved: Doc // what that version says
  doc: Doc
  open(name: string, doc: Doc, etag: string | null, own: boolean): void
  /** One step of undo. A function that gives the same document back is none. */
  edit(change: (doc: Doc) => Doc): void
  /** An edit that goes on: typing, dragging. It is part of the step before if that was of the same kind. */
  amend(kind: string, change: (doc: Doc) => Doc): void
  kept(name: string, doc: Doc, etag: string, own: boolean): void
}

const PAUSE = 1_000 // ms: a pause this long in typing begins a new step
let last = { kind: "", at: 0 }

export const useDocument = create<DocumentState>()(
  temporal(
    (set, get) => ({
      name: "",
      own: false,
      etag: null,
      saved: EMPTY,
      doc: EMPTY,
      open(name, doc, etag, own) {
        history().pause()
        set({ name, doc, etag, own, saved: doc })
        history().clear()
        history().resume()
        last = { kind: "", at: 0 }
      },
      edit(change) {
        last = { kind: "", at: 0 }
        const doc = change(get().doc)
        if (doc !== get().doc) set({ doc })
      },
      amend(kind, change) {
        const now = performance.now()
        const goes = last.kind === kind && now - last.at < PAUSE
        last = { kind, at: now }
        const doc = change(get().doc)
        if (doc === get().doc) return
        if (goes) history().pause()
        set({ doc })
        if (goes) history().resume()
      },
      kept(name, doc, etag, own) {
        history().pause()
        set({ name, saved: doc, etag, own })
        history().resume()
      },
    }),
    { partialize: ({ doc }) => ({ doc }), equality: (a, b) => a.doc === b.doc, limit: 500 },
  ),
)

export const history = () => useDocument.temporal.getState()
export const edit = (change: (doc: Doc) => Doc): void => useDocument.getState().edit(change)
export const amend = (kind: string, change: (doc: Doc) => Doc): void => useDocument.getState().amend(kind, change)
export const currentDoc = (): Doc => useDocument.getState().doc

// The way of the open document to the server: at once into a draft in this browser, after a pause into the saved graph, never over another's work.
import { create } from "zustand"
import { ApiError, type Read, api } from "../api/client"
import { type Draft, PAGE, drafts } from "./drafts"
import { freeGraphName, nameFrom } from "./filenames"
import { type Doc, EMPTY } from "./model"
import { editWhole, useDocument } from "./store"

export const PAUSE = 1_500 // ms without an edit, after which it is saved
const FIRST_RETRY = 2_000 // ms; doubled each time
const LONGEST_RETRY = 20_000
const MOST_NAMES = 20 // tried in a row, while others take them

/** saved: nothing to do. edited: will be saved soon. offline, refused: tried again; refused by the server, which said why.
 * conflict: another version is there, and the person chooses. */
export type SyncState = "saved" | "edited" | "saving" | "offline" | "refused" | "conflict"

interface Sync {
  state: SyncState
  theirs: Read | null // in a conflict the version that is there; null if it was removed
  error: ApiError | null // of the last refusal
  at: number | null // Unix milliseconds of the last save
}

const NOTHING: Sync = { state: "saved", theirs: null, error: null, at: null }
export const useSync = create<Sync>()(() => NOTHING)
const put = useSync.setState

/** What becomes of a graph that is saved elsewhere, told to the page: it was copied under this name. */
export interface Listener {
  named(name: string, copied: boolean): void
}

let id = newId() // of this opening; what ends late belongs to the one that began it
let begun = false
let wanted = "" // the name for one without
let attempted = "" // a name that was asked for, the answer being lost
let timer = 0
let retry = FIRST_RETRY
let saving: Promise<void> | null = null
let drafted: Doc | null = null // what the draft says
let writing = false
let listener: Listener | null = null
let unheard: { of: string; name: string; copied: boolean } | null = null // was named while nobody listened
let channel: BroadcastChannel | null = null

function newId(): string {
  return `${PAGE}.${Math.random().toString(36).slice(2)}`
}

const now = () => useDocument.getState()
const dirty = (): boolean => now().root !== now().saved
const equal = (a: Doc, b: Doc): boolean => JSON.stringify(a) === JSON.stringify(b)
export const draftId = (): string => id

/** Whether this is what is open already. draft: of a graph that had no name when it was opened. */
export const isOpen = (name: string, draft: string): boolean => begun && (draft ? draft === id : name === now().name && (name !== "" || !dirty()))

/** Whether all that was typed is on the disk somewhere. */
export const kept = (): boolean => !dirty() || drafted === now().root

/** Open a document in the store. draft: what this browser has of it beyond the version that was read. name: one that is wanted, for a new graph. */
export function begin(name: string, read: Read | null, draft: Draft | null = null, wantedName = ""): void {
  window.clearTimeout(timer)
  id = newId()
  wanted = draft?.wanted || wantedName
  attempted = ""
  retry = FIRST_RETRY
  drafted = null
  put(NOTHING)
  begun = true
  if (read || !draft) now().open(name, read?.doc ?? EMPTY, read?.etag ?? null, read?.own ?? true)
  if (!draft) return
  if (read) editWhole(() => draft.doc)
  else {
    now().open(name, draft.doc, draft.etag, draft.own)
    useDocument.setState({ saved: EMPTY })
  }
  void write().then(() => drafts.remove(draft.id)).catch(() => {})
  if (read && name && draft.etag !== read.etag && !equal(read.doc, draft.doc)) put({ state: "conflict", theirs: read })
  else later(0)
}

/** Follow the document that is open, until the function that comes back is called. */
export function startSync(told: Listener): () => void {
  listener = told
  if (unheard?.of === id) told.named(unheard.name, unheard.copied)
  unheard = null
  channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("flowmm.saved")
  if (channel) channel.onmessage = ({ data }) => data.name === now().name && data.etag !== now().etag && void recheck()
  const stop = useDocument.subscribe((after, before) => after.root !== before.root && edited())
  const awake = () => document.hidden || void recheck()
  const leaving = (event: BeforeUnloadEvent) => keepNow() || event.preventDefault()
  window.addEventListener("online", awake)
  document.addEventListener("visibilitychange", awake)
  window.addEventListener("beforeunload", leaving)
  window.addEventListener("pagehide", keepNow)
  return () => {
    stop()
    channel?.close()
    channel = null
    window.removeEventListener("online", awake)
    document.removeEventListener("visibilitychange", awake)
    window.removeEventListener("beforeunload", leaving)
    window.removeEventListener("pagehide", keepNow)
    listener = null
    if (useSync.getState().state !== "conflict") void saveNow()
  }
}

function edited(): void {
  void write()
  const { state } = useSync.getState()
  if (state === "conflict" || state === "saving") return
  if (!dirty()) return put({ state: "saved" })
  if (state !== "offline") put({ state: "edited" })
  later(PAUSE)
}

function later(pause: number): void {
  window.clearTimeout(timer)
  timer = window.setTimeout(() => void saveNow(), pause)
}

function draft(): Draft {
  const { root: doc, name, own, etag } = now()
  return { id, page: PAGE, name, own, etag, doc, wanted, at: Date.now() }
}

/** When the page is left: whether nothing is lost by that. */
const keepNow = (): boolean => kept() || drafts.putNow(draft())

/** Bring the draft up to the document; one write at a time, the last of many edits being what counts. */
async function write(): Promise<void> {
  if (writing) return
  writing = true
  try {
    for (let mine = id; ; mine = id) {
      const due = dirty() ? now().root : null
      if (drafted === due) break
      if (due) await drafts.put(draft())
      else await drafts.remove(mine)
      if (mine === id) drafted = due
    }
  } catch {
    // A browser that keeps nothing for us: leaving the page asks first, see `keepNow`.
  } finally {
    writing = false
  }
}

/** Save what is not saved, now; over once that has succeeded or failed. */
export async function saveNow(): Promise<void> {
  window.clearTimeout(timer)
  await saving
  if (!dirty() || useSync.getState().state === "conflict") return
  saving = save().finally(() => (saving = null))
  await saving
}

/** Over once nothing is being saved. */
export async function settled(): Promise<void> {
  await saving
}

async function save(): Promise<void> {
  const mine = id
  const { name, own, etag, root: doc } = now()
  put({ state: "saving", error: null })
  try {
    const made = own && name ? await api.save(name, doc, etag) : await saveAs(name || wanted || nameFrom(titleOf(doc)), doc)
    channel?.postMessage(made)
    if (mine !== id) return void drafts.remove(mine).catch(() => {})
    retry = FIRST_RETRY
    landed(doc, made)
  } catch (error) {
    if (mine === id) await failed(error as ApiError, doc)
  }
}

function landed(doc: Doc, { name, etag }: { name: string; etag: string }): void {
  const before = now()
  before.kept(name, doc, etag, true)
  put({ state: dirty() ? "edited" : "saved", theirs: null, error: null, at: Date.now() })
  const copied = before.name !== "" && !before.own
  if (before.name !== name && listener) listener.named(name, copied)
  else if (before.name !== name) unheard = { of: id, name, copied }
  void write()
  if (dirty()) later(PAUSE)
}

const titleOf = ({ title }: Doc): string => (typeof title === "object" ? (title.en ?? Object.values(title)[0] ?? "") : (title ?? ""))

/** As a new graph of this name, or of one like it that is free. */
async function saveAs(wish: string, doc: Doc): Promise<{ name: string; etag: string }> {
  if (attempted) {
    const there = await api.graph(attempted).catch(() => null)
    if (there?.own && equal(there.doc, doc)) return { name: attempted, etag: there.etag }
    attempted = ""
  }
  const taken = (await api.graphs()).map(({ name }) => name)
  for (let i = 0; ; i++) {
    const name = freeGraphName(wish, taken)
    try {
      return await api.save(name, doc, null)
    } catch (error) {
      const known = error instanceof ApiError
      if (known && error.offline) attempted = name
      if (!known || error.code !== "exists" || i === MOST_NAMES) throw error
      taken.push(name)
    }
  }
}

async function failed(error: ApiError, doc: Doc): Promise<void> {
  if (error.status === 412) {
    const mine = id
    const { name } = now()
    const theirs = error.code === "gone" ? null : await api.graph(name).catch((problem: ApiError) => problem)
    if (mine !== id) return
    if (!(theirs instanceof ApiError)) {
      if (theirs && equal(theirs.doc, doc)) return landed(doc, { name, etag: theirs.etag })
      return put({ state: "conflict", theirs })
    }
    error = theirs
  }
  put({ state: error.offline ? "offline" : "refused", error })
  if (error.offline || error.status === 401 || error.status === 429 || error.status >= 500) {
    later(retry)
    retry = Math.min(retry * 2, LONGEST_RETRY)
  }
}

/** See whether the graph is still the one that was read: after sleep, or when another tab says that it saved it. */
export async function recheck(): Promise<void> {
  await saving
  const mine = id
  const { name, own, etag } = now()
  if (!name || !own || useSync.getState().state === "conflict") return dirty() ? saveNow() : undefined
  const theirs = await api.graph(name).catch((error: ApiError) => error)
  if (mine !== id || saving || now().etag !== etag) return
  if (theirs instanceof ApiError) {
    if (theirs.status === 404) put({ state: "conflict", theirs: null })
  } else if (theirs.etag === etag) {
    if (dirty()) await saveNow()
  } else if (equal(theirs.doc, now().root)) landed(now().root, { name, etag: theirs.etag })
  else put({ state: "conflict", theirs })
}

// ── what a person chooses in a conflict ─────────────────────────────────────────────────────────

/** Go on with the version that is there. What was here is one step of undo away. */
export function takeTheirs(): void {
  const { theirs } = useSync.getState()
  if (!theirs) return
  editWhole(() => theirs.doc)
  now().kept(now().name, theirs.doc, theirs.etag, theirs.own)
  put(NOTHING)
  void write()
}

/** Save what is here as another graph, and go on with that; under its own name, if the other was removed. */
export async function keepMine(): Promise<void> {
  const mine = id
  const { name, root: doc } = now()
  window.clearTimeout(timer)
  put({ state: "saving", error: null })
  try {
    const made = await saveAs(name || wanted || nameFrom(titleOf(doc)), doc)
    if (mine === id) landed(doc, made)
  } catch (error) {
    if (mine === id) put({ state: "conflict", error: error as ApiError })
  }
}

// What is not on the server yet, in this browser: the document of every open graph that has unsaved edits, at once, whatever becomes of the page.
import type { Doc } from "./model"

export interface Draft {
  id: string // of this opening of the graph
  page: string // that holds it open
  name: string // "" for one that was never saved
  own: boolean
  etag: string | null // of the version that it is an edit of
  doc: Doc
  wanted: string // the name it would like to have, for one without
  at: number // Unix milliseconds
}

const DATABASE = "flowmm"
const STORE = "drafts"
let opening: Promise<IDBDatabase> | null = null

function database(): Promise<IDBDatabase> {
  opening ??= new Promise((resolve, reject) => {
    const asked = indexedDB.open(DATABASE, 1)
    asked.onupgradeneeded = () => asked.result.createObjectStore(STORE, { keyPath: "id" })
    asked.onsuccess = () => resolve(asked.result)
    asked.onerror = () => {
      opening = null
      reject(asked.error)
    }
  })
  return opening
}

/** One transaction, over once it is on the disk. */
async function within<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const transaction = (await database()).transaction(STORE, mode)
  return new Promise((resolve, reject) => {
    const asked = work(transaction.objectStore(STORE))
    transaction.oncomplete = () => resolve(asked.result)
    transaction.onabort = transaction.onerror = () => reject(transaction.error)
  })
}

export const drafts = {
  put: (draft: Draft): Promise<unknown> => within("readwrite", (store) => store.put(draft)).then(() => forget(draft.id)),
  remove(id: string): Promise<unknown> {
    forget(id)
    return within("readwrite", (store) => store.delete(id))
  },
  /** For a page that is being left, which has no time for a transaction. False if there is no room. */
  putNow(draft: Draft): boolean {
    try {
      localStorage.setItem(LAST + draft.id, JSON.stringify(draft))
      return true
    } catch {
      return false
    }
  },
  async all(): Promise<Draft[]> {
    const written = await within("readonly", (store) => store.getAll() as IDBRequest<Draft[]>)
    const found = new Map(written.map((draft) => [draft.id, draft]))
    for (const draft of lastWords()) if (draft.at >= (found.get(draft.id)?.at ?? 0)) found.set(draft.id, draft)
    return [...found.values()]
  },
  /** Those that no other open page holds: of pages that were closed, reloaded, or lost, and of this one. The newest first. */
  async left(): Promise<Draft[]> {
    const [all, open] = await Promise.all([drafts.all(), openPages()])
    return all.filter(({ page }) => !open.has(page)).sort((a, b) => b.at - a.at)
  },
}

// ── what a page could still say when it was left ────────────────────────────────────────────────

const LAST = "flowmm.draft."
const forget = (id: string): void => localStorage.removeItem(LAST + id)

function lastWords(): Draft[] {
  const keys = Array.from({ length: localStorage.length }, (_, i) => localStorage.key(i)!).filter((key) => key.startsWith(LAST))
  return keys.map((key) => JSON.parse(localStorage.getItem(key)!) as Draft)
}

// ── which pages are open ────────────────────────────────────────────────────────────────────────

const LOCK = "flowmm.page."
const REMEMBERED = "flowmm.page"

/** This page. It holds a lock for as long as it lives, asleep or not; where there are no locks every draft counts as left. */
export const PAGE = Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join("")
const [navigation] = performance.getEntriesByType?.("navigation") ?? []
const reloaded = navigation && (navigation as PerformanceNavigationTiming).type === "reload" ? sessionStorage.getItem(REMEMBERED) : null
sessionStorage.setItem(REMEMBERED, PAGE)
void navigator.locks?.request(LOCK + PAGE, () => new Promise(() => {}))

async function openPages(): Promise<Set<string>> {
  const { held = [] } = (await navigator.locks?.query()) ?? {}
  const pages = new Set(held.flatMap(({ name }) => (name?.startsWith(LOCK) ? [name.slice(LOCK.length)] : [])))
  pages.delete(PAGE)
  if (reloaded) pages.delete(reloaded) // its lock may outlive it by a moment
  return pages
}

// All graphs: one's own, and the shipped ones as templates.
import "./home.css"
import { FolderOpen, Plus, Search, Trash2 } from "lucide-react"
import { useCallback, useEffect, useState } from "react"
import { Link, useLocation } from "wouter"
import { type ApiError, api } from "../api/client"
import type { Covers, ListedGraph } from "../api/types"
import { chooseFile } from "../app/files"
import { say, useT } from "../app/i18n"
import { Preferences } from "../app/Preferences"
import { sentence, tell, tellError } from "../app/toasts"
import { type Draft, drafts } from "../document/drafts"
import { freeGraphName } from "../document/filenames"
import { settled } from "../document/sync"
import { DraftCard } from "./DraftCard"
import { type Actions, GraphCard } from "./GraphCard"
import { found, grouped, latestFirst } from "./groups"
import { RenameDialog } from "./RenameDialog"
import { TrashDialog } from "./TrashDialog"

const SKELETONS = 8

export function Home() {
  const t = useT()
  const [, navigate] = useLocation()
  const [graphs, setGraphs] = useState<ListedGraph[] | null>(null)
  const [covers, setCovers] = useState<Covers | null>(null)
  const [left, setLeft] = useState<Draft[]>([])
  const [error, setError] = useState<ApiError | null>(null)
  const [query, setQuery] = useState("")
  const [renaming, setRenaming] = useState<ListedGraph | null>(null)
  const [trash, setTrash] = useState(false)
  const load = useCallback(async () => {
    await settled() // the editor may have left something on its way
    void api.covers().then(setCovers, () => {})
    void drafts.left().then(setLeft, () => {})
    await api.graphs().then((graphs) => (setGraphs(graphs), setError(null)), setError)
  }, [])
  useEffect(() => {
    document.title = "flowmm"
    void load()
    const idle = window.setTimeout(() => void import("../editor/Editor").catch(() => null), 400) // what comes next, once this page stands
    return () => window.clearTimeout(idle)
  }, [load])
  const actions: Actions = {
    rename: setRenaming,
    duplicate: ({ name }) => void duplicated(name).then((copy) => (tell(say("duplicated", { name: copy })), load()), tellError),
    remove: ({ name, etag }) =>
      void api.remove(name, etag).then(({ trash: id }) => {
        tell(say("movedToTrash", { name }), { action: { text: say("undo"), run: () => void api.restore(id).then(load, tellError) } })
        return load()
      }, tellError),
  }
  const shown = found(graphs ?? [], query)
  const own = query ? shown.filter(({ own }) => own) : latestFirst(shown.filter(({ own }) => own))
  const templates = shown.filter(({ own }) => !own)
  const cards = (list: readonly ListedGraph[]) => (
    <ul className="graphs">
      {list.map((graph) => <GraphCard key={`${graph.own}${graph.name}`} graph={graph} covers={covers} unsaved={left.some(({ name }) => name === graph.name)} actions={actions} />)}
    </ul>
  )
  const lone = query ? [] : left.filter(({ name }) => !name || (graphs && !graphs.some((graph) => graph.name === name)))
  return (
    <div className="home">
      <header className="home-bar">
        <img src="/icon.svg" alt="" width="22" height="22" />
        <h1>flowmm</h1>
        <label className="search">
          <Search size={14} />
          <input type="search" placeholder={t("searchGraphs")} aria-label={t("searchGraphs")} value={query} onChange={({ target }) => setQuery(target.value)} />
        </label>
        <Preferences />
        <button type="button" className="bare icon" aria-label={t("trash")} title={t("trash")} onClick={() => setTrash(true)}><Trash2 size={16} /></button>
        <button type="button" className="button" onClick={() => chooseFile(navigate)}><FolderOpen size={14} />{t("openFile")}</button>
        <Link className="button primary" href="/edit"><Plus size={15} />{t("newGraph")}</Link>
      </header>
      <main>
        {error && (
          <div className="home-error" role="alert">
            <p><b>{sentence(error.message)}.</b> {error.fix}</p>
            <button type="button" className="button" onClick={() => void load()}>{t("again")}</button>
          </div>
        )}
        {graphs && shown.length === 0 && <p className="none">{t("noGraphFound", { query })}</p>}
        {(graphs || left.length > 0) && (own.length > 0 || lone.length > 0 || !query) && (
          <section aria-labelledby="yours">
            <h2 id="yours">{t("yours")}</h2>
            {lone.length > 0 && <ul className="graphs">{lone.map((draft) => <DraftCard key={draft.id} draft={draft} discard={() => void drafts.remove(draft.id).then(load, tellError)} />)}</ul>}
            {own.length > 0 ? cards(own) : lone.length === 0 && <p className="none">{t("noneOwn")}</p>}
          </section>
        )}
        {!graphs && !error && <Skeletons />}
        {grouped(templates).map(([group, members]) => (
          <section key={group} aria-labelledby={`group-${group}`}>
            <h2 id={`group-${group}`}>{t(group)}</h2>
            {cards(members)}
          </section>
        ))}
      </main>
      {renaming && <RenameDialog graph={renaming} close={() => setRenaming(null)} done={() => void load()} />}
      {trash && <TrashDialog close={() => setTrash(false)} done={() => void load()} />}
    </div>
  )
}

/** A copy of a graph under a free name. */
async function duplicated(name: string): Promise<string> {
  const [{ doc }, graphs] = await Promise.all([api.graph(name), api.graphs()])
  return (await api.save(freeGraphName(name, graphs.map(({ name }) => name)), doc, null)).name
}

/** Where the cards will be. */
function Skeletons() {
  return (
    <section aria-hidden>
      <h2 className="ghost">&nbsp;</h2>
      <ul className="graphs">{Array.from({ length: SKELETONS }, (_, i) => <li key={i} className="graph ghost" />)}</ul>
    </section>
  )
}

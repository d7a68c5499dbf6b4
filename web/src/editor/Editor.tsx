// The editor of one graph.
import "@xyflow/react/dist/style.css"
import "../canvas/canvas.css"
import "./editor.css"
import { ReactFlowProvider } from "@xyflow/react"
import { ArrowLeft, Redo2, Undo2 } from "lucide-react"
import { useEffect, useState } from "react"
import { Link } from "wouter"
import { api, ApiError } from "../api/client"
import { loadCatalogue } from "../app/catalogue"
import { useT, words } from "../app/i18n"
import { Canvas } from "../canvas/Canvas"
import { EMPTY } from "../document/model"
import { history, useDocument } from "../document/store"
import { Keys } from "../keys/Keys"
import { RunArea } from "../panels/RunArea"
import { SideBar } from "../panels/SideBar"
import { leave, listen, useRuns } from "../run/store"
import { followDocument } from "../typing/store"

export default function Editor({ name }: { name: string }) {
  const t = useT()
  const title = useDocument(({ doc }) => words(doc.title))
  const connected = useRuns(({ connected }) => connected)
  const [ready, setReady] = useState(false)
  useEffect(() => {
    let gone = false
    leave()
    listen()
    const opening = name ? api.graph(name) : Promise.resolve({ doc: EMPTY, etag: null, own: true })
    Promise.all([opening, loadCatalogue()]).then(([{ doc, etag, own }]) => {
      if (gone) return
      useDocument.getState().open(name, doc, etag, own)
      setReady(true)
    }, (error: ApiError) => alert(error.message))
    return () => void (gone = true)
  }, [name])
  useEffect(() => (ready ? followDocument() : undefined), [ready])
  return (
    <div className="editor">
      <header className="bar">
        <Link href="/" className="bare" aria-label={t("back")}><ArrowLeft size={17} /></Link>
        <h1>{title || name || t("untitled")}</h1>
        <button type="button" className="bare" aria-label={t("undo")} onClick={() => history().undo()}><Undo2 size={16} /></button>
        <button type="button" className="bare" aria-label={t("redo")} onClick={() => history().redo()}><Redo2 size={16} /></button>
        {!connected && <span className="offline">{t("offline")}</span>}
        <RunArea />
      </header>
      <Keys />
      {ready && <ReactFlowProvider><main><Canvas /></main><SideBar /></ReactFlowProvider>}
    </div>
  )
}

// The editor of one graph.
import "@xyflow/react/dist/style.css"
import "../canvas/canvas.css"
import "./editor.css"
import { ReactFlowProvider } from "@xyflow/react"
import { useEffect, useState } from "react"
import { Link, useLocation, useSearch } from "wouter"
import type { ApiError } from "../api/client"
import { Boundary } from "../app/Boundary"
import { loadCatalogue } from "../app/catalogue"
import { say, useT } from "../app/i18n"
import { fetchParts } from "../app/lazily"
import { Marked } from "../app/Marked"
import { sentence, tell } from "../app/toasts"
import { Canvas } from "../canvas/Canvas"
import { Changes } from "../changes/Changes"
import { openGraph } from "../document/open"
import { editWhole, useDocument } from "../document/store"
import { draftId, isOpen, recheck, startSync, useSync } from "../document/sync"
import { Keys } from "../keys/Keys"
import { Palette } from "../palette/Palette"
import { SideBar } from "../panels/SideBar"
import { Results } from "../results/Results"
import { leave, listen, useRuns } from "../run/store"
import { followDocument } from "../typing/store"
import { Help } from "../widgets/Help"
import { Bar } from "./Bar"
import { Conflict } from "./Conflict"
import { Way } from "./Way"

let shown = "" // the graph whose run is on the cards

export default function Editor({ name }: { name: string }) {
  const draft = new URLSearchParams(useSearch()).get("draft") ?? ""
  const [opened, setOpened] = useState("") // the graph that is shown: another one is another canvas
  const [error, setError] = useState<ApiError | null>(null)
  const [tries, setTries] = useState(0)
  useEffect(() => {
    let gone = false
    setError(null)
    listen()
    const known = isOpen(name, draft)
    if (!known || shown !== draftId()) leave()
    Promise.all([known ? recheck() : openGraph(name, draft), loadCatalogue()]).then(
      ([found]) => {
        if (gone) return
        setOpened((shown = draftId()))
        fetchParts()
        const { saved } = useDocument.getState()
        if (found?.takenBack && useSync.getState().state !== "conflict")
          tell(say("takenBack"), name && !found.offline ? { action: { text: say("discard"), run: () => editWhole(() => saved) } } : {})
      },
      (error: ApiError) => gone || setError(error),
    )
    return () => void (gone = true)
  }, [name, draft, tries])
  useAddress()
  useEffect(() => (opened ? followDocument() : undefined), [opened])
  return (
    <ReactFlowProvider>
      <div className="editor">
        <Bar nothing={error !== null} />
        <Conflict />
        <Keys />
        <Help />
        {opened && <Changes />}
        {error ? <Failed error={error} again={() => setTries(tries + 1)} /> : opened ? <Graph key={opened} /> : <main className="opening" />}
      </div>
    </ReactFlowProvider>
  )
}

/** Each part by itself: what one cannot draw is no other's fault. */
function Graph() {
  const way = useDocument(({ way }) => way.join("/")) // each graph within is another canvas too
  return (
    <>
      <main><Boundary><Way /><Canvas key={way} place={`${draftId()} ${way}`} /><Palette /></Boundary></main>
      <SideBar />
      <Boundary><Results /></Boundary>
    </>
  )
}

/** The address follows the graph: its name once it has one, its draft before. */
function useAddress(): void {
  const [, navigate] = useLocation()
  const unnamed = useDocument(({ name, root, saved }) => name === "" && root !== saved)
  const connected = useRuns(({ connected }) => connected)
  useEffect(
    () =>
      startSync({
        named(name, copied) {
          navigate(`/edit/${encodeURIComponent(name)}`, { replace: true })
          if (copied) tell(say("copiedTemplate", { name }))
        },
      }),
    [navigate],
  )
  useEffect(() => {
    if (unnamed && !useDocument.getState().name) navigate(`/edit?draft=${draftId()}`, { replace: true }) // it may have got one since it was drawn
  }, [unnamed, navigate])
  useEffect(() => {
    if (connected) void recheck() // it was away, and may have another version by now
  }, [connected])
}

function Failed({ error, again }: { error: ApiError; again(): void }) {
  const t = useT()
  return (
    <main className="failed" role="alert">
      <h2>{t("cannotOpen")}</h2>
      <p><Marked text={`${sentence(error.message)}.`} /></p>
      <p><Marked text={error.fix} /></p>
      <div>
        <button type="button" className="button primary" onClick={again}>{t("again")}</button>
        <Link href="/" className="button">{t("back")}</Link>
      </div>
    </main>
  )
}

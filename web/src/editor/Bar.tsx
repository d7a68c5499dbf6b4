// The bar of the editor: what is open and whether it is saved at the left, what one does with it at the right.
import { ArrowLeft, CircleHelp, Copy, FileInput, FilePlus2, FolderOpen, History as Past, Menu as Burger, Redo2, Save, Undo2 } from "lucide-react"
import { Suspense, useEffect, useState } from "react"
import { Link, useLocation } from "wouter"
import { useStore } from "zustand"
import { chooseFile } from "../app/files"
import { useT, words } from "../app/i18n"
import { Item, Line, Menu } from "../app/Menu"
import { Preferences } from "../app/Preferences"
import { lazily } from "../app/lazily"
import { nameFrom } from "../document/filenames"
import { openNew } from "../document/open"
import { history, useDocument, wholeDoc } from "../document/store"
import { draftId, saveNow } from "../document/sync"
import { perform, printed, register } from "../keys/commands"
import { Combination } from "../keys/Keys"
import { RunArea } from "../panels/RunArea"
import { SaveState } from "./SaveState"
import { ShareMenu } from "./ShareMenu"
import { Title } from "./Title"

const History = lazily(() => import("./History").then(({ History }) => ({ default: History })))

/** nothing: no graph is open, and there is none to share or to run. */
export function Bar({ nothing }: { nothing: boolean }) {
  const t = useT()
  const [, navigate] = useLocation()
  const [past, setPast] = useState(false)
  const name = useDocument(({ name }) => name)
  const title = useDocument(({ root }) => words(root.title))
  const imported = useDocument(({ root }) => root.layout?.report !== undefined)
  const undoable = useStore(useDocument.temporal, ({ pastStates }) => pastStates.length > 0)
  const redoable = useStore(useDocument.temporal, ({ futureStates }) => futureStates.length > 0)
  useEffect(() => {
    document.title = `${title || name || t("untitled")} · flowmm`
  }, [title, name, t])
  useEffect(() => register([{ id: "file.save", words: "save", section: "file", keys: ["Mod+S"], inFields: true, run: () => void saveNow() }]), [])
  const leaveFor = async (open: () => void) => {
    await saveNow()
    open()
    navigate(`/edit?draft=${draftId()}`)
  }
  const keys = (written: string) => printed(written).join(" ")
  return (
    <header className="bar">
      <Link href="/" className="bare icon" aria-label={t("back")} title={t("back")}><ArrowLeft size={17} /></Link>
      <Menu align="start" button={<button type="button" className="bare icon" aria-label={t("file")} title={t("file")}><Burger size={16} /></button>}>
        <Item icon={<FilePlus2 size={14} />} run={() => void leaveFor(() => openNew({ doc: { flowmm: 1, nodes: {}, outputs: {} }, wanted: "" }))}>{t("newGraph")}</Item>
        <Item icon={<FolderOpen size={14} />} run={() => chooseFile(navigate)}>{t("openFile")}</Item>
        <Line />
        <Item icon={<Save size={14} />} aside={<Combination written="Mod+S" />} run={() => void saveNow()}>{t("save")}</Item>
        <Item icon={<Copy size={14} />} run={() => void leaveFor(() => openNew({ doc: wholeDoc(), wanted: name || nameFrom(title) }))}>{t("duplicate")}</Item>
        <Item icon={<Past size={14} />} disabled={!name} run={() => setPast(true)}>{t("history")}</Item>
        {imported && <Item icon={<FileInput size={14} />} aside={<Combination written="I" />} run={() => perform("file.report")}>{t("importReport")}</Item>}
      </Menu>
      {!nothing && <><Title /><SaveState showHistory={() => setPast(true)} /></>}
      <span className="bar-gap" />
      <button type="button" className="bare icon" aria-label={t("undo")} title={`${t("undo")} (${keys("Mod+Z")})`} disabled={!undoable} onClick={() => history().undo()}><Undo2 size={16} /></button>
      <button type="button" className="bare icon" aria-label={t("redo")} title={`${t("redo")} (${keys("Mod+Shift+Z")})`} disabled={!redoable} onClick={() => history().redo()}><Redo2 size={16} /></button>
      <span className="bar-line" />
      <button type="button" className="bare icon" aria-label={t("help")} title={`${t("help")} (?)`} onClick={() => perform("keys.sheet")}><CircleHelp size={16} /></button>
      <Preferences />
      {!nothing && <><ShareMenu /><RunArea /></>}
      {past && <Suspense><History close={() => setPast(false)} /></Suspense>}
    </header>
  )
}

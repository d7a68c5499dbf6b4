// Ways out of the editor: the app form, code that runs the graph, files.
import { useReactFlow } from "@xyflow/react"
import { Braces, ExternalLink, FileCode, FileImage, FileJson, Link, Share2, SquareTerminal } from "lucide-react"
import { useEffect, useState } from "react"
import { api, appUrl } from "../api/client"
import { copy, download } from "../app/files"
import { say, useT } from "../app/i18n"
import { Item, Line, Menu } from "../app/Menu"
import { tell, tellError } from "../app/toasts"
import { useDocument, wholeDoc } from "../document/store"
import { type Shared, curl, pythonConnect, pythonLoad, shared } from "../document/share"
import { saveNow } from "../document/sync"
import { perform, register } from "../keys/commands"
import { Combination } from "../keys/Keys"
import { picture } from "./picture"

/** The graph as it is saved: code names it, so it is saved first. */
async function savedAs(): Promise<string> {
  await saveNow()
  const { name } = useDocument.getState()
  if (!name) tell(say("nameFirst"), { bad: true })
  return name
}

async function copyAs(text: (one: Shared) => string): Promise<void> {
  const name = await savedAs()
  if (name) await copy(text(shared(name, wholeDoc(), location.origin)))
}

const fileName = (kind: string): string => `${useDocument.getState().name || "graph"}.${kind}`

/** The script that `flowmm export` writes. */
async function asScript(): Promise<void> {
  const name = await savedAs()
  if (name) await api.script({ graph: name, inputs: {}, name: "" }).then((text) => download(new Blob([text], { type: "text/x-python" }), `${name}.py`), tellError)
}

export function ShareMenu() {
  const t = useT()
  const flow = useReactFlow()
  const [drawing, setDrawing] = useState(false)
  const asPicture = async () => {
    setDrawing(true)
    await picture(flow).then((made) => download(made, fileName("png")), tellError)
    setDrawing(false)
  }
  useEffect(() => register([{ id: "file.python", words: "exportPython", section: "file", keys: ["Mod+Shift+E"], inFields: true, run: () => void asScript() }]), [])
  const toForm = async () => {
    const name = await savedAs()
    if (name) window.open(appUrl(name), "_blank", "noreferrer")
  }
  return (
    <Menu button={<button type="button" className="button" aria-label={t("share")}><Share2 size={14} />{t("share")}</button>}>
      <Item icon={<ExternalLink size={14} />} run={() => void toForm()}>{t("asForm")}</Item>
      <Item icon={<Link size={14} />} run={() => void copyAs(({ name, origin }) => origin + appUrl(name))}>{t("copyLink")}</Item>
      <Line />
      <Item icon={<SquareTerminal size={14} />} run={() => void copyAs(curl)}>{t("copyCurl")}</Item>
      <Item icon={<Braces size={14} />} run={() => void copyAs(pythonConnect)}>{t("copyConnect")}</Item>
      <Item icon={<Braces size={14} />} run={() => void copyAs(pythonLoad)}>{t("copyLoad")}</Item>
      <Line />
      <Item icon={<FileJson size={14} />} run={() => download(new Blob([`${JSON.stringify(wholeDoc(), null, 2)}\n`], { type: "application/json" }), fileName("json"))}>
        {t("exportJson")}
      </Item>
      <Item icon={<FileCode size={14} />} aside={<Combination written="Mod+Shift+E" />} run={() => perform("file.python")}>{t("exportPython")}</Item>
      <Item icon={<FileImage size={14} />} disabled={drawing} run={() => void asPicture()}>{t("exportPng")}</Item>
    </Menu>
  )
}

// The name of one of the graph's own inputs or outputs, and what it says of itself in the language chosen.
import { type RefObject, useId, useState } from "react"
import { useLanguage, useT } from "../app/i18n"
import type { Words } from "../api/types"
import { type InputDoc, type OutputDoc, isName, renameInput, renameOutput, setInput, setOutput } from "../document/model"
import { amend, edit, useDocument } from "../document/store"
import { Floating } from "./Floating"
import { reworded } from "./inputs"

interface Props {
  anchor: RefObject<HTMLElement | null>
  of: "inputs" | "outputs"
  name: string
  onClose(): void
}

export function PortDetails({ anchor, of, name, onClose }: Props) {
  const t = useT()
  const id = useId()
  const language = useLanguage(({ language }) => language)
  const port: InputDoc | OutputDoc | undefined = useDocument(({ doc }) => doc[of]?.[name])
  const taken = useDocument(({ doc }) => doc[of])
  const [wanted, setWanted] = useState(name)
  const fault = wanted === name ? "" : !isName(wanted) ? t("nameWrong") : taken && wanted in taken ? t("nameTaken") : ""
  const said = (text: Words | undefined) => (typeof text === "object" ? (text[language] ?? "") : (text ?? ""))
  const say = (what: "title" | "help", text: string) => amend(`${of}.${name}.${what}`, (doc) => (of === "inputs" ? setInput : setOutput)(doc, name, { [what]: reworded(doc[of]?.[name]?.[what] as Words | undefined, language, text) }))
  const finish = () => {
    if (fault) return
    if (wanted !== name) edit((doc) => (of === "inputs" ? renameInput : renameOutput)(doc, name, wanted))
    onClose()
  }
  return (
    <Floating anchor={anchor} label={t("details")} className="details" onClose={onClose}>
      <form onSubmit={(event) => (event.preventDefault(), finish())}>
        <label htmlFor={`${id}n`}>{t("inputName")}</label>
        <input
          id={`${id}n`} className="control" value={wanted} spellCheck={false} autoComplete="off" aria-invalid={fault !== ""} aria-describedby={`${id}d`}
          onFocus={({ target }) => target.select()} onChange={({ target }) => setWanted(target.value)}
        />
        <small id={`${id}d`} className={fault ? "wrong" : ""} role={fault ? "alert" : undefined}>{fault || t("inputNameHelp")}</small>
        <label htmlFor={`${id}t`}>{t("inputTitle")}</label>
        <input id={`${id}t`} className="control" value={said(port?.title)} placeholder={name} onChange={({ target }) => say("title", target.value)} />
        {of === "inputs" && (
          <>
            <label htmlFor={`${id}h`}>{t("inputHelp")}</label>
            <textarea id={`${id}h`} className="control" rows={3} value={said(port?.help as Words | undefined)} onChange={({ target }) => say("help", target.value)} />
          </>
        )}
        <footer><button type="submit" className="button primary" disabled={fault !== ""}>{t("done")}</button></footer>
      </form>
    </Floating>
  )
}

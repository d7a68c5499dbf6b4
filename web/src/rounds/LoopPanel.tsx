// A loop's settings: what of a round is given to the next one, when it ends, how often it runs at most. Only what fits is offered, as Python says.
import { type RefObject, useEffect, useId, useState } from "react"
import { api } from "../api/client"
import type { Loops } from "../api/types"
import { useT } from "../app/i18n"
import { askedHere } from "../document/asked"
import { setLoop } from "../document/frames"
import type { Loop } from "../document/model"
import { amend, edit, useDocument } from "../document/store"
import { Floating } from "../widgets/Floating"
import { closeLoop } from "./store"

interface Props {
  anchor: RefObject<HTMLElement | null>
  id: string
  loop: Loop
}

export default function LoopPanel({ anchor, id, loop }: Props) {
  const t = useT()
  const own = useId()
  const fits = useFitting(id)
  const { carry = {}, until = "", most } = loop
  const change = (part: Loop) => edit((doc) => setLoop(doc, id, { ...doc.nodes?.[id]?.loop, ...part }))
  const next = (port: string, output: string) => {
    const { [port]: _, ...others } = carry
    change({ carry: output ? { ...others, [port]: output } : others })
  }
  const ports = [...new Set([...Object.keys(fits?.carry ?? {}), ...Object.keys(carry)])]
  const ends = [...new Set([...(fits?.until ?? []), ...(until ? [until] : [])])]
  return (
    <Floating anchor={anchor} label={t("loop")} className="loop-panel" onClose={closeLoop}>
      <form onSubmit={(event) => (event.preventDefault(), closeLoop())}>
        <fieldset>
          <legend>{t("loopCarry")}</legend>
          {fits && !ports.length && <p className="faint">{t("loopNothing")}</p>}
          {ports.map((port) => (
            <label key={port}>
              <span>{t("loopNext", { port })}</span>
              <select className="control" value={carry[port] ?? ""} onChange={({ target }) => next(port, target.value)}>
                <option value="">{t("loopSame")}</option>
                {[...new Set([...(fits?.carry[port] ?? []), ...(carry[port] ? [carry[port]] : [])])].map((output) => <option key={output}>{output}</option>)}
              </select>
            </label>
          ))}
        </fieldset>
        <label htmlFor={`${own}u`}>
          <span>{t("loopUntil")}</span>
          <select id={`${own}u`} className="control" value={until} onChange={({ target }) => change({ until: target.value })}>
            <option value="">{t("loopNever")}</option>
            {ends.map((output) => <option key={output}>{output}</option>)}
          </select>
        </label>
        <label htmlFor={`${own}m`}>
          <span>{t("loopMost")}</span>
          <input
            id={`${own}m`} type="number" className="control" min={1} step={1} value={most ?? ""}
            onChange={({ target }) => amend(`${id}.loop`, (doc) => setLoop(doc, id, { ...doc.nodes?.[id]?.loop, most: target.value ? Math.max(1, Math.round(Number(target.value))) : undefined }))}
          />
        </label>
        <footer>
          <button type="button" className="button" onClick={() => (closeLoop(), edit((doc) => setLoop(doc, id, null)))}>{t("loopStop")}</button>
          <button type="submit" className="button primary">{t("done")}</button>
        </footer>
      </form>
    </Floating>
  )
}

/** What may be carried and what may end it; null until Python has said. */
function useFitting(id: string): Loops | null {
  const op = useDocument(({ doc }) => doc.nodes?.[id]?.op)
  const [found, setFound] = useState<Loops | null>(null)
  useEffect(() => {
    const asking = new AbortController()
    api.loops({ ...askedHere(), node: id }, asking.signal).then(setFound, () => {})
    return () => asking.abort()
  }, [id, op])
  return found
}

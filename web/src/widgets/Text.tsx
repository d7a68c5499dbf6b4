// Texts: a line, room to write, a list of lines; each with a large page to write on where a card is too small.
import { useEffect, useRef, useState } from "react"
import { useT } from "../app/i18n"
import type { Json } from "../api/types"
import { Floating } from "./Floating"
import { isOptional, type WidgetProps } from "./kind"
import { itemsOf, written } from "./lines"

export function Line({ id, label, port, shown, isDefault, change }: WidgetProps) {
  const t = useT()
  const empty = isOptional(port.type) || port.default !== undefined ? undefined : ""
  return (
    <input
      id={id} type="text" className={`control${isDefault ? " default" : ""}`} aria-label={label} autoComplete="off" spellCheck={false}
      placeholder={shown === null || shown === undefined ? t("auto") : ""} value={typeof shown === "string" || typeof shown === "number" ? shown : ""}
      onChange={({ target }) => change(target.value || empty, true)}
    />
  )
}

interface Large extends WidgetProps {
  large: boolean // whether the page to write on is open
  onLarge(open: boolean): void
}

export function Text(props: Large) {
  const { shown, port, change } = props
  const empty = port.default === null ? undefined : ""
  return <Area {...props} text={typeof shown === "string" ? shown : ""} onText={(text) => change(text === "" ? empty : text, true)} />
}

/** One item a line. What is written stays as it is while it is written, though an item it begins is none yet. */
export function Lines(props: Large) {
  const t = useT()
  const { shown, port, change } = props
  const told = written(shown)
  const [draft, setDraft] = useState(told)
  const sent = useRef(told)
  useEffect(() => {
    if (told !== sent.current) setDraft(told)
    sent.current = told
  }, [told])
  const onText = (text: string) => {
    setDraft(text)
    const items = itemsOf(text)
    sent.current = written(items)
    change(items.length ? items : port.default === undefined ? ([] as Json) : undefined, true)
  }
  return <Area {...props} text={draft} onText={onText} hint={t("oneALine")} />
}

interface AreaProps extends Large {
  text: string
  hint?: string
  onText(text: string): void
}

function Area({ id, label, shown, isDefault, text, hint, onText, large, onLarge }: AreaProps) {
  const t = useT()
  const area = useRef<HTMLTextAreaElement>(null)
  const common = { "aria-label": label, value: text, spellCheck: false }
  return (
    <>
      <textarea
        {...common} ref={area} id={id} className={`control area${isDefault ? " default" : ""}`} placeholder={shown === null || shown === undefined ? t("auto") : (hint ?? "")}
        onChange={({ target }) => onText(target.value)}
      />
      {large && (
        <Floating anchor={area} label={label} className="page" over onClose={() => onLarge(false)}>
          <header><span>{label}</span><span className="count">{hint ?? t("letters", { n: [...text].length })}</span></header>
          <textarea {...common} autoFocus onFocus={({ target }) => target.setSelectionRange(text.length, text.length)} onChange={({ target }) => onText(target.value)} />
        </Floating>
      )}
    </>
  )
}

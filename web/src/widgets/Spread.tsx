// Several values in words, as a command line has them: 0..7, or 0..1..0.25, or 3,5,7. What they stand for, Python says.
import { useEffect, useRef, useState } from "react"
import { type ApiError, api } from "../api/client"
import { useT } from "../app/i18n"
import type { Json } from "../api/types"
import type { WidgetProps } from "./kind"
import { areTexts, inRow, inRows } from "./lines"
import { useUnsaid } from "./unsaid"

const QUIET = 120 // ms without a key before it is asked

interface Props extends WidgetProps {
  lists?: boolean // each value is a list, and has a line of its own
  roomy?: boolean // more than a line to write in
}

export function Spread({ id, label, port, shown, isDefault, change, lists = false, roomy = lists }: Props) {
  const t = useT()
  const inWords = lists ? inRows : inRow
  const told = inWords(Array.isArray(shown) ? shown : [])
  const [draft, setDraft] = useState(told)
  const [fault, setFault] = useState("")
  const sent = useRef(told)
  const last = useRef(draft) // what is written, asked about or not
  useEffect(() => {
    if (told !== sent.current) setDraft((last.current = told))
    sent.current = told
  }, [told])
  const ask = async (): Promise<boolean> => {
    const text = last.current
    const found = await api.axis(text, label, lists, areTexts(port.type)).catch((error: ApiError) => ({ values: [], problem: error.message }))
    if (text !== last.current) return true // more was written meanwhile, and is asked about in turn
    setFault(found.problem)
    if (found.problem) return false
    const values: Json[] = lists && !found.values.length ? [[]] : found.values
    sent.current = inWords(values)
    change(values, true)
    return true
  }
  const soon = useUnsaid(ask, QUIET)
  const write = (text: string) => {
    setDraft((last.current = text))
    soon()
  }
  const count = Array.isArray(shown) ? shown.length : 0
  const common = {
    id, "aria-label": label, "aria-invalid": fault !== "", autoComplete: "off", spellCheck: false, placeholder: t(lists ? "listsInWords" : "valuesInWords"), value: draft,
    onChange: ({ target }: { target: { value: string } }) => write(target.value),
  }
  return (
    <>
      <span className={`control spread${roomy ? " roomy" : ""}${isDefault ? " default" : ""}`}>
        {roomy ? <textarea {...common} wrap={lists ? "off" : "soft"} /> : <input type="text" {...common} />}
        <small title={t(lists ? "lists" : "items", { n: count })}>×{count}</small>
      </span>
      {fault && <span className="fault" role="alert">{fault}</span>}
    </>
  )
}

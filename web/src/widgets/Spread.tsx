// Several values in one line, as a command line has them: 0..7, or 0..1..0.25, or 3,5,7. What they stand for, Python says.
import { useEffect, useRef, useState } from "react"
import { type ApiError, api } from "../api/client"
import { useT } from "../app/i18n"
import type { Json } from "../api/types"
import type { WidgetProps } from "./kind"
import { useUnsaid } from "./unsaid"

const QUIET = 120 // ms without a key before it is asked

const inWords = (values: Json[]): string => values.map((one) => (typeof one === "string" ? one : JSON.stringify(one))).join(", ")

export function Spread({ id, label, shown, isDefault, change }: WidgetProps) {
  const t = useT()
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
    const found = await api.axis(text, label).catch((error: ApiError) => ({ values: [], problem: error.message }))
    if (text !== last.current) return true // more was written meanwhile, and is asked about in turn
    setFault(found.problem)
    if (found.problem) return false
    sent.current = inWords(found.values)
    change(found.values, true)
    return true
  }
  const soon = useUnsaid(ask, QUIET)
  const write = (text: string) => {
    setDraft((last.current = text))
    soon()
  }
  const count = Array.isArray(shown) ? shown.length : 0
  return (
    <>
      <span className={`control spread${isDefault ? " default" : ""}`}>
        <input id={id} type="text" aria-label={label} aria-invalid={fault !== ""} autoComplete="off" spellCheck={false} placeholder={t("valuesInWords")} value={draft} onChange={({ target }) => write(target.value)} />
        <small title={t("items", { n: count })}>×{count}</small>
      </span>
      {fault && <span className="fault" role="alert">{fault}</span>}
    </>
  )
}

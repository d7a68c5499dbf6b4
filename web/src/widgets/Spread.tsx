// Several values in one line, as a command line has them: 0..7, or 0..1..0.25, or 3,5,7. What they stand for, Python says.
import { useEffect, useRef, useState } from "react"
import { ApiError, api } from "../api/client"
import { useT } from "../app/i18n"
import type { Json } from "../api/types"
import type { WidgetProps } from "./kind"

const QUIET = 120 // ms without a key before it is asked

const inWords = (values: Json[]): string => values.map((one) => (typeof one === "string" ? one : JSON.stringify(one))).join(", ")

export function Spread({ id, label, shown, isDefault, change }: WidgetProps) {
  const t = useT()
  const told = inWords(Array.isArray(shown) ? shown : [])
  const [draft, setDraft] = useState(told)
  const [fault, setFault] = useState("")
  const sent = useRef(told)
  const asked = useRef(0)
  useEffect(() => {
    if (told !== sent.current) setDraft(told)
    sent.current = told
  }, [told])
  useEffect(() => () => window.clearTimeout(asked.current), [])
  const write = (text: string) => {
    setDraft(text)
    window.clearTimeout(asked.current)
    asked.current = window.setTimeout(async () => {
      const mine = asked.current
      try {
        const { values } = await api.axis(text, label)
        if (asked.current !== mine) return
        setFault("")
        sent.current = inWords(values as Json[])
        change(values as Json[], true)
      } catch (error) {
        if (asked.current === mine) setFault(error instanceof ApiError ? [error.message, error.fix].filter(Boolean).join(". ") : String(error))
      }
    }, QUIET)
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

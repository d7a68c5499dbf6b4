// Short messages at the foot of the page. They go by themselves, but for those that say what went wrong, and wait while they are looked at.
import { CircleAlert, Info, X } from "lucide-react"
import { useEffect, useState } from "react"
import { create } from "zustand"
import { ApiError } from "../api/client"
import { useT } from "./i18n"

export interface Toast {
  id: number
  text: string
  detail?: string
  bad?: boolean
  action?: { text: string; run(): void }
}

const SHOWN = 6_000 // ms
const OFFERED = 20_000 // ms, of one that offers something to do
const MOST = 4
let last = 0

export const useToasts = create<{ toasts: readonly Toast[] }>()(() => ({ toasts: [] }))

/** Say something; what comes back takes it away. The same text twice is one message. */
export function tell(text: string, more: Omit<Toast, "id" | "text"> = {}): () => void {
  const id = ++last
  useToasts.setState(({ toasts }) => ({ toasts: [...toasts.filter((one) => one.text !== text), { id, text, ...more }].slice(-MOST) }))
  return () => dismiss(id)
}

/** Say what went wrong, and what to do. */
export function tellError(error: unknown): void {
  if (error instanceof ApiError) tell(sentence(error.message), { detail: error.fix, bad: true })
  else tell(String(error), { bad: true })
}

/** A message of the server, which begins small, as a sentence. */
export const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

const dismiss = (id: number): void => useToasts.setState(({ toasts }) => ({ toasts: toasts.filter((one) => one.id !== id) }))

export function Toasts() {
  const toasts = useToasts(({ toasts }) => toasts)
  return <div className="toasts" role="region" aria-live="polite">{toasts.map((toast) => <One key={toast.id} toast={toast} />)}</div>
}

function One({ toast: { id, text, detail, bad, action } }: { toast: Toast }) {
  const t = useT()
  const [looked, setLooked] = useState(false)
  const offers = action !== undefined
  useEffect(() => {
    if (bad || looked) return
    const timer = window.setTimeout(() => dismiss(id), offers ? OFFERED : SHOWN)
    return () => window.clearTimeout(timer)
  }, [id, bad, looked, offers])
  return (
    <div
      className={`toast${bad ? " bad" : ""}`} role={bad ? "alert" : "status"} onPointerEnter={() => setLooked(true)} onPointerLeave={() => setLooked(false)}
      onFocus={() => setLooked(true)} onBlur={() => setLooked(false)}
    >
      {bad ? <CircleAlert size={15} /> : <Info size={15} />}
      <p>{text}{detail && <small>{detail}</small>}</p>
      {action && <button type="button" className="button" onClick={() => (action.run(), dismiss(id))}>{action.text}</button>}
      <button type="button" className="bare icon" aria-label={t("close")} onClick={() => dismiss(id)}><X size={14} /></button>
    </div>
  )
}

// Says to screen readers what happens on the surface; people who see have the same words in a corner for a moment.
import { useEffect } from "react"
import { create } from "zustand"

const useSaid = create<{ text: string; at: number }>()(() => ({ text: "", at: 0 }))
export const announce = (text: string): void => useSaid.setState({ text, at: performance.now() })

const LONG = 4_000 // ms

export function Announcer() {
  const { text, at } = useSaid()
  useEffect(() => {
    if (!text) return
    const timer = window.setTimeout(() => useSaid.setState({ text: "" }), LONG)
    return () => window.clearTimeout(timer)
  }, [text, at])
  return <div className={`announcer${text ? " said" : ""}`} role="status" aria-live="polite">{text}</div>
}

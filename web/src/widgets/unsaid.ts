// What is written in a widget and not yet in the document, as it waits for an answer: a run waits for it, and so does leaving the page.
import { useEffect, useRef } from "react"

const waiting = new Map<object, () => Promise<boolean>>()

// It would be lost with the page: the browser asks first.
window.addEventListener("beforeunload", (event) => waiting.size > 0 && event.preventDefault())

/** Bring everything that is written into the document, now; whether all of it could be. */
export async function saidAll(): Promise<boolean> {
  return (await Promise.all([...waiting.values()].map((say) => say()))).every(Boolean)
}

/** The function that comes back has `say` called after a pause, or as soon as a run wants it. What could not be said waits until it is written otherwise. */
export function useUnsaid(say: () => Promise<boolean>, pause: number): () => void {
  const now = useRef(say)
  now.current = say
  const me = useRef({})
  const timer = useRef(0)
  useEffect(() => () => {
    window.clearTimeout(timer.current)
    waiting.delete(me.current)
  }, [])
  return () => {
    const one = async (): Promise<boolean> => {
      window.clearTimeout(timer.current)
      const said = await now.current()
      if (said && waiting.get(me.current) === one) waiting.delete(me.current)
      return said
    }
    waiting.set(me.current, one)
    window.clearTimeout(timer.current)
    timer.current = window.setTimeout(() => void one(), pause)
  }
}

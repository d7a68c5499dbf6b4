// A list that goes on: pages of it are asked for as one comes to its end, and its beginning again when a run has ended.
import { useCallback, useEffect, useRef, useState } from "react"
import { useRuns } from "../run/store"

interface Numbered {
  number: number
}

/** ask: a page of what has a smaller number than `before`; another function is another list. */
export function usePages<T extends Numbered>(ask: (before?: number) => Promise<T[]>): { items: T[]; more: boolean; next: () => void; again: () => void } {
  const [items, setItems] = useState<T[]>([])
  const [more, setMore] = useState(true)
  const busy = useRef(false)
  const finished = useRuns(({ finished }) => finished)
  const [round, setRound] = useState(0)
  const list = useRef(ask)
  useEffect(() => {
    let gone = false
    ask().then(
      (found) => {
        if (gone) return
        const same = list.current === ask
        list.current = ask
        setItems((before) => (same ? joined(found, before) : found))
        if (!same || !found.length) setMore(found.length > 0)
      },
      () => {},
    )
    return () => void (gone = true)
  }, [ask, finished, round])
  const next = useCallback(() => {
    const last = items.at(-1)
    if (busy.current || !last) return
    busy.current = true
    ask(last.number)
      .then((found) => {
        setItems((before) => [...before, ...found.filter(({ number }) => number < (before.at(-1)?.number ?? Infinity))])
        setMore(found.length > 0)
      }, () => setMore(false))
      .finally(() => (busy.current = false))
  }, [ask, items])
  return { items, more, next, again: useCallback(() => setRound((now) => now + 1), []) }
}

/** The first page anew, then what was known of what comes after it. */
export function joined<T extends Numbered>(first: T[], before: T[]): T[] {
  const last = first.at(-1)?.number
  return last === undefined ? [] : [...first, ...before.filter(({ number }) => number < last)]
}

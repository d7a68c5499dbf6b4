// What the server shows of values, each asked for once: a value never changes under its key.
import { useCallback, useEffect, useState } from "react"
import { api } from "../api/client"
import type { ShownValue } from "../api/types"

const KEPT = 200
const known = new Map<string, Promise<ShownValue>>()

function ask(key: string, item: number): Promise<ShownValue> {
  const name = `${key}.${item}`
  const found = known.get(name) ?? api.shown(key, item)
  found.catch(() => known.delete(name))
  known.delete(name)
  known.set(name, found) // the latest last, so that the oldest goes first
  if (known.size > KEPT) known.delete(known.keys().next().value!)
  return found
}

/** The value, once it is here, and the function that asks for another slice of it. */
export function useShown(key: string): { value: ShownValue | null; slice: (item: number) => void } {
  const [value, setValue] = useState<ShownValue | null>(null)
  const [item, setItem] = useState(0)
  useEffect(() => setItem(0), [key])
  useEffect(() => {
    let gone = false
    ask(key, item).then((found) => !gone && setValue(found), () => {})
    return () => void (gone = true)
  }, [key, item])
  return { value, slice: useCallback((next: number) => setItem(next), []) }
}

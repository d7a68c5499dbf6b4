// Parts of the page that come when they are first drawn, or when nothing else is to do; also from a server that is away at that moment.
import { type ComponentType, type LazyExoticComponent, lazy } from "react"

const FIRST_WAIT = 250 // ms before the next try; doubled each time
const LONGEST_WAIT = 8_000
const MOST = 4 // tries while the server answers: then it is another version of itself, and has no such part

type Any = ComponentType<any>
type Part<C extends Any> = () => Promise<{ default: C }>

const parts: Part<Any>[] = []

/** React's lazy, for a part that may fail to come. Where it never does, the nearest boundary says so. */
export function lazily<C extends Any>(part: Part<C>): LazyExoticComponent<C> {
  parts.push(part)
  return lazy(() => fetched(part))
}

/** Have all parts at hand before they are needed: the server may be away by then. Those that do not come are asked for again when they are drawn. */
export function fetchParts(): void {
  const idle = window.requestIdleCallback ?? ((work: () => void) => window.setTimeout(work, 1_000)) // Safari has none
  idle(async () => {
    for (const part of parts) await part().catch(() => {})
  })
}

export async function fetched<T>(part: () => Promise<T>): Promise<T> {
  let wait = FIRST_WAIT
  for (let answered = 0; ; wait = Math.min(2 * wait, LONGEST_WAIT)) {
    try {
      return await part()
    } catch (error) {
      if (await answers()) answered += 1
      if (answered === MOST) throw error
      await new Promise((resolve) => window.setTimeout(resolve, wait))
    }
  }
}

const answers = (): Promise<boolean> => fetch(location.pathname, { cache: "no-store" }).then(() => true, () => false)

// What Python says of the document: problems, types on wires, what a run would do. Asked anew after every edit; the last answer stays until the next.
import { create } from "zustand"
import { ApiError, api } from "../api/client"
import type { Check, Edge, Plan, Problem } from "../api/types"
import { know } from "../app/catalogue"
import { asked as request } from "../document/asked"
import { useDocument } from "../document/store"
import { useRuns } from "../run/store"

interface TypingState {
  check: Check | null
  plan: Plan | null
  problems: Problem[] // of the document as it is, whether it can be read or not
  edges: Record<string, Edge> // by "node.port>node.port"
  asking: boolean
}

export const useTyping = create<TypingState>()(() => ({ check: null, plan: null, problems: [], edges: {}, asking: false }))

const QUIET = 120 // ms without an edit before it is asked
let timer = 0
let asked: AbortController | null = null

function wired(edges: Edge[]): Record<string, Edge> {
  return Object.fromEntries(edges.map((edge) => [`${edge.from}>${edge.to.startsWith("output.") ? `:outputs.${edge.to.slice(7)}` : edge.to}`, edge]))
}

async function ask(): Promise<void> {
  asked?.abort()
  const about = request()
  const { doc } = useDocument.getState()
  const { signal } = (asked = new AbortController())
  useTyping.setState({ asking: true })
  try {
    const check = await api.check(about, signal)
    know(check.types)
    useTyping.setState({ check, problems: check.problems, edges: wired(check.edges) })
    if (check.problems.some(({ level }) => level === "error") || !Object.keys(doc.outputs ?? {}).length) useTyping.setState({ plan: null })
    else {
      const plan = await api.plan(about, signal)
      useTyping.setState({ plan, problems: [...check.problems, ...plan.problems] })
    }
  } catch (error) {
    if (signal.aborted) return
    if (error instanceof ApiError && !error.offline) {
      const whole: Problem = { code: error.code, message: error.message, fix: error.fix, node: "", port: "", got: "", expected: "", level: "error" }
      useTyping.setState({ problems: error.problems.length ? error.problems : [whole], plan: null })
    }
  } finally {
    if (!signal.aborted) useTyping.setState({ asking: false })
  }
}

/** Ask after the next pause. */
export function askSoon(): void {
  window.clearTimeout(timer)
  timer = window.setTimeout(ask, QUIET)
}

/** Follow the document. Of its layout only the pictures that are given change what Python would say. */
export function followDocument(): () => void {
  const stop = useDocument.subscribe((now, before) => {
    const { layout: a, ...one } = now.doc
    const { layout: b, ...other } = before.doc
    const keys = Object.keys({ ...one, ...other })
    if (now.name !== before.name || a?.given !== b?.given || keys.some((key) => one[key] !== other[key])) askSoon()
  })
  const stopRuns = useRuns.subscribe((now, before) => {
    if (now.finished !== before.finished) askSoon() // what is cached has changed
  })
  askSoon()
  return () => {
    stop()
    stopRuns()
  }
}

// What Python says of the document: problems, types on wires, what a run would do. Asked anew after every edit; the last answer stays until the next.
import { create } from "zustand"
import { ApiError, api } from "../api/client"
import type { Check, Edge, Plan, Problem } from "../api/types"
import { know, useCatalogue } from "../app/catalogue"
import { askedHere, askedToSweep } from "../document/asked"
import { type Way, placed } from "../document/graphs"
import { told, toldAll, toldOf } from "../document/lifted"
import type { Doc } from "../document/model"
import { useDocument } from "../document/store"
import { useRuns } from "../run/store"
import { foreseen } from "./foreseen"

interface TypingState {
  check: Check | null // of the graph that is shown
  plan: Plan | null
  problems: Problem[] // of the whole document as it is, whether it can be read or not
  here: Problem[] // those of them that are in the graph that is shown, at its own nodes
  edges: Record<string, Edge> // by "node.port>node.port"
  asking: boolean
}

export const useTyping = create<TypingState>()(() => ({ check: null, plan: null, problems: [], here: [], edges: {}, asking: false }))

const QUIET = 120 // ms without an edit before it is asked
let timer = 0
let asked: AbortController | null = null

function wired(edges: Edge[]): Record<string, Edge> {
  return Object.fromEntries(edges.map((edge) => [`${edge.from}>${edge.to.startsWith("output.") ? `:outputs.${edge.to.slice(7)}` : edge.to}`, edge]))
}

async function ask(): Promise<void> {
  asked?.abort()
  const about = askedToSweep()
  const { root, way, doc } = useDocument.getState()
  const { signal } = (asked = new AbortController())
  useTyping.setState({ asking: true })
  try {
    const [whole, inside] = await Promise.all([
      api.check(about, signal).then((one) => toldAll(root, one)), way.length ? api.check(askedHere(), signal).then((one) => toldAll(doc, one)) : null,
    ])
    const check = { ...whole, ...inside }
    know(check.types)
    useTyping.setState({ check, edges: wired(check.edges) })
    const problems = inside ? whole.problems.map((one) => withCure(one, inside.problems, way)) : whole.problems
    tell(problems)
    if (problems.some(({ level }) => level === "error") || !Object.keys(root.outputs ?? {}).length) useTyping.setState({ plan: null })
    else {
      const plan = await api.plan(about, signal)
      useTyping.setState({ plan })
      tell([...problems, ...plan.problems.map((one) => told(root, one))])
    }
  } catch (error) {
    if (signal.aborted) return
    if (error instanceof ApiError && !error.offline) {
      useTyping.setState({ plan: null })
      tell(toldOf(root, error))
    }
  } finally {
    if (!signal.aborted) useTyping.setState({ asking: false })
  }
}

const tell = (problems: Problem[]): void => useTyping.setState({ problems, here: within(problems, useDocument.getState().way) })

/** A problem in the graph that is shown has the repairs that Python offers for that graph by itself. */
function withCure(problem: Problem, here: Problem[], way: Way): Problem {
  const [local] = within([problem], way)
  const cure = here.find(({ code, node, port }) => code === problem.code && node === local?.node && !local.inside && port === problem.port)
  return cure?.repairs ? { ...problem, repairs: cure.repairs } : problem
}

/** The problems in the graph at the end of a way, told at its own nodes. */
export function within(problems: Problem[], way: Way): Problem[] {
  if (!way.length) return problems
  const around = placed(way, "")
  return problems.flatMap((one) => {
    const whole = placed([one.node], one.inside ?? "")
    if (!whole.startsWith(around)) return []
    const [node = "", ...deeper] = whole.slice(around.length).split("/")
    return [{ ...one, node, inside: deeper.join("/") }]
  })
}

/** Ask after the next pause. */
export function askSoon(): void {
  window.clearTimeout(timer)
  timer = window.setTimeout(ask, QUIET)
}

function saysTheSame(now: Doc, before: Doc): boolean {
  if (now === before) return true
  const { layout: a, graphs = {}, ...one } = now
  const { layout: b, graphs: others = {}, ...other } = before
  return (
    a?.given === b?.given && a?.sweep === b?.sweep && Object.keys({ ...one, ...other }).every((key) => one[key] === other[key]) &&
    Object.keys({ ...graphs, ...others }).every((name) => name in graphs && name in others && saysTheSame(graphs[name]!, others[name]!))
  )
}

/** Cards and wires do not wait for Python. */
const foresee = (doc: Doc): void => know(foreseen(doc, useCatalogue.getState().nodes ?? {}))

/** Follow the document. Of its layout only the pictures that are given and the values to be tried change what Python would say. */
export function followDocument(): () => void {
  const stop = useDocument.subscribe((now, before) => {
    if (now.doc.graphs !== before.doc.graphs) foresee(now.doc)
    if (now.way !== before.way) {
      useTyping.setState({ check: null, edges: {} })
      tell(useTyping.getState().problems.map((one) => (one.inside ? { ...one, repairs: undefined } : one))) // they are edits of the graph that was shown
    }
    if (now.name !== before.name || now.way !== before.way || !saysTheSame(now.root, before.root)) askSoon()
  })
  const stopRuns = useRuns.subscribe((now, before) => {
    if (now.finished !== before.finished) askSoon() // what is cached has changed
  })
  foresee(useDocument.getState().doc)
  askSoon()
  return () => {
    stop()
    stopRuns()
  }
}

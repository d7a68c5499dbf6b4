// What the frames of a run change in what is shown of it: pure, so that it can be tested without a server.
import type { Frame, NodeError, Progress, Run, RunError, RunOutput, State } from "../api/types"

export type NodeState = "running" | "done" | "cached" | "failed"

export interface Current {
  id: string
  state: State
  total: number
  done: number
  error: RunError | null
  seconds: number | null
  started: number // ms since the page was loaded: how long it has been going on
}

/** The run of the open graph that is shown on its nodes. */
export interface Followed {
  current: Current | null
  nodes: Record<string, NodeState>
  progress: Record<string, Progress>
  round: Record<string, Progress> // of a frame: how far its present round is, while `progress` counts its rounds
  took: Record<string, number> // seconds
  texts: Record<string, string> // written so far
  why: Record<string, string> // nodes failed
  results: Record<string, Result> // by output, or by edge "node.output": the last of each, whichever run gave it
}

export interface Result {
  run: string
  output: RunOutput
}

export const NOTHING: Followed = { current: null, nodes: {}, progress: {}, round: {}, took: {}, texts: {}, why: {}, results: {} }

const ENDED: ReadonlySet<string> = new Set<State>(["done", "failed", "interrupted", "cancelled"])
export const hasEnded = (state: string | undefined): boolean => state !== undefined && ENDED.has(state)
export const isActive = (current: Current | null): boolean => current !== null && !hasEnded(current.state)

/** A node as cards show it, and those that it lies in, outwards: of "piece/frame[3]/node" these are "piece/frame/node", "piece/frame" and "piece". */
export function holders(node: string): string[] {
  const parts = node.replace(/\[[^\]]*\]/g, "").split("/")
  return parts.map((_, i) => parts.slice(0, parts.length - i).join("/"))
}

/** Those of them that are frames, and this is of one of their rounds. */
function framesAround(node: string): string[] {
  const parts = node.split("/")
  return parts.flatMap((part, i) => (part.includes("[") ? holders(parts.slice(0, i + 1).join("/"))[0]! : []))
}

const onAll = <T>(before: Record<string, T>, nodes: string[], one: T): Record<string, T> => ({ ...before, ...Object.fromEntries(nodes.map((node) => [node, one])) })

/** Begin to follow a run. What the one before gave stays in view until it is given anew. */
export function followed(before: Followed, run: Pick<Run, "id" | "state" | "error" | "seconds">, now: number): Followed {
  const { id, state, error, seconds } = run
  return { ...NOTHING, results: before.results, current: { id, state, error, seconds, total: 0, done: 0, started: now } }
}

/** After a frame; the same object if it changes nothing. Previews are kept elsewhere, as they must be let go of. */
export function heard(before: Followed, frame: Frame): Followed {
  const { current } = before
  if (!current || frame.id !== current.id) return before
  const seen = holders(frame.node ?? "")
  if (hasEnded(current.state) && frame.type !== "run" && frame.type !== "nodes") return before // what a node still said before it noticed
  switch (frame.type) {
    case "run":
      return frame.state && frame.state !== "deleted" ? turned(before, current, frame, frame.state) : before
    case "planned":
      return { ...before, current: { ...current, total: current.total + (frame.total ?? 0) } }
    case "nodes":
      return arrived(before, current, frame)
    case "running":
      return { ...before, nodes: onAll(before.nodes, seen, "running") }
    case "progress":
      return {
        ...before, nodes: seen.every((node) => before.nodes[node] === "running") ? before.nodes : onAll(before.nodes, seen, "running"),
        ...stepped(before, frame.node ?? "", { step: frame.step ?? 0, steps: frame.steps ?? 0, eta: frame.eta ?? null }),
      }
    case "broken":
      return failed(before, onAll({}, seen, frame.text ?? ""))
    case "text":
      return { ...before, texts: onAll(before.texts, seen, (before.texts[seen[0]!] ?? "").slice(0, frame.at) + (frame.text ?? "")) }
    default:
      return before
  }
}

/** How far a node is, and what it lies in; a frame counts its rounds, and beside that what a round is at. */
function stepped({ progress, round }: Pick<Followed, "progress" | "round">, node: string, now: Progress): Pick<Followed, "progress" | "round"> {
  const around = new Set(framesAround(node))
  const { [holders(node)[0]!]: _, ...others } = round // a frame's next round
  return { progress: onAll(progress, holders(node).filter((one) => !around.has(one)), now), round: onAll(others, [...around], now) }
}

/** Nodes have their values: computed, or from the cache. */
function arrived(before: Followed, current: Current, frame: Frame): Followed {
  const cached = new Set(Array.isArray(frame.cached) ? frame.cached : [])
  const names = frame.names ?? []
  const nodes = { ...before.nodes }
  const progress = { ...before.progress }
  const round = { ...before.round }
  const took = { ...before.took }
  for (const name of names)
    for (const node of holders(name)) {
      nodes[node] = cached.has(name) && nodes[node] !== "done" ? "cached" : "done" // a piece was computed if anything in it was
      delete progress[node]
      delete round[node]
    }
  for (const [name, seconds] of Object.entries(frame.took ?? {}))
    for (const node of holders(name)) took[node] = node === name ? seconds : (took[node] ?? 0) + seconds
  return { ...before, nodes, progress, round, took, current: { ...current, done: current.done + names.length } }
}

/** Nodes failed; what does not need them goes on. */
function failed(before: Followed, why: Record<string, string>): Followed {
  const names = Object.keys(why)
  const progress = Object.fromEntries(Object.entries(before.progress).filter(([node]) => !names.includes(node)))
  return { ...before, nodes: { ...before.nodes, ...Object.fromEntries(names.map((node) => [node, "failed"] as const)) }, progress, why: { ...before.why, ...why } }
}

/** The run waits again, has begun, or has ended. */
function turned(before: Followed, current: Current, frame: Frame, state: State): Followed {
  const now = { ...current, state, error: frame.error ?? null, seconds: frame.seconds ?? current.seconds }
  if (!hasEnded(state)) return state === "queued" ? { ...before, nodes: {}, progress: {}, round: {}, why: {}, current: { ...now, total: 0, done: 0 } } : { ...before, current: now }
  return ended(before, now, frame.outputs ?? {})
}

/** What was computed stays, what was under way is not any more, and the nodes that failed say so. */
export function ended(before: Followed, current: Current, outputs: Record<string, RunOutput>): Followed {
  const nodes = Object.fromEntries(Object.entries(before.nodes).filter(([, state]) => state !== "running"))
  const why = failures(current.error).flatMap(({ node, message }) => (node ? holders(node).map((one) => [one, message] as const) : []))
  const results = Object.entries(outputs).map(([name, output]) => [name, { run: current.id, output }] as const)
  const told = { ...before, current, nodes, progress: {}, round: {}, results: results.length ? { ...before.results, ...Object.fromEntries(results) } : before.results }
  return failed(told, Object.fromEntries(why.reverse()))
}

/** What a run failed of, first things first. */
export const failures = (error: RunError | null): NodeError[] => (error ? [error, ...(error.also ?? [])] : [])

/** Frames were missed: the run as the server tells it now. */
export function caughtUp(before: Followed, run: Run): Followed {
  const { current } = before
  if (!current || run.id !== current.id || (hasEnded(current.state) && !hasEnded(run.state))) return before // what was told is later than what was asked
  const now = { ...current, state: run.state, error: run.error, seconds: run.seconds }
  if (hasEnded(run.state)) return ended(before, now, run.outputs ?? {})
  const { live } = run
  if (!live) return { ...before, nodes: {}, progress: {}, round: {}, current: now }
  const seen = <T>(by: Record<string, T>): Record<string, T> => Object.entries(by).reduce((all, [node, one]) => onAll(all, holders(node), one), {})
  const { progress, round } = Object.entries(live.progress).reduce((all, [node, one]) => stepped(all, node, one), { progress: {}, round: {} })
  const going = Object.fromEntries(Object.keys(progress).map((node) => [node, "running"] as const))
  return failed({
    ...before, nodes: { ...before.nodes, ...going }, progress, round, texts: { ...before.texts, ...seen(live.texts) },
    current: { ...now, total: live.total, done: live.done, started: performance.now() - 1000 * live.seconds },
  }, seen(live.broken))
}

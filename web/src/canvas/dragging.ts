// While cards are dragged: a group takes along what lies in it, and a card that has no wires yet may be dropped on a wire that it fits into.
import type { Node } from "@xyflow/react"
import { api } from "../api/client"
import { nodeType } from "../app/catalogue"
import { say } from "../app/i18n"
import { askedHere, askedOf } from "../document/asked"
import { type Doc, type Link, OUTPUTS, type Point, connect, disconnect, links, place } from "../document/model"
import { currentDoc } from "../document/store"
import { announce } from "./Announcer"
import { inside } from "./arrange"
import { arrange, asPlaces, linkOf } from "./edits"
import { along } from "./routes"
import { type Rect, endOf, rectOf, useStage } from "./stage"

let lead: Node | null = null // the group that is dragged, as it was
let cargo = new Map<string, Point>() // what goes with it, where it was
let loose = false // whether the one card that is dragged has no wires

export function carry(_: Node | null, all: Node[]): void {
  const { nodes } = useStage.getState()
  const moving = new Set(all.map(({ id }) => id))
  const groups = all.filter(({ type }) => type === "groupBox")
  lead = groups[0] ?? null
  const frames = groups.map(rectOf)
  cargo = new Map(
    nodes.flatMap((node) => (!moving.has(node.id) && frames.some((frame) => inside(rectOf(node), frame)) ? [[node.id, [node.position.x, node.position.y]] as const] : [])),
  )
  const id = all.length === 1 && all[0]!.type === "op" ? all[0]!.id : ""
  loose = id !== "" && !links(currentDoc()).some(({ node, to }) => node === id || to === id)
}

export function hover(_: Node | null, all: Node[]): void {
  if (lead) {
    const now = all.find(({ id }) => id === lead!.id)
    if (now && cargo.size) shift(now.position.x - lead.position.x, now.position.y - lead.position.y)
  } else if (loose) {
    const over = wireUnder(rectOf(all[0]!))
    if (over !== useStage.getState().over) useStage.setState({ over })
  }
}

function shift(dx: number, dy: number): void {
  useStage.setState(({ nodes }) => ({
    nodes: nodes.map((node) => {
      const at = cargo.get(node.id)
      return at ? { ...node, position: { x: at[0] + dx, y: at[1] + dy } } : node
    }),
  }))
}

export async function drop(_: Node | null, all: Node[]): Promise<void> {
  const { nodes, edges, over } = useStage.getState()
  const places = asPlaces([...all, ...nodes.filter(({ id }) => cargo.has(id))])
  lead = null
  cargo = new Map()
  loose = false
  useStage.setState({ over: null })
  const wire = edges.find(({ id }) => id === over)
  const made = wire && (await insertedOn(linkOf(wire), all[0]!.id))
  arrange((doc) => place(made ? made(doc) : doc, places))
  if (wire && !made) announce(say("fitsNotOnWire", { name: all[0]!.id }))
}

/** How the node goes into the wire, if it fits there: Python is asked for the ports, and then whether the whole is well. */
async function insertedOn(link: Link, id: string): Promise<((doc: Doc) => Doc) | null> {
  const request = askedHere()
  const doc = currentDoc()
  const own = (found: { node: string; port: string; fits: boolean }[]) => found.flatMap(({ node, port, fits }) => (node === id && fits ? [port] : []))
  const [into, out] = await Promise.all([
    api.compatible({ ...request, node: link.node, port: link.port, side: "output" }),
    link.to === OUTPUTS ? null : api.compatible({ ...request, node: link.to, port: link.toPort, side: "input" }),
  ])
  const outputs = out ? own(out.ports) : Object.keys(nodeType(doc.nodes?.[id]?.op ?? "")?.outputs ?? {}) // an output of the graph takes any
  const errors = (found: { level: string }[]) => found.filter(({ level }) => level === "error").length
  const before = errors((await api.check(request)).problems)
  for (const port of own(into.ports).slice(0, 3))
    for (const output of outputs.slice(0, 3)) {
      const through = (doc: Doc) => connect(connect(link.to === OUTPUTS ? doc : disconnect(doc, link), `${link.node}.${link.port}`, id, port), `${id}.${output}`, link.to, link.toPort)
      const { problems } = await api.check(askedOf(through(doc)))
      if (errors(problems) <= before) return through
    }
  return null
}

/** The wire that runs through the upper part of a card, the nearest to its middle. */
function wireUnder(card: Rect): string | null {
  const { nodes, edges } = useStage.getState()
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const middle: Point = [card.x + card.width / 2, card.y + Math.min(card.height, 80) / 2]
  let best: [string | null, number] = [null, 60]
  for (const edge of edges) {
    const from = endOf(byId.get(edge.source), edge.sourceHandle, "source")
    const to = endOf(byId.get(edge.target), edge.targetHandle, "target")
    if (!from || !to || Math.max(from[0], to[0]) < card.x || Math.min(from[0], to[0]) > card.x + card.width) continue
    for (const [x, y] of along(from, to)) {
      const far = Math.hypot(x - middle[0], (y - middle[1]) * 1.5)
      if (far < best[1]) best = [edge.id, far]
    }
  }
  return best[0]
}

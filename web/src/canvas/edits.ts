// What is done to the selection, as steps of undo.
import type { Edge, Node } from "@xyflow/react"
import { nodeType } from "../app/catalogue"
import { say } from "../app/i18n"
import { REROUTE, bent, isBend, straightened } from "../document/bends"
import type { Size } from "../document/layout"
import { arranged } from "../document/layout"
import { type Doc, INPUTS, type Link, type Mode, OUTPUTS, type Point, addNode, disconnect, place, removeInput, removeNodes, removeOutput } from "../document/model"
import { switched } from "../document/modes"
import { duplicated, insert, piece } from "../document/pieces"
import { amend, currentDoc, edit } from "../document/store"
import { type Line, aligned, distributed, moved } from "./arrange"
import { addGroup, addNote, coloured, removeBoxes, toggled } from "./layout"
import { BEND } from "./shape"
import { bounds, fit, focusCard, middleOf, rects, select, selected, selectedLinks, selectedNodes, selectedPieces, useStage, whenDrawn } from "./stage"

/** The document with every card where it is seen: from the first edit of places on, none is arranged by itself any more. */
export function settled(doc: Doc): Doc {
  const given = doc.layout?.nodes ?? {}
  const seen = useStage.getState().nodes.filter(({ id, type }) => !given[id] && (id in (doc.nodes ?? {}) || type === "inputs" || type === "outputs"))
  return seen.length ? place(doc, Object.fromEntries(seen.map(({ id, position: { x, y } }) => [id, [Math.round(x), Math.round(y)] as Point]))) : doc
}

/** One step of undo that adds or moves cards. */
export const arrange = (change: (doc: Doc) => Doc): void => edit((doc) => change(settled(doc)))

/** One step that adds something, which is selected then. */
export function add(change: (doc: Doc) => [Doc, string | string[]]): string[] {
  let names: string[] = []
  arrange((doc) => {
    const [made, added] = change(doc)
    names = [added].flat()
    return made
  })
  select(names)
  return names
}

export const put = (places: Record<string, Point>): void => arrange((doc) => place(doc, places))

export const addOp = (op: string, at: Point): string[] => add((doc) => addNode(doc, op, nodeType(op)?.version ?? 1, at))

/** Without some cards and wires. A bend that goes joins its wires again. */
export function removed(doc: Doc, ids: string[], links: Link[]): Doc {
  const bends = new Set(ids.filter((id) => isBend(doc, id)))
  let made = links.filter(({ node, to }) => !bends.has(node) && !bends.has(to)).reduce(disconnect, straightened(doc, bends))
  const boxes = ids.filter((id) => /^(note|group):/.test(id))
  if (boxes.length) made = removeBoxes(made, boxes)
  const nodes = ids.filter((id) => !id.includes(":"))
  return nodes.length ? removeNodes(made, nodes) : made
}

export const removeSelected = (): void => arrange((doc) => removed(doc, selectedPieces(), selectedLinks()))
export const cut = (links: Link[]): void => edit((doc) => links.reduce(disconnect, doc))
export const duplicateSelected = (): void => void add((doc) => duplicated(doc, selectedPieces()))

/** The selection as the text that the clipboard holds; empty if nothing can be copied. */
export function copied(): string {
  const ids = selectedPieces()
  return ids.length ? JSON.stringify(piece(settled(currentDoc()), ids)) : ""
}

export const paste = (part: Doc, at: Point): void => void add((doc) => insert(doc, part, at))

/** A bend in these wires, its middle here; in the middle of them where no place is said. Of those that come from several outputs, one for each. */
export function bend(wires: readonly Link[], at?: Point): void {
  const from = [...new Set(wires.map(({ node, port }) => `${node}.${port}`))]
  const version = nodeType(REROUTE)?.version ?? 1
  const names = add((doc) =>
    from.reduce<[Doc, string[]]>(
      ([made, names], one) => {
        const led = wires.filter(({ node, port }) => `${node}.${port}` === one)
        const [x, y] = at ?? middleOf(led)
        const [next, name] = bent(made, led, version, [Math.round(x - BEND.width / 2), Math.round(y - BEND.height / 2)])
        return [next, [...names, name]]
      },
      [doc, []],
    ),
  )
  whenDrawn(names[0]!, () => requestAnimationFrame(() => focusCard(names[0]!))) // once it is in the page
}

export const alignSelected = (line: Line): void => put(aligned(rects(selected()), line))
export const distributeSelected = (axis: "x" | "y"): void => put(distributed(rects(selected()), axis))

/** A press of an arrow key; several in a row are one step. */
export const nudge = (by: Point): void => amend("nudge", (doc) => place(settled(doc), moved(rects(selected()), by)))

/** Arrange the selection where it is, or everything. */
export function arrangeAll(): void {
  const { nodes } = useStage.getState()
  const ids = selected().length > 1 ? selected().filter((id) => !/^(note|group):/.test(id)) : nodes.flatMap(({ id, type }) => (type === "op" || id === INPUTS || id === OUTPUTS ? [id] : []))
  const sizes: Record<string, Size> = rects(ids)
  const places = arranged(currentDoc(), sizes)
  const whole = ids.length === nodes.filter(({ type }) => type === "op").length + 2
  const before = bounds(Object.values(rects(ids)))
  put(whole ? places : moved(Object.fromEntries(ids.map((id) => [id, { ...sizes[id]!, x: places[id]![0], y: places[id]![1] }])), [before.x, before.y]))
  if (whole) requestAnimationFrame(() => fit())
}

const AROUND = 22
const GROUP_HEAD = 30

/** A group around the selection, or an empty one. */
export function groupSelected(at: Point): void {
  const around = Object.values(rects(selectedPieces()))
  const { x, y, width, height } = around.length ? bounds(around) : { x: at[0], y: at[1], width: 360, height: 220 }
  add((doc) => addGroup(doc, [x - AROUND, y - AROUND - GROUP_HEAD], [width + 2 * AROUND, height + 2 * AROUND + GROUP_HEAD], say("groupTitle")))
}

export const noteAt = (at: Point): string[] => add((doc) => addNote(doc, at))

export const colourSelected = (colour: string | null): void => edit((doc) => coloured(doc, selectedPieces(), colour))
export const toggleSelected = (what: "collapsed" | "open"): void =>
  arrange((doc) => selectedNodes().filter((id) => !isBend(doc, id)).reduce((made, id) => toggled(made, what, id), doc))

export const switchSelected = (mode: Mode): void => edit((doc) => switched(doc, selectedNodes(), mode))

export const linkOf = (edge: Edge): Link => edge.data?.link as Link
export const asPlaces = (nodes: Node[]): Record<string, Point> =>
  Object.fromEntries(nodes.map(({ id, position: { x, y } }) => [id, [Math.round(x), Math.round(y)] as Point]))

export const removePort = (card: string, port: string): void => edit((doc) => (card === INPUTS ? removeInput(doc, port) : removeOutput(doc, port)))

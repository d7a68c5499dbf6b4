// The commands of the surface: its menus and keys.
import { useEffect } from "react"
import { openPalette } from "../palette/store"
import { type Command, register } from "../keys/commands"
import { isBend } from "../document/bends"
import type { Link, Point } from "../document/model"
import { currentDoc, history, useDocument } from "../document/store"
import { copyNow, cutNow, pasteNow, spot } from "./clipboard"
import { placeAt, toggleEach } from "../rounds/toggle"
import { openLoop } from "../rounds/store"
import { alignSelected, arrangeAll, bend, distributeSelected, duplicateSelected, groupSelected, noteAt, nudge, removeSelected, switchSelected, toggleSelected } from "./edits"
import { openFind } from "./Find"
import { enterGraph, leaveGraph, makeGraph, selectedGraph, unpackGraph } from "./graphs"
import { letGo, useHeld } from "./held"
import { menuAtFocus } from "./Menu"
import { editNote } from "./NoteBox"
import { rename } from "./Rename"
import { WIDTH } from "./shape"
import { fit, focusCard, middle, motion, onSurface, reveal, select, selected, selectedLinks, selectedNodes, selectedPieces, useStage } from "./stage"
import { cutAt, focusedCard, focusedEnd, giveUp, join, linksOf, promoteAtFocus, settingAtFocus, takeUp, walk, wiring } from "./wiring"

/** Whether the keyboard is at the surface or in a menu of it, and not in a panel beside it. */
export const here = (): boolean => document.activeElement === document.body || (document.activeElement?.closest(".surface, .menu") ?? null) !== null
const onCard = (): boolean => document.activeElement?.classList.contains("react-flow__node") ?? false
const some = (): boolean => here() && selectedPieces().length > 0
const several = (): boolean => here() && selected().length > 1
const movable = (): boolean => here() && !wiring() && selected().length > 0
export const centre = () => onSurface(...middle())
/** Where a card of usual size begins that lies around this point. */
const forCard = ([x, y]: Point): Point => [x - WIDTH / 2, y - 60]

/** The card after this one in the order of the graph, or before it; none at the ends, where the keyboard leaves the surface. */
function neighbour(step: 1 | -1): string | undefined {
  const cards = useStage.getState().nodes.filter(({ type }) => type !== "groupBox").map(({ id }) => id)
  const at = focusedCard()
  return cards[at === null ? (step > 0 ? 0 : cards.length - 1) : cards.indexOf(at) + step]
}

/** The node whose loop is meant: the one that is selected, else the one that the keyboard is at. */
function loopPlace(): string | null {
  const [one, ...more] = selectedNodes()
  const at = one ?? focusedCard()
  return !more.length && at && currentDoc().nodes?.[at] && !isBend(currentDoc(), at) ? at : null
}

const eachPlace = () => placeAt(document.activeElement)

function enter(): void {
  const inner = document.activeElement?.querySelector<HTMLElement>(".socket, input, textarea, select, [contenteditable=true]")
  inner?.focus({ preventScroll: true })
}

function escape(): void {
  if (useHeld.getState().end) return wiring() ? giveUp() : letGo()
  const card = focusedCard()
  if (card && !onCard()) return focusCard(card)
  if (selected().length) return select([])
  if (document.activeElement instanceof HTMLElement) document.activeElement.blur()
}

/** The wires that a bend is to go into: those of the socket that has the keyboard, else the selected ones. */
function bendable(): Link[] {
  const end = focusedEnd()
  return end ? linksOf(end) : selectedLinks()
}

const zoom = (by: number) => void (by > 0 ? useStage.getState().flow?.zoomIn(motion()) : useStage.getState().flow?.zoomOut(motion()))

const nudges: Command[] = (
  [["ArrowLeft", -1, 0], ["ArrowRight", 1, 0], ["ArrowUp", 0, -1], ["ArrowDown", 0, 1]] as const
).flatMap(([key, x, y], i) => [
  { id: `canvas.nudge${i}`, words: "nudge" as const, section: "arrange" as const, keys: [key], hidden: i > 0, when: movable, run: () => nudge([10 * x, 10 * y]) },
  { id: `canvas.far${i}`, words: "nudgeFar" as const, section: "arrange" as const, keys: [`Shift+${key}`], hidden: i > 0, when: movable, run: () => nudge([50 * x, 50 * y]) },
  { id: `canvas.walk${i}`, words: "walkFits" as const, section: "wire" as const, keys: [key], hidden: true, when: wiring, run: () => walk(x + y > 0 ? 1 : -1) },
])

const COMMANDS: Command[] = [
  { id: "edit.undo", words: "undo", section: "edit", keys: ["Mod+Z"], run: () => history().undo() },
  { id: "edit.redo", words: "redo", section: "edit", keys: ["Mod+Shift+Z", "Mod+Y"], run: () => history().redo() },
  { id: "edit.copy", words: "copy", section: "edit", keys: ["Mod+C"], native: true, when: some, run: copyNow },
  { id: "edit.cut", words: "cut", section: "edit", keys: ["Mod+X"], native: true, when: some, run: cutNow },
  { id: "edit.paste", words: "paste", section: "edit", keys: ["Mod+V"], native: true, run: () => void pasteNow(spot()) },
  { id: "edit.duplicate", words: "duplicate", section: "edit", keys: ["Mod+D"], when: some, run: duplicateSelected },
  { id: "edit.delete", words: "delete", section: "edit", keys: ["Delete", "Backspace"], when: () => here() && selectedPieces().length + selectedLinks().length > 0, run: removeSelected },
  { id: "edit.all", words: "selectAll", section: "edit", keys: ["Mod+A"], when: here, run: () => select(useStage.getState().nodes.map(({ id }) => id)) },
  { id: "edit.rename", words: "renameNode", section: "edit", keys: ["F2"], when: () => here() && selectedNodes().length === 1, run: () => rename(selectedNodes()[0]!) },
  { id: "edit.mute", words: "muteOrNot", section: "edit", keys: ["M", "Mod+M"], when: () => here() && selectedNodes().length > 0, run: () => switchSelected("mute") },
  { id: "edit.bypass", words: "bypassOrNot", section: "edit", keys: ["B", "Mod+B"], when: () => here() && selectedNodes().length > 0, run: () => switchSelected("bypass") },
  { id: "edit.each", words: "eachOrNot", section: "edit", keys: ["E"], when: () => eachPlace() !== null, run: () => toggleEach(eachPlace()!) },
  { id: "edit.eachField", words: "eachInField", section: "edit", keys: ["Alt+E"], inFields: true, when: () => eachPlace() !== null, run: () => toggleEach(eachPlace()!) },
  { id: "edit.loop", words: "loopOrNot", section: "edit", keys: ["Shift+L"], when: () => here() && loopPlace() !== null, run: () => openLoop(loopPlace()!) },
  { id: "edit.group", words: "group", section: "edit", keys: ["Mod+G"], when: here, run: () => groupSelected(centre()) },
  { id: "graph.make", words: "makeGraph", section: "edit", keys: ["Mod+Shift+G"], when: () => here() && selectedNodes().length > 0, run: makeGraph },
  { id: "graph.unpack", words: "unpackGraph", section: "edit", keys: ["U"], when: () => here() && selectedGraph() !== null, run: () => void unpackGraph(selectedGraph()!) },
  { id: "graph.enter", words: "enterGraph", section: "view", keys: ["Alt+ArrowDown"], when: () => here() && selectedGraph() !== null, run: () => void enterGraph(selectedGraph()!) },
  { id: "graph.leave", words: "leaveGraph", section: "view", keys: ["Alt+ArrowUp"], when: () => here() && useDocument.getState().way.length > 0, run: () => leaveGraph() },
  { id: "edit.promote", words: "makeInput", section: "edit", keys: ["Alt+I"], inFields: true, when: () => settingAtFocus() !== null, run: promoteAtFocus },
  { id: "edit.note", words: "note", section: "edit", keys: ["N"], when: here, run: () => editNote(noteAt(onSurface(...spot()))[0]!) },

  { id: "palette.open", words: "addNode", section: "edit", keys: ["/"], run: () => openPalette({ at: forCard(centre()), screen: [middle()[0] - 190, 96], end: useHeld.getState().end ?? undefined }) },
  { id: "canvas.find", words: "findNode", section: "view", keys: ["Mod+F"], inFields: true, run: openFind },
  { id: "canvas.fit", words: "fitAll", section: "view", keys: ["."], run: () => fit() },
  { id: "canvas.fitSelection", words: "fitSelection", section: "view", keys: ["F"], when: () => here() && selected().length > 0, run: () => fit(selected()) },
  { id: "canvas.zoom100", words: "zoom100", section: "view", keys: ["Mod+0"], run: () => void useStage.getState().flow?.zoomTo(1, motion()) },
  { id: "canvas.zoomIn", words: "zoomIn", section: "view", keys: ["+", "="], when: here, run: () => zoom(1) },
  { id: "canvas.zoomOut", words: "zoomOut", section: "view", keys: ["-"], when: here, run: () => zoom(-1) },

  { id: "canvas.collapse", words: "collapseOrNot", section: "arrange", keys: ["C"], when: () => here() && selectedNodes().length > 0, run: () => toggleSelected("collapsed") },
  { id: "canvas.open", words: "settingsOrNot", section: "arrange", keys: ["S"], when: () => here() && selectedNodes().length > 0, run: () => toggleSelected("open") },
  { id: "canvas.layout", words: "layout", section: "arrange", keys: ["L"], when: here, run: arrangeAll },
  { id: "canvas.alignLeft", words: "alignLeft", section: "arrange", keys: ["Alt+Shift+ArrowLeft"], when: several, run: () => alignSelected("left") },
  { id: "canvas.alignRight", words: "alignRight", section: "arrange", keys: ["Alt+Shift+ArrowRight"], when: several, run: () => alignSelected("right") },
  { id: "canvas.alignTop", words: "alignTop", section: "arrange", keys: ["Alt+Shift+ArrowUp"], when: several, run: () => alignSelected("top") },
  { id: "canvas.alignBottom", words: "alignBottom", section: "arrange", keys: ["Alt+Shift+ArrowDown"], when: several, run: () => alignSelected("bottom") },
  { id: "canvas.distributeX", words: "distributeX", section: "arrange", keys: ["Alt+Shift+H"], when: several, run: () => distributeSelected("x") },
  { id: "canvas.distributeY", words: "distributeY", section: "arrange", keys: ["Alt+Shift+V"], when: several, run: () => distributeSelected("y") },
  ...nudges,

  { id: "canvas.walkOn", words: "walkFits", section: "wire", keys: ["Tab"], when: wiring, run: () => walk(1) },
  { id: "canvas.walkBack", words: "walkFits", section: "wire", keys: ["Shift+Tab"], hidden: true, when: wiring, run: () => walk(-1) },
  { id: "canvas.join", words: "joinHere", section: "wire", keys: ["Enter"], when: wiring, run: join },
  { id: "canvas.take", words: "takeUp", section: "wire", keys: ["Enter", " "], hidden: true, when: () => focusedEnd() !== null, run: () => void takeUp(focusedEnd()!) },
  { id: "canvas.cut", words: "cutWires", section: "wire", keys: ["X"], when: () => focusedEnd() !== null, run: () => cutAt(focusedEnd()!) },
  { id: "canvas.bend", words: "addBend", section: "wire", keys: ["R"], when: () => here() && bendable().length > 0, run: () => bend(bendable()) },
  { id: "canvas.next", words: "nextCard", section: "wire", keys: ["Tab"], when: () => onCard() && neighbour(1) !== undefined, run: () => reveal(neighbour(1)!) },
  { id: "canvas.previous", words: "previousCard", section: "wire", keys: ["Shift+Tab"], when: () => onCard() && neighbour(-1) !== undefined, run: () => reveal(neighbour(-1)!) },
  { id: "canvas.enter", words: "enterCard", section: "wire", keys: ["Enter"], when: onCard, run: enter },
  { id: "canvas.menu", words: "openMenu", section: "wire", keys: ["Shift+F10", "ContextMenu"], when: () => focusedCard() !== null, run: menuAtFocus },
  { id: "canvas.escape", words: "leaveCard", section: "wire", keys: ["Escape"], inFields: true, when: () => here(), run: escape },
]

export function useCanvasCommands(): void {
  useEffect(() => register(COMMANDS), [])
}

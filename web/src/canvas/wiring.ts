// Wires by keyboard: a socket is taken up, then the keyboard walks what fits it, and Enter joins the two.
import { say } from "../app/i18n"
import { INPUTS, OUTPUTS, links, split } from "../document/model"
import { currentDoc, edit } from "../document/store"
import { announce } from "./Announcer"
import { between, droppedOnOwnCard, joined } from "./connect"
import { cut } from "./edits"
import { type End, hold, letGo, useHeld } from "./held"
import { focusCard, useStage } from "./stage"

/** The end of a wire that an element is, if it is one. */
export function endAt(element: Element | null | undefined): End | null {
  const socket = element?.closest(".socket")
  const node = socket?.getAttribute("data-nodeid")
  const port = socket?.getAttribute("data-handleid")
  if (!socket || !node || !port) return null
  return { node: node === INPUTS ? "input" : node, port, side: socket.classList.contains("source") ? "output" : "input" }
}

export const focusedEnd = (): End | null => endAt(document.activeElement)
export const focusedCard = (): string | null => document.activeElement?.closest(".react-flow__node")?.getAttribute("data-id") ?? null

/** The setting of a node whose field or socket has the keyboard. */
export function settingAtFocus(): End | null {
  const field = document.activeElement?.closest<HTMLElement>("[data-field]")?.dataset.field
  const [node, port] = split(field ?? "")
  const end: End | null = field ? { node, port, side: "input" } : focusedEnd()
  return end?.side === "input" && end.node !== "input" && end.node !== OUTPUTS ? end : null
}

/** Make it an input of the graph; the keyboard stays at its socket. */
export function promoteAtFocus(): void {
  const end = settingAtFocus()
  if (!end) return
  droppedOnOwnCard(INPUTS, end)
  announce(say("madeInput", { port: `${end.node}.${end.port}` }))
  requestAnimationFrame(() => socketOf(end.node, end.port, "target")?.focus({ preventScroll: true }))
}

let walked: string[] = [] // what fits, as "card.port", in the order of the graph; a card of the graph's own alone takes any wire
let at = -1

export async function takeUp(end: End): Promise<void> {
  const pending = hold(end, true)
  announce(say("holding", { port: `${end.node}.${end.port}` }))
  await pending
  const { fits, end: held } = useHeld.getState()
  if (held !== end) return
  const order = new Map(useStage.getState().nodes.map(({ id }, i) => [id === INPUTS ? "input" : id, i]))
  const rank = (id: string) => order.get(id.slice(0, id.indexOf("."))) ?? 0
  walked = [...(fits ?? [])].flatMap(([id, why]) => (why ? [] : [id])).sort((a, b) => rank(a) - rank(b))
  walked.push(end.side === "output" ? OUTPUTS : INPUTS)
  at = -1
  announce(say("heldFits", { port: `${end.node}.${end.port}`, n: walked.length - 1 }))
}

export const wiring = (): boolean => useHeld.getState().byKeyboard

/** Go to the next socket that fits, or the one before. */
export function walk(step: 1 | -1): void {
  if (!walked.length) return
  at = (at + step + walked.length) % walked.length
  const id = walked[at]!
  const dot = id.indexOf(".")
  const card = dot < 0 ? id : id.slice(0, dot) === "input" ? INPUTS : id.slice(0, dot)
  focusCard(card)
  announce(dot < 0 ? say(id === INPUTS ? "newInput" : "newOutput") : say("fitNumber", { port: id, i: at + 1, n: walked.length }))
  if (dot > 0) window.setTimeout(() => wiring() && socketOf(card, id.slice(dot + 1))?.focus({ preventScroll: true }), 180)
}

function socketOf(card: string, port: string, side = useHeld.getState().end?.side === "output" ? "target" : "source"): HTMLElement | null {
  return document.querySelector(`.socket.${side}[data-nodeid="${CSS.escape(card)}"][data-handleid="${CSS.escape(port)}"]`)
}

/** Join what is held with what the keyboard has come to. */
export function join(): void {
  const { end } = useHeld.getState()
  const id = walked[at]
  if (!end || id === undefined) return
  const dot = id.indexOf(".")
  if (dot < 0) droppedOnOwnCard(id, end)
  else edit((doc) => joined(doc, between(end, { node: id.slice(0, dot), port: id.slice(dot + 1) })))
  announce(say("joined", { port: `${end.node}.${end.port}`, to: dot < 0 ? say(id === INPUTS ? "inputs" : "outputs") : id }))
  letGo()
}

/** A finger has no keyboard and drags what it moves over: it taps the two sockets one after the other. */
export function tapped(end: End): void {
  const { end: held, fits } = useHeld.getState()
  if (!held || !wiring() || held.side === end.side) return void takeUp(end)
  const why = fits?.get(`${end.node}.${end.port}`)
  if (why) return announce(why)
  edit((doc) => joined(doc, between(held, end)))
  announce(say("joined", { port: `${held.node}.${held.port}`, to: `${end.node}.${end.port}` }))
  letGo()
}

export function giveUp(): void {
  letGo()
  announce(say("letGo"))
}

export function linksOf(end: End) {
  const node = end.node
  return links(currentDoc()).filter((link) => (end.side === "output" ? link.node === node && link.port === end.port : link.to === node && link.toPort === end.port))
}

export const cutAt = (end: End): void => cut(linksOf(end))

// `each` by mouse and keyboard: on the port that a menu or the keyboard is at. Of an input of the graph it is a sweep over the whole graph.
import { useCatalogue } from "../app/catalogue"
import type { Json } from "../api/types"
import { isBend } from "../document/bends"
import { eachToggled, isEach, specOf } from "../document/frames"
import { INPUTS, OUTPUTS, inputValue, split } from "../document/model"
import { currentDoc, edit, useDocument } from "../document/store"
import { axesOf, axisToggled } from "../document/sweeps"
import { begun, sweepable } from "../sweeps/sweepable"
import { useTyping } from "../typing/store"

interface Place {
  node: string // `input` for the graph's own
  port: string
}

/** The port of a socket or widget; null where it cannot be given a list. */
export function placeAt(element: Element | null | undefined): Place | null {
  const socket = element?.closest(".socket")
  const field = element?.closest("[data-field]")?.getAttribute("data-field")
  const node = socket?.getAttribute("data-nodeid") ?? (field ? split(field)[0] : null)
  const port = socket?.getAttribute("data-handleid") ?? (field ? split(field)[1] : null)
  if (!node || !port || node === OUTPUTS) return null
  const own = node === INPUTS || node === "input"
  if (socket && !own && socket.classList.contains("source")) return null
  const place = { node: own ? "input" : node, port }
  return mayToggle(place) ? place : null
}

export function mayToggle({ node, port }: Place): boolean {
  if (isBend(currentDoc(), node)) return false
  if (node !== "input") return currentDoc().nodes?.[node] !== undefined && specOf(currentDoc().nodes![node], useCatalogue.getState().nodes)?.inputs[port] !== undefined
  return useDocument.getState().way.length === 0 && sweepable(useTyping.getState().check?.inputs[port])
}

export const isOn = ({ node, port }: Place): boolean => (node === "input" ? port in axesOf(currentDoc()) : isEach(currentDoc().nodes?.[node], port))

export function toggleEach({ node, port }: Place): void {
  if (node === "input") return edit((doc) => axisToggled(doc, port, begun(useTyping.getState().check?.inputs[port], inputValue(doc, port))))
  const fallback = useCatalogue.getState().nodes?.[currentDoc().nodes?.[node]?.op ?? ""]?.inputs[port]?.default as Json | undefined
  edit((doc) => eachToggled(doc, node, port, fallback))
}

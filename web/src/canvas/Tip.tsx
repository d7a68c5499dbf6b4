// Under a socket that is pointed at or has the keyboard: what flows there, in which shape and space; while a wire is held, why it does not fit.
import { useEffect, useState } from "react"
import { nodeType } from "../app/catalogue"
import { words } from "../app/i18n"
import { INPUTS, OUTPUTS, links } from "../document/model"
import { currentDoc } from "../document/store"
import { useTyping } from "../typing/store"
import { factsOf, sourceOf } from "./facts"
import { type End, useHeld } from "./held"
import { useStage } from "./stage"
import { endAt } from "./wiring"

interface Shown {
  end: End
  x: number
  y: number
}

const PATIENCE = 350 // ms that the pointer rests before it shows; at once while a wire is held

export function Tip() {
  const element = useStage(({ element }) => element)
  const [shown, setShown] = useState<Shown | null>(null)
  const held = useHeld(({ end }) => end)
  useEffect(() => {
    if (!element) return
    let timer = 0
    let last: Element | null = null
    const look = (target: EventTarget | null, wait: number) => {
      const socket = target instanceof Element ? target.closest(".socket") : null
      if (socket === last) return
      last = socket
      window.clearTimeout(timer)
      setShown(null)
      const end = endAt(socket)
      if (!socket || !end) return
      timer = window.setTimeout(() => {
        const { x, y, width, height } = socket.getBoundingClientRect()
        setShown({ end, x: x + width / 2, y: y + height })
      }, wait)
    }
    const pointed = ({ target }: PointerEvent) => look(target, useHeld.getState().end ? 0 : PATIENCE)
    const focused = ({ target }: FocusEvent) => look(target, 60)
    const left = () => look(null, 0)
    element.addEventListener("pointerover", pointed)
    element.addEventListener("focusin", focused)
    element.addEventListener("focusout", left)
    element.addEventListener("wheel", left, { passive: true })
    return () => {
      window.clearTimeout(timer)
      element.removeEventListener("pointerover", pointed)
      element.removeEventListener("focusin", focused)
      element.removeEventListener("focusout", left)
      element.removeEventListener("wheel", left)
    }
  }, [element])
  if (!shown) return null
  const why = held && held.side !== shown.end.side ? useHeld.getState().fits?.get(`${shown.end.node}.${shown.end.port}`) : ""
  return <div className={`tip${why ? " why" : ""}`} role="tooltip" style={{ left: shown.x, top: shown.y + 8 }}>{why || <About end={shown.end} />}</div>
}

function About({ end: { node, port, side } }: { end: End }) {
  const doc = currentDoc()
  const { edges, check } = useTyping.getState()
  const link = links(doc).find((one) => (side === "output" ? one.node === node && one.port === port : one.to === node && one.toPort === port))
  const edge = link && edges[link.id]
  const spec = nodeType(doc.nodes?.[node]?.op ?? "")
  const own = node === "input" ? check?.inputs[port] : node === OUTPUTS ? check?.outputs[port] : side === "input" ? spec?.inputs[port] : spec?.outputs[port]
  const source = edge && link.node !== "input" ? sourceOf(doc, link.node) : ""
  const help = own && "help" in own ? words(own.help) : ""
  return (
    <>
      <b>{node === "input" || node === INPUTS || node === OUTPUTS ? port : `${node}.${port}`}</b>
      <code>{edge ? factsOf(edge, source) : (own?.shown ?? "?")}</code>
      {help && <span>{help}</span>}
    </>
  )
}

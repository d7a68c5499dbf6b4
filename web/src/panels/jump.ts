// From a problem to where it is: the graph that it lies in is shown, its node comes into view, is selected and has the focus; its port lights up for a moment.
import type { Problem } from "../api/types"
import { goTo } from "../canvas/graphs"
import { isOwnCard } from "../canvas/shape"
import { motion, rectOf, select, useStage, whenDrawn } from "../canvas/stage"
import { graphAt, placed, reached } from "../document/graphs"
import { INPUTS, OUTPUTS } from "../document/model"
import { useDocument } from "../document/store"
import { holders } from "../run/frames"

export interface Place {
  node: string // as the canvas names it; one inside another as "outer/inner"
  port: string
}

/** Where a problem is, if it is at one place. Those of the graph's own inputs and outputs name them as ports of `input` or of no node, or in their text. */
export function placeOf({ node, inside, port, message, repairs }: Problem): Place | null {
  if (node === "input" && !inside) return { node: INPUTS, port }
  if (node) return { node: holders(inside ? placed([node], inside) : node)[0]!, port }
  const input = repairs?.find((one) => one.node === "input")?.port ?? /^the input `([^`]+)`/.exec(message)?.[1]
  if (input) return { node: INPUTS, port: input }
  const output = port || /^the output `([^`]+)`/.exec(message)?.[1]
  return output ? { node: OUTPUTS, port: output } : null
}

const FLASH = 1200 // ms

/** As far inwards as definitions lead: what lies deeper is shown at the node that holds it. */
export function jump({ node: whole, port }: Place): void {
  const names = whole.split("/")
  const { root, way: here } = useDocument.getState()
  const { way, address } = reached(root, names.slice(0, -1))
  const id = names[way.length]!
  if (!isOwnCard(id) && !graphAt(root, address)?.nodes?.[id]) return // it is gone
  if (way.join("/") !== here.join("/")) goTo(way, id)
  whenDrawn(id, () => {
    const { flow, nodes } = useStage.getState()
    const { x, y, width, height } = rectOf(nodes.find((one) => one.id === id)!)
    void flow!.setCenter(x + width / 2, y + height / 2, { zoom: Math.min(1.2, Math.max(0.8, flow!.getZoom())), ...motion() })
    select([id])
    window.setTimeout(() => light(id, way.length === names.length - 1 ? port : ""), 200) // once it is drawn where it was out of view
  })
}

function light(id: string, port: string): void {
  const card = useStage.getState().element?.querySelector<HTMLElement>(`.react-flow__node[data-id="${CSS.escape(id)}"]`)
  card?.focus({ preventScroll: true })
  const row = port ? card?.querySelector(`[data-handleid="${CSS.escape(port)}"]`)?.closest(".row") : null
  row?.classList.add("lit")
  window.setTimeout(() => row?.classList.remove("lit"), FLASH)
}

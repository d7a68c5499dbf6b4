// From a problem to where it is: the node comes into view, is selected and has the focus; its port lights up for a moment.
import { useReactFlow, useStoreApi } from "@xyflow/react"
import { useCallback } from "react"
import type { Problem } from "../api/types"
import { INPUTS, OUTPUTS } from "../document/model"

export interface Place {
  node: string // as the canvas names it
  port: string
}

/** Where a problem is, if it is at one place. Those of the graph's own inputs and outputs name them in their text or as ports of no node. */
export function placeOf({ node, port, message, repairs }: Problem): Place | null {
  if (node) return { node, port }
  const input = repairs?.find((one) => one.node === "input")?.port ?? /^the input `([^`]+)`/.exec(message)?.[1]
  if (input) return { node: INPUTS, port: input }
  const output = port || /^the output `([^`]+)`/.exec(message)?.[1]
  return output ? { node: OUTPUTS, port: output } : null
}

const FLASH = 1200 // ms

export function useJump(): (place: Place) => void {
  const { getNode, setCenter, getZoom } = useReactFlow()
  const store = useStoreApi()
  return useCallback(
    ({ node: id, port }) => {
      const node = getNode(id)
      if (!node) return
      const zoom = Math.min(1.2, Math.max(0.8, getZoom()))
      const still = matchMedia("(prefers-reduced-motion: reduce)").matches
      void setCenter(node.position.x + (node.width ?? 0) / 2, node.position.y + (node.height ?? 0) / 2, { zoom, duration: still ? 0 : 150 })
      store.getState().addSelectedNodes([id])
      window.setTimeout(() => light(id, port), 200) // once it is drawn where it was out of view
    },
    [getNode, setCenter, getZoom, store],
  )
}

function light(id: string, port: string): void {
  const card = document.querySelector<HTMLElement>(`.react-flow__node[data-id="${CSS.escape(id)}"]`)
  card?.focus({ preventScroll: true })
  const row = port ? card?.querySelector(`[data-handleid="${CSS.escape(port)}"]`)?.closest(".row") : null
  row?.classList.add("lit")
  window.setTimeout(() => row?.classList.remove("lit"), FLASH)
}

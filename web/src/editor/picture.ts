// A picture of the whole graph as it looks on the canvas, which carries the graph.
import { type ReactFlowInstance, getNodesBounds } from "@xyflow/react"
import { api } from "../api/client"
import { useWhole } from "../canvas/whole"
import { asked } from "../document/asked"
import { withText } from "../document/png"

const LARGEST = 6_000 // pixels a side
const MARGIN = 32
const CHUNK = "flowmm"
const DRAWN = 200 // ms that the cards out of view have to be drawn, their pictures among them

export async function picture(flow: ReactFlowInstance): Promise<Blob> {
  const [{ toBlob }, carried] = await Promise.all([import("html-to-image"), api.carried(asked())])
  const before = flow.getViewport()
  useWhole.setState({ whole: true })
  await flow.setViewport({ x: 0, y: 0, zoom: 1 })
  await new Promise((resolve) => window.setTimeout(resolve, DRAWN))
  const box = getNodesBounds(flow.getNodes())
  const [width, height] = [box.width + 2 * MARGIN, box.height + 2 * MARGIN]
  try {
    const made = await toBlob(document.querySelector<HTMLElement>(".react-flow__viewport")!, {
      width, height, pixelRatio: Math.min(2, LARGEST / Math.max(width, height)), skipFonts: true, backgroundColor: getComputedStyle(document.body).backgroundColor,
      style: { width: `${width}px`, height: `${height}px`, transform: `translate(${MARGIN - box.x}px, ${MARGIN - box.y}px)` },
    })
    if (!made) throw new Error("the browser drew no picture")
    return new Blob([withText(new Uint8Array(await made.arrayBuffer()), CHUNK, JSON.stringify(carried))], { type: "image/png" })
  } finally {
    useWhole.setState({ whole: false })
    void flow.setViewport(before)
  }
}

// The graph on its surface: cards and wires, moved, joined and cut.
import "./surface.css"
import {
  Background, BackgroundVariant, Controls, type Edge, type FinalConnectionState, type OnConnectStartParams, ReactFlow, type ReactFlowProps, SelectionMode,
  type Viewport, applyEdgeChanges, applyNodeChanges, useReactFlow, useStore, useStoreApi,
} from "@xyflow/react"
import { useDeferredValue, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react"
import { useCatalogue } from "../app/catalogue"
import { useLanguage, useT } from "../app/i18n"
import { INPUTS, type Link, OUTPUTS } from "../document/model"
import { currentDoc, edit, useDocument } from "../document/store"
import { openPalette } from "../palette/store"
import { look, lookAway } from "../results/look"
import { useTyping } from "../typing/store"
import { Announcer } from "./Announcer"
import { useCanvasCommands } from "./commands"
import { useClipboard } from "./clipboard"
import { between, droppedOnOwnCard, endsOf, fittingPorts, joined, led, mayConnect } from "./connect"
import { carry, drop, hover } from "./dragging"
import { bend, linkOf, removed, arrange, cut } from "./edits"
import { FarWires } from "./FarWires"
import { Find } from "./Find"
import { enterGraph } from "./graphs"
import { GroupBox } from "./GroupBox"
import { hold, letGo, useHeld } from "./held"
import { InputsCard } from "./InputsCard"
import { Menu, openMenu } from "./Menu"
import { NoteBox } from "./NoteBox"
import { OpCard } from "./OpCard"
import { OutputsCard } from "./OutputsCard"
import { Overview } from "./Overview"
import { Rename } from "./Rename"
import { FAR, FIT, FURTHEST, draw, firstView, onSurface, remember, seenBefore, select, selected, useStage } from "./stage"
import { Tip } from "./Tip"
import { Far, useWhole } from "./whole"
import { Wire } from "./Wire"
import { giveUp, wiring } from "./wiring"

const put = useStage.setState

/** What never changes. While a card is dragged React Flow gets nothing new but the nodes: any other prop that were made anew would have all cards and wires
 * drawn again, and asked once for each such prop whether anything changed for them. */
const BEHAVIOUR: ReactFlowProps = {
  nodeTypes: { op: OpCard, inputs: InputsCard, outputs: OutputsCard, noteBox: NoteBox, groupBox: GroupBox },
  edgeTypes: { wire: Wire },
  onNodesChange: (changes) => put(({ nodes }) => ({ nodes: applyNodeChanges(changes.filter(({ type }) => type !== "remove"), nodes) })),
  onEdgesChange: (changes) => put(({ edges }) => ({ edges: applyEdgeChanges(changes.filter(({ type }) => type !== "remove"), edges) })),
  onNodeDragStart: (_, node, all) => carry(node, all),
  onNodeDrag: (_, node, all) => hover(node, all),
  onNodeDragStop: (_, node, all) => void drop(node, all),
  onSelectionDragStart: (_, all) => carry(null, all),
  onSelectionDrag: (_, all) => hover(null, all),
  onSelectionDragStop: (_, all) => void drop(null, all),
  onDelete: ({ nodes, edges }) => arrange((doc) => removed(doc, nodes.map(({ id }) => id), edges.map(linkOf))),
  onConnectStart: started,
  onConnectEnd: ended,
  isValidConnection: mayConnect,
  onConnect: (made) => edit((doc) => joined(doc, endsOf(made))),
  onReconnect: (old, now) => edit((doc) => led(doc, linkOf(old), endsOf(now))),
  onEdgeClick: (event, edge) => (event.altKey ? cut([linkOf(edge)]) : look(sourceOf(linkOf(edge)), [event.clientX, event.clientY])),
  onEdgeDoubleClick: ({ clientX, clientY }, edge) => (lookAway(), bend([linkOf(edge)], onSurface(clientX, clientY))),
  onNodeDoubleClick: ({ target }, { id }) => {
    if (target instanceof Element && target.closest(".card-head, .card.far") && !target.closest("button")) void enterGraph(id)
  },
  onPaneClick: () => wiring() && giveUp(),
  onPaneContextMenu: (event) => openMenu(event, { kind: "ground" }),
  onNodeContextMenu: (event, { id }) => openMenu(event, { kind: "card", id }),
  onSelectionContextMenu: (event) => openMenu(event, { kind: "selection" }),
  onEdgeContextMenu: (event, { id }) => openMenu(event, { kind: "wire", id }),
  onDoubleClick: ({ target, clientX, clientY }) => {
    if (target instanceof Element && target.classList.contains("react-flow__pane")) openPalette({ at: onSurface(clientX, clientY), screen: [clientX, clientY] })
  },
  minZoom: FURTHEST, maxZoom: 2.5, zoomOnDoubleClick: false, fitViewOptions: FIT, elevateNodesOnSelect: false, disableKeyboardA11y: true, edgesFocusable: false,
  deleteKeyCode: null, selectionKeyCode: "Shift", selectionMode: SelectionMode.Partial, multiSelectionKeyCode: ["Shift", "Meta", "Control"],
  proOptions: { hideAttribution: true }, connectionRadius: 28, connectOnClick: false, nodeDragThreshold: 2, paneClickDistance: 3,
}

/** place: which graph of which document, so that one that is come back to is looked at where it was left. */
export function Canvas({ place }: { place: string }) {
  const t = useT()
  const language = useLanguage(({ language }) => language)
  const doc = useDocument(({ doc }) => doc)
  const whole = useWhole(({ whole }) => whole)
  const catalogue = useCatalogue(({ nodes }) => nodes)
  const check = useTyping(({ check }) => check)
  const nodes = useStage(({ nodes }) => nodes)
  const edges = useStage(({ edges }) => edges)
  const element = useRef<HTMLDivElement>(null)
  const [start, setStart] = useState<Viewport | null>(null) // where one looks first: known before a card is drawn, so that none is drawn in vain
  const flow = useReactFlow()
  const flowStore = useStoreApi()
  const distant = useStore(({ transform }) => transform[2] < FAR) && !whole
  const wasFar = useDeferredValue(distant)
  const far = distant || wasFar // at once where cards become plain; when they are to be read again, many are drawn, a few at a time
  const labels = useMemo(
    () => ({ "minimap.ariaLabel": t("minimap"), "controls.zoomIn.ariaLabel": t("zoomIn"), "controls.zoomOut.ariaLabel": t("zoomOut"), "controls.fitView.ariaLabel": t("fitAll") }),
    [t, language],
  )
  useLayoutEffect(() => () => {
    const { panZoom, transform: [x, y, zoom] } = flowStore.getState()
    if (panZoom) remember(place, { x, y, zoom })
    put({ nodes: [], edges: [], flow: null }) // before another canvas draws
  }, [])
  useLayoutEffect(() => {
    if (!catalogue) return
    draw(doc, catalogue, check)
    setStart((before) => before ?? seenBefore(place) ?? firstView(element.current!))
  }, [doc, catalogue, check, language])
  useEffect(() => {
    if (start) put({ flow }) // its onInit comes a moment after the first click can
  }, [start, flow])
  useLayoutEffect(() => flowStore.setState({ updateNodeInternals: () => {} }), [flowStore]) // nothing is measured: flow.ts says where all is
  useEffect(() => {
    put({ element: element.current })
    return () => put({ element: null })
  }, [])
  useEffect(() => {
    if (far) select(selected()) // no wire: none can be told from the others
  }, [far])
  useCanvasCommands()
  useClipboard()

  return (
    <div className="surface" ref={element}>
      <Far value={far}>
        {start && <ReactFlow
          {...BEHAVIOUR} defaultViewport={start} nodes={nodes} edges={far ? NONE : edges} onlyRenderVisibleElements={!whole} ariaLabelConfig={labels}
        >
          {far && <FarWires />}
          <Background variant={BackgroundVariant.Dots} gap={22} size={1.4} />
          <Overview />
          <Controls showInteractive={false} />
        </ReactFlow>}
      </Far>
      <Find />
      <Menu />
      <Tip />
      <Rename />
      <Announcer />
    </div>
  )
}

const NONE: Edge[] = []
const sourceOf = ({ node, port }: Link): string => `${node}.${port}`

function started(_: unknown, { nodeId, handleId, handleType }: OnConnectStartParams): void {
  if (nodeId && handleId) void hold({ node: nodeId === INPUTS ? "input" : nodeId, port: handleId, side: handleType === "source" ? "output" : "input" })
}

/** A wire that was not joined to a socket: a card takes it, or the palette shows what could. */
function ended(event: MouseEvent | TouchEvent, { toHandle, isValid }: FinalConnectionState): void {
  const { end } = useHeld.getState()
  const { clientX, clientY } = "changedTouches" in event ? event.changedTouches[0]! : event
  const under = document.elementFromPoint(clientX, clientY)
  const card = under?.closest(".react-flow__node")?.getAttribute("data-id")
  if (!end || (toHandle && isValid !== false)) return letGo()
  if (card === INPUTS || card === OUTPUTS) droppedOnOwnCard(card, end)
  else if (card && card !== end.node) {
    const ports = fittingPorts(currentDoc(), card)
    if (ports.length === 1) edit((doc) => joined(doc, between(end, { node: card, port: ports[0]! })))
    else if (ports.length) return openMenu(event, { kind: "ports", id: card, ports, end })
  } else if (under?.classList.contains("react-flow__pane")) {
    return openPalette({ at: onSurface(clientX, clientY), screen: [clientX, clientY], end })
  }
  letGo()
}

// The graph on its surface: cards and wires, moved, joined and cut.
import {
  Background, BackgroundVariant, type Connection, Controls, type Edge, MiniMap, type Node, type NodeChange, type OnConnectStartParams, ReactFlow, applyNodeChanges,
} from "@xyflow/react"
import { useCallback, useEffect, useMemo, useRef, useState } from "react"
import { useCatalogue } from "../app/catalogue"
import { INPUTS, type Link, OUTPUTS, type Point, connect, disconnect, place, removeNodes } from "../document/model"
import { currentDoc, edit, useDocument } from "../document/store"
import { look } from "../results/look"
import { useTyping } from "../typing/store"
import { flowEdges, flowNodes } from "./flow"
import { hold, letGo, useHeld } from "./held"
import { InputsCard } from "./InputsCard"
import { removeBoxes } from "./layout"
import { OpCard } from "./OpCard"
import { OutputsCard } from "./OutputsCard"
import { isOwnCard } from "./shape"
import { useWhole } from "./whole"
import { Wire } from "./Wire"

const nodeTypes = { op: OpCard, inputs: InputsCard, outputs: OutputsCard }
const edgeTypes = { wire: Wire }

export function Canvas() {
  const doc = useDocument(({ doc }) => doc)
  const whole = useWhole(({ whole }) => whole)
  const catalogue = useCatalogue(({ nodes }) => nodes)
  const check = useTyping(({ check }) => check)
  const knownNodes = useRef(new Map<string, Node>())
  const knownEdges = useRef(new Map<string, Edge>())
  const [nodes, setNodes] = useState<Node[]>([])
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set())
  useEffect(() => {
    if (!catalogue) return
    setNodes((now) => {
      for (const node of now) knownNodes.current.set(node.id, node)
      return flowNodes(doc, catalogue, check, knownNodes.current)
    })
  }, [doc, catalogue, check])
  const plain = useMemo(() => (catalogue ? flowEdges(doc, catalogue, check, knownEdges.current) : []), [doc, catalogue, check])
  const edges = useMemo(() => plain.map((edge) => (selected.has(edge.id) ? { ...edge, selected: true } : edge)), [plain, selected])

  const onNodesChange = useCallback((changes: NodeChange[]) => setNodes((now) => applyNodeChanges(changes.filter(({ type }) => type !== "remove"), now)), [])

  return (
    <ReactFlow
      nodes={nodes} edges={edges} nodeTypes={nodeTypes} edgeTypes={edgeTypes} onNodesChange={onNodesChange}
      onEdgesChange={(changes) =>
        setSelected((before) => {
          const now = new Set(before)
          for (const change of changes) if (change.type === "select") change.selected ? now.add(change.id) : now.delete(change.id)
          return now
        })
      }
      onNodeDragStop={(_, __, moved) => edit((doc) => place(doc, Object.fromEntries(moved.map(({ id, position: { x, y } }) => [id, [Math.round(x), Math.round(y)] as Point]))))}
      onDelete={({ nodes, edges }) => edit((doc) => deleted(doc, nodes, edges))}
      onConnectStart={(_, { nodeId, handleId, handleType }: OnConnectStartParams) => {
        if (nodeId && handleId) void hold({ node: nodeId === INPUTS ? "input" : nodeId, port: handleId, side: handleType === "source" ? "output" : "input" })
      }}
      onEdgeClick={(event, { data }) => look(sourceOf(data?.link as Link), [event.clientX, event.clientY])}
      onConnectEnd={letGo} isValidConnection={mayConnect} onConnect={joined}
      onReconnect={(old, now) => edit((doc) => joinedIn(disconnect(doc, old.data?.link as Link), now))}
      onlyRenderVisibleElements={!whole} elevateNodesOnSelect fitView minZoom={0.05} maxZoom={2.5} deleteKeyCode={["Delete", "Backspace"]} selectionKeyCode="Shift" multiSelectionKeyCode={["Shift", "Meta", "Control"]}
      proOptions={{ hideAttribution: true }} connectionRadius={28} fitViewOptions={{ padding: 0.12, maxZoom: 1.1 }}
    >
      <Background variant={BackgroundVariant.Dots} gap={22} size={1.4} />
      <MiniMap pannable zoomable nodeColor="var(--line)" maskColor="var(--veil)" />
      <Controls showInteractive={false} />
    </ReactFlow>
  )
}

function deleted(doc: ReturnType<typeof currentDoc>, nodes: Node[], edges: Edge[]) {
  let made = doc
  for (const edge of edges) made = disconnect(made, edge.data?.link as Link)
  const ids = nodes.map(({ id }) => id).filter((id) => !isOwnCard(id))
  const boxes = ids.filter((id) => id.includes(":"))
  if (boxes.length) made = removeBoxes(made, boxes)
  return ids.length > boxes.length ? removeNodes(made, ids.filter((id) => !id.includes(":"))) : made
}

const sourceOf = ({ node, port }: Link): string => `${node}.${port}`

const reference = (node: string, port: string) => `${node === INPUTS ? "input" : node}.${port}`

/** Only what Python has ruled out is refused here; while it has not answered, the check after the edit tells. */
function mayConnect({ source, sourceHandle, target, targetHandle }: Connection | Edge): boolean {
  if (!source || !target || source === target) return false
  const { end, fits } = useHeld.getState()
  if (!end || !fits || target === OUTPUTS) return true
  const other = end.side === "output" ? `${target}.${targetHandle}` : reference(source, sourceHandle ?? "")
  return !fits.get(other)
}

function joinedIn(doc: ReturnType<typeof currentDoc>, { source, sourceHandle, target, targetHandle }: Connection) {
  return connect(doc, reference(source, sourceHandle ?? ""), target, targetHandle ?? "")
}

function joined(connection: Connection): void {
  edit((doc) => joinedIn(doc, connection))
}

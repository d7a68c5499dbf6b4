// A node: its title, sockets and widgets, and what it is at while it runs.
import type { NodeProps } from "@xyflow/react"
import { ChevronDown, ChevronRight, CircleArrowUp, TriangleAlert, Workflow } from "lucide-react"
import { memo, useContext } from "react"
import { useT, words } from "../app/i18n"
import { useCatalogue } from "../app/catalogue"
import type { NodeType } from "../api/types"
import { upgrade } from "../changes/upgrade"
import { graphOf } from "../document/graphs"
import { type NodeDoc, isList, isWire, literal, plain, setPort } from "../document/model"
import { isEach, specOf } from "../document/frames"
import type { Seen } from "../document/modes"
import { amend, edit, useDocument } from "../document/store"
import { drawnAs, isOld, versionOf } from "../document/versions"
import { printed } from "../keys/commands"
import { useTyping } from "../typing/store"
import { EachMark, Field } from "../widgets/Field"
import { CombineRow, LoopRow } from "../rounds/Rows"
import { OutOfInput } from "../widgets/OutOfInput"
import { REROUTE } from "../document/bends"
import { Bend } from "./Bend"
import { CardState, ModeSign, Times } from "./CardState"
import { readOutputs } from "./flow"
import { enterGraph } from "./graphs"
import { toggled } from "./layout"
import { COMBINE, HEAD, hasMore, literalKind, LOOP, type Row, ROW, shapeOf, unknownShape } from "./shape"
import { Socket } from "./Socket"
import { Far } from "./whole"

export const OpCard = memo(function OpCard({ id, selected, data }: NodeProps) {
  const t = useT()
  const node = useDocument(({ doc }) => doc.nodes?.[id])
  const open = useDocument(({ doc }) => doc.layout?.open?.includes(id) ?? false)
  const collapsed = useDocument(({ doc }) => doc.layout?.collapsed?.includes(id) ?? false)
  const colour = useDocument(({ doc }) => doc.layout?.colours?.[id])
  const spec = useCatalogue(({ nodes }) => specOf(node, nodes))
  const drawn = useDocument(({ doc }) => node && drawnAs(node, spec, () => readOutputs(doc, id)))
  const problem = useTyping(({ here }) => here.find((one) => one.node === id && one.level === "error")?.message)
  const far = useContext(Far)
  if (!node) return null
  const mode = data.mode as Seen | undefined
  const inert = !spec && !graphOf(node.op) // a graph's type is known once it was checked
  const named = [title(id, node, spec), mode && t(`mode_${mode}`)].filter(Boolean).join(", ")
  const rounds = node.loop ? " frame loops" : node.each?.length ? " frame" : ""
  const look = `${rounds}${selected ? " selected" : ""}${problem ? " wrong" : ""}`
  if (node.op === REROUTE) return <Bend id={id} name={ownName(id, node) ? id : ""} look={look} far={far} colour={colour} mode={mode} />
  if (far) return <article className={`card far${look}`} data-colour={colour} data-mode={mode} aria-label={named} />
  return (
    <article className={`card${look}`} data-colour={colour} data-mode={mode} aria-label={named}>
      <header className="card-head" style={{ height: HEAD }}>
        <button
          type="button" className="bare nodrag" aria-expanded={!collapsed} aria-label={t(collapsed ? "expand" : "collapse")}
          onClick={() => edit((doc) => toggled(doc, "collapsed", id))}
        >
          {collapsed ? <ChevronRight size={14} /> : <ChevronDown size={14} />}
        </button>
        <span className="card-title" title={[title(id, node, spec), spec ? words(spec.help) : ""].filter(Boolean).join("\n\n")}>
          <b>{typeOf(node, spec)}</b>{!inert && ownName(id, node) && <span className="card-name"> · {id}</span>}
        </span>
        {isOld(node, spec) && <Older id={id} from={versionOf(node)} to={spec!.version} />}
        {problem && !inert && <TriangleAlert size={14} className="warn" aria-label={problem} />}
        {rounds && !mode && <Times id={id} node={node} />}
        {graphOf(node.op) && (
          <button type="button" className="bare nodrag" aria-label={t("enterGraph")} title={`${t("enterGraph")} (${printed("Alt+ArrowDown").join(" ")})`} onClick={() => void enterGraph(id)}><Workflow size={13} /></button>
        )}
        {mode ? <ModeSign id={id} mode={mode} /> : inert ? <span className="mode" title={t("placeholderHelp")}>{t("placeholder")}</span> : <CardState id={id} />}
      </header>
      {drawn ? <Body id={id} node={node} spec={drawn} open={open} collapsed={collapsed} /> : <Unknown id={id} node={node} />}
    </article>
  )
})

function Older({ id, from, to }: { id: string; from: number; to: number }) {
  const t = useT()
  const words = t("olderNode", { from, to })
  return <button type="button" className="bare nodrag old" title={words} aria-label={words} onClick={() => void upgrade([id])}><CircleArrowUp size={14} /></button>
}

const typeOf = (node: NodeDoc, spec: NodeType | undefined): string => (spec ? words(spec.title) : node.op.replace(/^(graph|comfyui):/, ""))

/** Whether a person named it: else its name says no more than its type. */
function ownName(id: string, { op }: NodeDoc): boolean {
  const own = op.slice(Math.max(op.lastIndexOf("."), op.lastIndexOf(":")) + 1).replace(/-/g, "_")
  return id !== own && id.replace(/_\d+$/, "") !== own
}

const title = (id: string, node: NodeDoc, spec: NodeType | undefined): string => `${typeOf(node, spec)}${ownName(id, node) ? ` · ${id}` : ""}`

interface BodyProps {
  id: string
  node: NodeDoc
  spec: NodeType
  open: boolean
  collapsed: boolean
}

function Body({ id, node, spec, open, collapsed }: BodyProps) {
  const t = useT()
  const { rows, height, hidden } = shapeOf(node, spec, { open, collapsed })
  if (collapsed)
    return (
      <>
        {Object.entries(spec.inputs).map(([port, { type, shown }]) => <Socket key={port} node={id} port={port} side="input" type={type} shown={shown} top={HEAD / 2} />)}
        {Object.entries(spec.outputs).map(([port, { type, shown }]) => <Socket key={port} node={id} port={port} side="output" type={type} shown={shown} top={HEAD / 2} />)}
      </>
    )
  return (
    <>
      {rows.map((row) => <PortRow key={row.port} id={id} node={node} row={row} />)}
      {(hidden > 0 || (open && hasMore(spec, node))) && (
        <button type="button" className="bare more nodrag" style={{ top: height - ROW - 8, height: ROW }} onClick={() => edit((doc) => toggled(doc, "open", id))}>
          {hidden ? t("more", { n: hidden }) : t("fewer")}
        </button>
      )}
    </>
  )
}

function PortRow({ id, node, row: { port, kind, height, top, input, output } }: { id: string; node: NodeDoc; row: Row }) {
  const value = node.in?.[port]
  const wired = isWire(value) || isList(value)
  const label = words(input?.title) || port
  if (port === COMBINE || port === LOOP)
    return <div className="row" style={{ top, height }}>{port === LOOP ? <LoopRow id={id} node={node} /> : <CombineRow id={id} node={node} />}</div>
  return (
    <div className={`row ${kind}`} style={{ top, height }}>
      {input && <Socket node={id} port={port} side="input" type={input.type} shown={input.shown} top={ROW / 2} />}
      {input && (kind === "socket" || wired) && (
        <span className={`port${"default" in input ? " optional" : ""}`} title={words(input.help)}>{label}</span>
      )}
      {input && (kind === "socket" || wired) && isEach(node, port) && <EachMark />}
      {input && wired && literalKind(input) !== "socket" && <OutOfInput node={id} port={port} value={value} />}
      {input && kind !== "socket" && !wired && (
        <Field
          at={`${id}.${port}`} label={label} port={input} value={plain(value)}
          onChange={(json, going) =>
            (going ? (change: Parameters<typeof edit>[0]) => amend(`${id}.${port}`, change) : edit)((doc) =>
              setPort(doc, id, port, json === undefined ? undefined : literal(json)),
            )
          }
        />
      )}
      {output && <span className="port out" title={words(output[1].help)}>{output[0]}</span>}
      {output && <Socket node={id} port={output[0]} side="output" type={output[1].type} shown={output[1].shown} top={ROW / 2} />}
    </div>
  )
}

/** A node whose type is not here, or is another by now: as it is written, with all that it says. */
function Unknown({ id, node }: { id: string; node: NodeDoc }) {
  const outputs = useDocument(({ doc }) => readOutputs(doc, id).join("\n"))
  const { rows } = unknownShape(node, outputs ? outputs.split("\n") : [])
  return rows.map(({ port, value, output, top }) => (
    <div key={top} className="row socket" style={{ top, height: ROW }}>
      {port !== undefined && value === undefined && <Socket node={id} port={port} side="input" type={null} shown="?" top={ROW / 2} />}
      {port !== undefined && <span className="port" title={port}>{port}</span>}
      {value !== undefined && <span className="kept" title={value}>{value}</span>}
      {output !== undefined && <span className="port out">{output}</span>}
      {output !== undefined && <Socket node={id} port={output} side="output" type={null} shown="?" top={ROW / 2} />}
    </div>
  ))
}

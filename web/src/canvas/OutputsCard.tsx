// The graph's outputs as one card: what came out last, in the place where it will come again.
import type { NodeProps } from "@xyflow/react"
import { memo, Suspense, useMemo } from "react"
import { useT } from "../app/i18n"
import { lazily } from "../app/lazily"
import { placed } from "../document/graphs"
import { Marked } from "../app/Marked"
import { split } from "../document/model"
import { useDocument } from "../document/store"
import { kindOf } from "../results/kinds"
import { Shown } from "../results/Shown"
import { upstream } from "../results/upstream"
import { isActive } from "../run/frames"
import { useRuns } from "../run/store"
import { useSweep } from "../sweeps/store"
import { useTyping } from "../typing/store"
import { OutputMenu } from "./OutputMenu"
import { HEAD, outputsShape, ROW } from "./shape"
import { Socket } from "./Socket"
import { OUTPUTS } from "../document/model"

const SmallSheet = lazily(() => import("../sweeps/Small"))

export const OutputsCard = memo(function OutputsCard({ selected }: NodeProps) {
  const t = useT()
  const doc = useDocument(({ doc }) => doc)
  const types = useTyping(({ check }) => check?.outputs)
  const off = useTyping(({ check }) => check?.off)
  const { rows, height } = outputsShape(doc)
  return (
    <article className={`card own outputs${selected ? " selected" : ""}`} aria-label={t("outputs")}>
      <header className="card-head" style={{ height: HEAD }}><span className="card-title">{t("outputs")}</span></header>
      {rows.map(({ name, height, top }) => (
        <div key={name} className="row output" style={{ top, height }}>
          <Socket node={OUTPUTS} port={name} side="input" type={types?.[name]?.type} shown={types?.[name]?.shown ?? "?"} top={ROW / 2} />
          <span className="port">{types?.[name]?.title ?? name}</span>
          <OutputMenu name={name} title={types?.[name]?.title ?? name} />
          {off?.[`output.${name}`]
            ? <p className="result text off"><Marked text={t("leftOutWith", { node: off[`output.${name}`]! })} /></p>
            : <Coming name={name} from={split(doc.outputs![name]!.from)[0]} type={types?.[name]?.shown ?? ""} />}
        </div>
      ))}
      <p className="hint" style={{ top: height - ROW - 8, height: ROW }}>{t("addOutput")}</p>
    </article>
  )
})

/** The result; while it is made again, what there is of it so far. */
function Coming({ name, from, type }: { name: string; from: string; type: string }) {
  const nodes = useDocument(({ doc }) => doc.nodes)
  const way = useDocument(({ way }) => way)
  const above = useMemo(() => upstream(nodes, from).map((node) => placed(way, node)), [nodes, from, way])
  const sweep = useSweep(({ sweep }) => sweep)
  const kind = kindOf(type)
  const key = way.length ? `${way.join("/")}.${name}` : name // inside a node, what was asked for on its wire
  const result = useRuns(({ results }) => results[key])
  const active = useRuns(({ current }) => isActive(current))
  const fresh = useRuns(({ current }) => current?.id === result?.run)
  const preview = useRuns(({ previews }) => (kind === "picture" ? above.map((node) => previews[node]).find(Boolean) : undefined))
  const text = useRuns(({ texts }) => (kind === "text" ? above.map((node) => texts[node]).find(Boolean) : undefined))
  if (sweep && !way.length) return <Suspense><SmallSheet sweep={sweep} output={name} /></Suspense>
  if (active && preview) return <img className="result coming pixels" src={preview} alt="" />
  if (active && text) return <p className="result coming text" aria-live="polite">{text}</p>
  if (result) return <div className={`shown${active && !fresh ? " stale" : ""}`}><Shown run={result.run} name={key} output={result.output} /></div>
  return <div className="result empty" />
}

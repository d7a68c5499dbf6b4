// An output in its place: pictures as they are, anything else as the server shows it. Pictures can be dragged onto inputs.
import "./results.css"
import { Maximize2 } from "lucide-react"
import { Suspense } from "react"
import type { RunOutput } from "../api/types"
import { outputUrl } from "../api/client"
import { useT } from "../app/i18n"
import { lazily } from "../app/lazily"
import { dragValue } from "./drag"
import { kindOf, pictureCount } from "./kinds"
import { view } from "./view"

const Body = lazily(() => import("./Body"))

interface Props {
  run: string
  name: string
  output: RunOutput
}

const MOST = 16

export function Shown({ run, name, output }: Props) {
  const t = useT()
  const open = (item = 0) => view({ run, output: name, key: output.key, type: output.type, summary: output.summary }, item)
  const enlarge = <button type="button" className="bare enlarge nodrag" aria-label={t("enlarge", { name })} title={t("enlarge", { name })} onClick={() => open()}><Maximize2 size={13} /></button>
  if (kindOf(output.type) === "picture") {
    const count = Math.min(pictureCount(output), MOST)
    return (
      <div className={`result images n${Math.min(count, 4)}`}>
        {Array.from({ length: count }, (_, item) => (
          <button key={item} type="button" className="image nodrag" draggable onDragStart={(event) => dragValue(event, output)} onClick={() => open(item)} aria-label={t("enlarge", { name })}>
            <img className="pixels" src={outputUrl(run, name, "file", item)} alt={t("pictureOf", { name, i: item + 1, all: count })} draggable={false} />
          </button>
        ))}
      </div>
    )
  }
  return <div className="result value nowheel" draggable={false}><Suspense><Body run={run} name={name} output={output} /></Suspense>{enlarge}</div>
}

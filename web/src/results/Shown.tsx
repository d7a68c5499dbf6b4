// An output as people look at it: a picture, a text, scores as bars.
import type { RunOutput } from "../api/types"
import { outputUrl } from "../api/client"

interface Props {
  run: string
  name: string
  output: RunOutput
}

export function Shown({ run, name, output: { type, summary } }: Props) {
  const kind = type.replace(/^list\[(.*)\]$/, "$1")
  if (kind === "Image" || kind === "Mask") {
    const count = Math.min(Number(summary.count ?? 1), 16)
    return (
      <div className={`result pictures n${Math.min(count, 4)}`}>
        {Array.from({ length: count }, (_, item) => <img key={item} className="pixels" src={outputUrl(run, name, "file", item)} alt={`${name} ${item + 1}`} draggable />)}
      </div>
    )
  }
  if (kind === "Text" || kind === "str") return <p className="result text">{String(summary.text ?? summary.value ?? "")}</p>
  return <pre className="result plain">{JSON.stringify(summary, null, 1)}</pre>
}

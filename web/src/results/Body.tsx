// An output that is no picture, as the server shows it.
import type { RunOutput } from "../api/types"
import { useShown } from "./shown"
import { useUnder } from "./under"
import { Value } from "./Value"

export default function Body({ run, name, output }: { run: string; name: string; output: RunOutput }) {
  const { value, slice } = useShown(output.key)
  const under = useUnder(run, output.type)
  return value ? <Value value={value} name={name} under={under} onSlice={slice} /> : <p className="faint">…</p>
}

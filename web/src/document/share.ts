// The open graph as text that others run: a shell script, and Python on either side of the network.
import type { Json } from "../api/types"
import { type Doc, inputValue } from "./model"

export interface Shared {
  name: string // of the saved graph
  origin: string // of the server, as in http://127.0.0.1:8383
  inputs: Record<string, Json> // as they are now
  outputs: string[]
}

/** What is to be said of a saved graph. Inputs without a value are left out. */
export function shared(name: string, doc: Doc, origin: string): Shared {
  const inputs = Object.keys(doc.inputs ?? {}).flatMap((input) => {
    const value = inputValue(doc, input)
    return value === undefined || value === null ? [] : [[input, value] as const]
  })
  return { name, origin, inputs: Object.fromEntries(inputs), outputs: Object.keys(doc.outputs ?? {}) }
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

/** Submits a run, waits for its end, and writes every output into a file. The token comes from the environment. */
export function curl({ name, origin, inputs, outputs }: Shared): string {
  const auth = `-H "Authorization: Bearer $FLOWMM_TOKEN"`
  const body = quoted(JSON.stringify({ graph: name, inputs }, null, 1))
  const lines = [
    `# FLOWMM_TOKEN is what \`flowmm serve\` printed behind ?token=`,
    `id=$(curl -sS ${origin}/api/runs ${auth} -H "Content-Type: application/json" -d ${body} | python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])')`,
    `curl -sS "${origin}/api/runs/$id?wait=60" ${auth}`,
    ...outputs.map((output) => `curl -sSOJ "${origin}/api/runs/$id/outputs/${output}" ${auth}`),
  ]
  return `${lines.join("\n")}\n`
}

/** JSON as Python writes it. */
export function python(value: Json): string {
  if (value === null) return "None"
  if (value === true) return "True"
  if (value === false) return "False"
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`
  if (typeof value === "object") return `{${Object.entries(value).map(([key, one]) => `${JSON.stringify(key)}: ${python(one)}`).join(", ")}}`
  return JSON.stringify(value)
}

const call = (inputs: Record<string, Json>): string => Object.entries(inputs).map(([name, value]) => `    ${name}=${python(value)},\n`).join("")

/** With this server's graphs and models. */
export function pythonConnect({ name, origin, inputs }: Shared): string {
  return `import os

import flowmm

server = flowmm.connect(${JSON.stringify(origin)}, token=os.environ["FLOWMM_TOKEN"])
graph = server.load(${JSON.stringify(name)})
result = graph(
${call(inputs)})
print(result)
result.save("out")
`
}

/** In the process that calls it. Pictures of this server are not there: they are named as the files that they would be. */
export function pythonLoad({ name, inputs }: Shared): string {
  const local = Object.fromEntries(Object.entries(inputs).map(([input, value]) => [input, asFiles(value)]))
  const needs = Object.keys(inputs).filter((input) => local[input] !== inputs[input])
  return `import flowmm

graph = flowmm.load(${JSON.stringify(name)})
${needs.length ? `# ${needs.join(", ")}: put the pictures beside this file\n` : ""}result = graph(
${call(local)})
print(result)
result.save("out")
`
}

/** The same value, the same object where nothing in it is a picture of this server. */
function asFiles(value: Json): Json {
  if (Array.isArray(value)) {
    const items = value.map(asFiles)
    return items.every((item, i) => item === value[i]) ? value : items
  }
  if (typeof value !== "object" || value === null) return value
  if (typeof value.upload === "string") return value.upload
  return typeof value.value === "string" ? `${value.value.slice(0, 16)}.png` : value
}

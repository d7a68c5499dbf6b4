// The graph's inputs as one card: the same form that its app has, each row the beginning of wires.
import type { NodeProps } from "@xyflow/react"
import { memo } from "react"
import type { Check } from "../api/types"
import { useT, words } from "../app/i18n"
import { setInput } from "../document/model"
import { amend, edit, useDocument } from "../document/store"
import { useTyping } from "../typing/store"
import { Field } from "../widgets/Field"
import { HEAD, inputsShape, ROW } from "./shape"
import { Socket } from "./Socket"

const NONE: Check["inputs"] = {}

export const InputsCard = memo(function InputsCard({ selected }: NodeProps) {
  const t = useT()
  const doc = useDocument(({ doc }) => doc)
  const types = useTyping(({ check }) => check?.inputs ?? NONE)
  const { rows, height } = inputsShape(doc, types)
  return (
    <article className={`card own inputs${selected ? " selected" : ""}`} aria-label={t("inputs")}>
      <header className="card-head" style={{ height: HEAD }}><span className="card-title">{t("inputs")}</span></header>
      {rows.map(({ name, kind, height, top }) => {
        const input = types[name]
        return (
          <div key={name} className={`row ${kind}`} style={{ top, height }}>
            {input ? (
              <Field
                label={words(input.title) || name} port={{ ...input, help: words(input.help) }} value={doc.inputs?.[name]?.default}
                onChange={(json, going) =>
                  (going ? (change: Parameters<typeof edit>[0]) => amend(`input.${name}`, change) : edit)((doc) => setInput(doc, name, { default: json ?? null }))
                }
              />
            ) : (
              <span className="port">{name}</span>
            )}
            <Socket node="input" port={name} side="output" type={input?.type} shown={input?.shown ?? "?"} top={ROW / 2} />
          </div>
        )
      })}
      <p className="hint" style={{ top: height - ROW - 8, height: ROW }}>{t("addInput")}</p>
    </article>
  )
})

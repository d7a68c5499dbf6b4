// A widget for one value, by its type. undefined stands for the default.
import { useId } from "react"
import { useT, words } from "../app/i18n"
import type { Bounds, Json, TypeShape, Words } from "../api/types"
import { core } from "../canvas/shape"

export interface FieldPort {
  type: TypeShape
  help: Words
  default?: unknown
  between?: Bounds
  multiline?: boolean
  source?: boolean
}

export interface FieldProps {
  label: string
  port: FieldPort
  value: Json | undefined
  /** going: more of the same kind may follow, as when somebody types. */
  onChange(value: Json | undefined, going: boolean): void
}

export function Field({ label, port, value, onChange }: FieldProps) {
  const t = useT()
  const id = useId()
  const type = core(port.type)
  const shown = value === undefined ? (port.default as Json | undefined) : value
  const hint = shown === null || shown === undefined ? t("default") : ""
  const common = { id, className: "nodrag nowheel", "aria-label": label, title: words(port.help) }
  if (type?.kind === "plain" && type.name === "bool")
    return (
      <label className="field check" title={words(port.help)}>
        <input {...common} type="checkbox" checked={shown === true} onChange={({ target }) => onChange(target.checked, false)} />
        {label}
      </label>
    )
  return (
    <div className="field">
      <label htmlFor={id} title={words(port.help)}>{label}</label>
      {type?.kind === "choice" ? (
        <select {...common} value={String(shown ?? "")} onChange={({ target }) => onChange(target.value === "" ? undefined : target.value, false)}>
          <option value="">{hint || String(port.default ?? "")}</option>
          {type.values?.map((one) => <option key={String(one)} value={String(one)}>{String(one)}</option>)}
        </select>
      ) : type?.name === "int" || type?.name === "float" || type?.name === "Seed" ? (
        <input
          {...common} type="number" min={port.between?.low} max={port.between?.high} step={port.between?.step ?? (type.name === "float" ? "any" : 1)}
          placeholder={hint} value={typeof shown === "number" ? shown : ""}
          onChange={({ target }) => onChange(target.value === "" ? undefined : Number(target.value), true)}
        />
      ) : type?.name === "Text" || port.multiline ? (
        <textarea
          {...common} placeholder={hint} value={Array.isArray(shown) ? shown.join("\n") : String(shown ?? "")}
          onChange={({ target }) => onChange(target.value, true)}
        />
      ) : (
        <input {...common} type="text" placeholder={hint} value={String(shown ?? "")} onChange={({ target }) => onChange(target.value, true)} />
      )}
    </div>
  )
}

// A drop-down; searched where there is much to choose from.
import { ChevronDown } from "lucide-react"
import { useMemo, useRef, useState } from "react"
import type { Json } from "../api/types"
import { type Key, useT } from "../app/i18n"
import { type WidgetProps, choices } from "./kind"
import { Picker } from "./Picker"

const MANY = 8
const NAMED = new Map<Json, Key>([[null, "auto"], [true, "yes"], [false, "no"]])

export function Choice({ id, label, port, shown, isDefault, change }: WidgetProps) {
  const t = useT()
  const button = useRef<HTMLButtonElement>(null)
  const [open, setOpen] = useState(false)
  const { values, free } = useMemo(() => choices(port), [port])
  const name = (value: Json) => (NAMED.has(value) ? t(NAMED.get(value)!) : String(value))
  const step = (by: number) => {
    const next = values[values.indexOf(shown ?? null) + by]
    if (next !== undefined) change(next)
  }
  return (
    <>
      <button
        ref={button} id={id} type="button" className={`control choice${isDefault ? " default" : ""}`} role="combobox" aria-label={label} aria-expanded={open} aria-haspopup="listbox" aria-controls={open ? `${id}-list` : undefined}
        onClick={() => setOpen(true)}
        onKeyDown={(event) => {
          if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return
          event.preventDefault()
          if (event.altKey) setOpen(true)
          else step(event.key === "ArrowDown" ? 1 : -1)
        }}
      >
        <span>{name(shown ?? null)}</span>
        <ChevronDown size={13} aria-hidden />
      </button>
      {open && (
        <Picker
          id={`${id}-list`} anchor={button} label={label} value={shown ?? null} search={free || values.length > MANY} free={free}
          options={values.map((value) => ({ value, label: name(value), ...(value === port.default && { detail: t("default") }) }))}
          onPick={(value) => change(value)} onClose={() => setOpen(false)}
        />
      )}
    </>
  )
}

// A list to pick one thing from, searched as one types; the same for drop-downs and models.
import { Check } from "lucide-react"
import { type ReactNode, type RefObject, useEffect, useMemo, useRef, useState } from "react"
import type { Json } from "../api/types"
import { useT } from "../app/i18n"
import { Floating } from "./Floating"

export interface Option {
  value: Json
  label: string
  detail?: string
  title?: string
  group?: string
  faded?: boolean
}

interface Props {
  id: string // of the list, which what opens it controls
  anchor: RefObject<HTMLElement | null>
  label: string
  options: Option[]
  value: Json | undefined
  search: boolean
  free?: boolean // what is typed may be picked, too
  above?: ReactNode
  onPick(value: Json): void
  onClose(): void
}

const fold = (text: string) => text.toLowerCase().replace(/[\s_-]/g, "")

export function Picker({ id, anchor, label, options, value, search, free = false, above, onPick, onClose }: Props) {
  const t = useT()
  const list = useRef<HTMLDivElement>(null)
  const [wanted, setWanted] = useState("")
  const found = useMemo(() => {
    const fitting = options.filter((one) => fold(`${one.label}${one.detail ?? ""}`).includes(fold(wanted)))
    const typed = wanted.trim()
    return free && typed && !options.some((one) => one.value === typed) ? [...fitting, { value: typed, label: t("useTyped", { text: typed }) }] : fitting
  }, [options, wanted, free, t])
  const chosen = Math.max(0, found.findIndex((one) => one.value === value))
  const [at, setAt] = useState(chosen)
  useEffect(() => setAt(wanted ? 0 : chosen), [wanted]) // eslint: as the list narrows its first is the likeliest
  useEffect(() => void list.current?.querySelector(`[data-at="${at}"]`)?.scrollIntoView?.({ block: "nearest" }), [at, found])
  const pick = (one: Option | undefined) => {
    if (!one) return
    onPick(one.value)
    onClose()
  }
  const onKeyDown = (event: React.KeyboardEvent) => {
    const moves: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + 8, PageUp: at - 8, ...(search ? {} : { Home: 0, End: found.length - 1 }) }
    const to = moves[event.key]
    if (to !== undefined) setAt(Math.max(0, Math.min(found.length - 1, to)))
    else if (event.key === "Enter" && !event.nativeEvent.isComposing) pick(found[at])
    else if (!search && event.key.length === 1 && event.key !== " ") {
      const next = found.findIndex((one, i) => i > at && fold(one.label).startsWith(fold(event.key)))
      setAt(next >= 0 ? next : Math.max(0, found.findIndex((one) => fold(one.label).startsWith(fold(event.key)))))
    } else if (!search && event.key === " ") pick(found[at])
    else return
    event.preventDefault()
  }
  const active = found[at] ? `${id}-${at}` : undefined
  return (
    <Floating anchor={anchor} label={label} className="picker" onClose={onClose}>
      {above}
      {search && (
        <input
          className="picker-search" role="combobox" aria-expanded aria-controls={id} aria-activedescendant={active} aria-label={t("search")} autoFocus
          placeholder={t(free ? "searchOrType" : "search")} value={wanted} spellCheck={false} onChange={({ target }) => setWanted(target.value)} onKeyDown={onKeyDown}
        />
      )}
      <div
        ref={list} id={id} className="picker-list" role="listbox" aria-label={label}
        {...(!search && { tabIndex: 0, autoFocus: true, "aria-activedescendant": active, onKeyDown })}
      >
        {found.map((one, i) => (
          <div key={`${one.group ?? ""}${JSON.stringify(one.value)}`}>
            {one.group !== undefined && one.group !== found[i - 1]?.group && <p className="picker-group">{one.group}</p>}
            <div
              id={`${id}-${i}`} data-at={i} role="option" aria-selected={one.value === value} className={`picker-option${i === at ? " active" : ""}${one.faded ? " faded" : ""}`}
              title={one.title} onPointerMove={() => setAt(i)} onClick={() => pick(one)}
            >
              <span className="picker-label">{one.label}</span>
              {one.detail && <span className="picker-detail">{one.detail}</span>}
              {one.value === value && <Check size={13} aria-hidden />}
            </div>
          </div>
        ))}
        {!found.length && <p className="picker-none">{t("nothingFound")}</p>}
      </div>
    </Floating>
  )
}

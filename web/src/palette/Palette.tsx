// Everything that can be put on the surface, found by typing: nodes by room, notes, groups, saved graphs.
import "./palette.css"
import { Frame, LayoutTemplate, Search, StickyNote } from "lucide-react"
import { Popover } from "radix-ui"
import { useEffect, useMemo, useRef, useState } from "react"
import { api } from "../api/client"
import type { ListedGraph, TypeShape } from "../api/types"
import { useCatalogue } from "../app/catalogue"
import { say, useT, words } from "../app/i18n"
import { colourOf, isHandle, isListType } from "../canvas/colours"
import { hold, letGo, useHeld } from "../canvas/held"
import { currentDoc } from "../document/store"
import { pick } from "./pick"
import { type Entry, found, graphEntries, grouped, nodeEntries, prepare, sentence } from "./search"
import { type Asked, closePalette, recent, usePalette } from "./store"

export function Palette() {
  const asked = usePalette(({ asked }) => asked)
  if (!asked) return null
  const [x, y] = asked.screen
  return (
    <Popover.Root open onOpenChange={(open) => !open && (closePalette(), letGo())}>
      <Popover.Anchor asChild><span className="menu-anchor" style={{ left: x, top: y }} /></Popover.Anchor>
      <Popover.Portal>
        <Popover.Content className="palette" align="start" sideOffset={4} collisionPadding={12} aria-label={say("addNode")}><List asked={asked} /></Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  )
}

function List({ asked }: { asked: Asked }) {
  const t = useT()
  const nodes = useCatalogue(({ nodes }) => nodes)
  const type = useHeld(({ type }) => type)
  const fits = useHeld(({ nodes, fits }) => (fits ? nodes : null))
  const [graphs, setGraphs] = useState<ListedGraph[]>([])
  const [text, setText] = useState("")
  const [at, setAt] = useState(0)
  const [choice, setChoice] = useState<Entry | null>(null)
  const list = useRef<HTMLUListElement>(null)
  const { end } = asked
  useEffect(() => {
    if (end && !useHeld.getState().end) void hold(end)
    if (!end) api.graphs().then(setGraphs, () => undefined)
  }, [end])
  const entries = useMemo(() => {
    if (!nodes || (end && !fits)) return []
    const more: Entry[] = end ? [] : [
      { id: "note", kind: "note", room: "more", title: { en: "Note", zh: "便签" }, help: t("noteHelp"), tags: ["markdown"], inputs: [], outputs: [] },
      { id: "group", kind: "group", room: "more", title: { en: "Group", zh: "分组" }, help: t("groupHelp"), tags: ["frame"], inputs: [], outputs: [] },
    ]
    return [...nodeEntries(nodes, end ? fits : null), ...more, ...graphEntries(graphs, currentDoc().graphs ?? {})]
  }, [nodes, end, fits, graphs, t])
  const prepared = useMemo(() => prepare(entries), [entries])
  const sections = useMemo(() => (text.trim() ? [{ room: "", entries: found(text, prepared) }] : grouped(entries, recent())), [text, prepared, entries])
  const flat = sections.flatMap(({ entries }) => entries)
  useEffect(() => void list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" }), [at, text]) // a promise, in newer browsers

  const take = (entry: Entry | undefined) => {
    if (entry && (entry.ports?.length ?? 0) > 1 && !text.includes(".")) setChoice(entry)
    else if (entry) void pick(entry, asked)
  }
  if (choice) return <Choice entry={choice} asked={asked} back={() => setChoice(null)} />
  let index = -1
  return (
    <>
      <div className="palette-search">
        <Search size={14} />
        <input
          autoFocus role="combobox" aria-expanded aria-controls="palette-list" aria-activedescendant={flat[at] ? `palette-${at}` : undefined} aria-label={t("addNode")}
          placeholder={end ? t("fitting", { type: type || "…" }) : t("searchNodes")} value={text} onChange={({ target }) => (setText(target.value), setAt(0))}
          onKeyDown={(event) => {
            const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key]
            if (step) setAt((now) => Math.max(0, Math.min(flat.length - 1, now + step)))
            else if (event.key === "Enter" && !event.nativeEvent.isComposing) take(flat[at])
            else return
            event.preventDefault()
          }}
        />
      </div>
      <ul id="palette-list" role="listbox" ref={list} aria-label={t("addNode")}>
        {sections.map(({ room, entries }) => (
          <li key={room} role="presentation">
            {room && <h3 role="presentation">{roomName(room)}</h3>}
            <ul role="presentation">
              {entries.map((entry) => {
                index += 1
                return <Line key={entry.id} entry={entry} index={index} chosen={index === at} point={setAt} take={take} />
              })}
            </ul>
          </li>
        ))}
      </ul>
      {!flat.length && <p className="palette-none">{end && !fits ? t("asking") : t("noneFound")}</p>}
    </>
  )
}

const ROOMS = { recent: "roomRecent", graphs: "roomGraphs", defined: "roomDefined", more: "roomMore" } as const
const isOwnRoom = (room: string): room is keyof typeof ROOMS => room in ROOMS
const roomName = (room: string): string => (isOwnRoom(room) ? say(ROOMS[room]) : room)

interface LineProps {
  entry: Entry
  index: number
  chosen: boolean
  point(index: number): void
  take(entry: Entry): void
}

function Line({ entry, index, chosen, point, take }: LineProps) {
  const Icon = { note: StickyNote, group: Frame, graph: LayoutTemplate, node: null }[entry.kind]
  return (
    <li id={`palette-${index}`} role="option" aria-selected={chosen} data-op={entry.id} onPointerMove={() => !chosen && point(index)} onClick={() => take(entry)}>
      <b>{Icon && <Icon size={13} />}{words(entry.title)}</b>
      <Dots inputs={entry.inputs} outputs={entry.outputs} />
      <span title={words(entry.help)}>{sentence(words(entry.help))}</span>
    </li>
  )
}

/** What goes in and what comes out, as the colours of its sockets. */
function Dots({ inputs, outputs }: Pick<Entry, "inputs" | "outputs">) {
  const coloured = inputs.filter((type) => colourOf(type) !== "var(--plain)")
  if (!inputs.length && !outputs.length) return null
  return (
    <span className="dots" aria-hidden>
      {coloured.map((type, i) => <Dot key={i} type={type} />)}
      <i className="dots-to">›</i>
      {outputs.map((type, i) => <Dot key={`o${i}`} type={type} />)}
    </span>
  )
}

const Dot = ({ type }: { type: TypeShape }) =>
  <i className={`dot${isListType(type) ? " list" : ""}${isHandle(type) ? " hollow" : ""}`} style={{ "--socket": colourOf(type) } as React.CSSProperties} />

/** The wire fits several ports of what was picked. */
function Choice({ entry, asked, back }: { entry: Entry; asked: Asked; back(): void }) {
  const t = useT()
  return (
    <div
      className="palette-choice" role="group" aria-label={t("whichPort", { name: words(entry.title) })}
      onKeyDown={(event) => {
        const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key] as "nextElementSibling" | "previousElementSibling" | undefined
        const next = step && document.activeElement?.[step]
        if (next instanceof HTMLElement) next.focus()
        else if (event.key === "ArrowLeft") back()
      }}
    >
      <h3>{t("whichPort", { name: words(entry.title) })}</h3>
      {entry.ports?.map((port, i) => <button key={port} type="button" className="menu-item" autoFocus={i === 0} onClick={() => void pick(entry, asked, port)}>{port}</button>)}
    </div>
  )
}

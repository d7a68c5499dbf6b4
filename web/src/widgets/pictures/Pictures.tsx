// One picture or several: uploaded, pasted, dropped, or taken from earlier ones.
import "./pictures.css"
import { Images, Loader, Plus, Upload, X } from "lucide-react"
import { type ClipboardEvent, type DragEvent, type KeyboardEvent, type ReactNode, useRef, useState } from "react"
import { useT } from "../../app/i18n"
import { useDocument } from "../../document/store"
import type { WidgetProps } from "../kind"
import { Earlier } from "./Earlier"
import { useTaking } from "./take"
import { type Picture, carried, keyOf, moved, nameOf, pictureUrl, picturesOf, valueOf } from "./value"

interface Props extends WidgetProps {
  single?: boolean // a new one takes the place of what is there
  also?: ReactNode // more buttons
}

const TYPES = "image/png,image/jpeg,image/webp"
const DRAGGED = "application/x-flowmm-place" // of a picture that changes its place among several

export default function Pictures({ id, label, shown, isDefault, change, single = false, also }: Props) {
  const t = useT()
  const graph = useDocument(({ name }) => name)
  const file = useRef<HTMLInputElement>(null)
  const zone = useRef<HTMLDivElement>(null)
  const { busy, fault, take, fail } = useTaking()
  const [picking, setPicking] = useState(false)
  const [over, setOver] = useState(false)
  const adding = useRef(false) // beside what is there, not in its place
  const pictures = picturesOf(shown)
  const put = (added: Picture[]) => {
    const kept = adding.current && !single ? pictures : []
    adding.current = false
    fail("")
    change(valueOf([...kept, ...(single ? added.slice(0, 1) : added)]))
  }
  const ask = (more: boolean) => {
    adding.current = more
    file.current?.click()
  }
  const without = (at: number) => change(valueOf(pictures.filter((_, i) => i !== at)))
  const receive = (event: DragEvent | ClipboardEvent, data: DataTransfer) => {
    const { files, picture } = carried(data)
    if (!files.length && !picture && event.type === "paste") return
    event.preventDefault()
    event.stopPropagation()
    setOver(false)
    adding.current = pictures.length > 1
    if (picture) put([picture])
    else void take(files, put)
  }
  const onKeyDown = (event: KeyboardEvent, at: number) => {
    const by = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key]
    if (event.key === "Delete" || event.key === "Backspace") without(at)
    else if (by && event.shiftKey) change(valueOf(moved(pictures, at, at + by)))
    else if (by) zone.current?.querySelectorAll<HTMLElement>(".picture-tile")[at + by]?.focus()
    else return
    event.preventDefault()
    event.stopPropagation()
    if (by && event.shiftKey) requestAnimationFrame(() => zone.current?.querySelectorAll<HTMLElement>(".picture-tile")[at + by]?.focus())
  }
  return (
    <div
      ref={zone} className={`pictures${over ? " over" : ""}${isDefault ? " default" : ""}`} data-count={Math.min(pictures.length, 5)} onPaste={(event) => receive(event, event.clipboardData)}
      onDragOver={(event) => (event.preventDefault(), event.stopPropagation(), setOver(true))} onDragLeave={() => setOver(false)}
      onDrop={(event) => !event.dataTransfer.types.includes(DRAGGED) && receive(event, event.dataTransfer)}
    >
      <input
        ref={file} type="file" hidden accept={TYPES} multiple={!single} aria-hidden tabIndex={-1}
        onChange={({ target }) => {
          void take([...(target.files ?? [])], put)
          target.value = ""
        }}
      />
      {pictures.length === 0 && <button id={id} type="button" className="picture-none" aria-label={label} onClick={() => ask(false)}><Upload size={16} />{t("dropPicture")}</button>}
      {pictures.map((one, i) => (
        <Tile
          key={`${i} ${keyOf(one)}`} id={i === 0 ? id : undefined} url={pictureUrl(one, graph, pictures.length > 1 ? 128 : 256)} name={nameOf(one)}
          label={pictures.length > 1 ? `${label} · ${t("picture", { n: i + 1, count: pictures.length })}` : label} onRemove={() => without(i)} onKeyDown={(event) => onKeyDown(event, i)}
          place={pictures.length > 1 ? i : null} onPlace={(from) => change(valueOf(moved(pictures, from, i)))}
        />
      ))}
      <span className="picture-tools">
        {!single && pictures.length > 0 && <Tool icon={Plus} label={label} words={t("addPicture")} run={() => ask(true)} />}
        <Tool icon={Upload} label={label} words={t("upload")} run={() => ask(false)} />
        <Tool icon={Images} label={label} words={t("fromEarlier")} run={() => setPicking(true)} />
        {also}
      </span>
      {busy && <span className="picture-busy"><Loader size={16} className="spin" aria-label={t("uploading")} /></span>}
      {fault && <span className="fault" role="alert">{fault}</span>}
      {picking && (
        <Earlier
          anchor={zone} label={label} onClose={() => setPicking(false)}
          onPick={(picture) => {
            adding.current = pictures.length > 1
            put([picture])
          }}
        />
      )}
    </div>
  )
}

interface TileProps {
  id: string | undefined
  url: string
  name: string
  label: string
  place: number | null // among several
  onRemove(): void
  onPlace(from: number): void
  onKeyDown(event: KeyboardEvent): void
}

function Tile({ id, url, name, label, place, onRemove, onPlace, onKeyDown }: TileProps) {
  const t = useT()
  const [lost, setLost] = useState(false)
  return (
    <div
      id={id} className="picture-tile" tabIndex={0} role="group" aria-label={label} aria-description={place === null ? name : `${name}. ${t("moveHelp")}`} onKeyDown={onKeyDown}
      draggable={place !== null} onDragStart={(event) => event.dataTransfer.setData(DRAGGED, String(place))}
      onDrop={(event) => {
        const from = event.dataTransfer.getData(DRAGGED)
        if (from) onPlace(Number(from))
      }}
    >
      {lost ? <span className="picture-lost">{name}<small>{t("cannotShow")}</small></span> : <img src={url} alt="" draggable={false} onError={() => setLost(true)} />}
      <button type="button" className="picture-remove" tabIndex={-1} aria-label={`${label} · ${t("removePicture")}`} data-help={t("removePicture")} onClick={onRemove}><X size={12} /></button>
    </div>
  )
}

interface ToolProps {
  icon: typeof Plus
  label: string
  words: string
  run(): void
}

export function Tool({ icon: Icon, label, words, run }: ToolProps) {
  return <button type="button" className="picture-tool" aria-label={`${label} · ${words}`} data-help={words} onClick={run}><Icon size={14} /></button>
}

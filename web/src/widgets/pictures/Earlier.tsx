// Pictures that are here already: what runs gave, and what was uploaded.
import { type RefObject, useEffect, useState } from "react"
import { Tabs } from "radix-ui"
import { api } from "../../api/client"
import { useT } from "../../app/i18n"
import { Floating } from "../Floating"
import { type Picture, keyOf, pictureUrl } from "./value"

interface Props {
  anchor: RefObject<HTMLElement | null>
  label: string
  onPick(picture: Picture): void
  onClose(): void
}

interface Seen {
  picture: Picture
  title: string
}

const PAGE = 60
const PICTURES = /^(list\[)?(Image|Mask)\]?$/

export function Earlier({ anchor, label, onPick, onClose }: Props) {
  const t = useT()
  const pick = (picture: Picture) => {
    onPick(picture)
    onClose()
  }
  return (
    <Floating anchor={anchor} label={`${label} · ${t("fromEarlier")}`} className="earlier" onClose={onClose}>
      <Tabs.Root defaultValue="results">
        <Tabs.List className="earlier-tabs" aria-label={t("fromEarlier")}>
          <Tabs.Trigger value="results">{t("results")}</Tabs.Trigger>
          <Tabs.Trigger value="uploads">{t("uploads")}</Tabs.Trigger>
        </Tabs.List>
        <Tabs.Content value="results"><Results onPick={pick} /></Tabs.Content>
        <Tabs.Content value="uploads"><Uploads onPick={pick} /></Tabs.Content>
      </Tabs.Root>
    </Floating>
  )
}

function Results({ onPick }: Pick<Props, "onPick">) {
  const [seen, setSeen] = useState<Seen[] | null>(null)
  const [last, setLast] = useState<number | null>(null)
  const more = async (before?: number) => {
    const items = await api.gallery({ before, limit: PAGE }).catch(() => [])
    const found = items.filter(({ type }) => PICTURES.test(type)).map(({ key, title, name }) => ({ picture: { value: key }, title: title || name }))
    setSeen((now) => [...(now ?? []), ...found])
    setLast(items.length === PAGE ? items[PAGE - 1]!.number : null)
  }
  useEffect(() => void more(), [])
  return <Thumbs seen={seen} onPick={onPick} more={last === null ? undefined : () => void more(last)} />
}

function Uploads({ onPick }: Pick<Props, "onPick">) {
  const [seen, setSeen] = useState<Seen[] | null>(null)
  useEffect(() => {
    api.uploads().then(
      (all) => setSeen(all.map(({ id, width, height }) => ({ picture: { upload: id }, title: `${width}×${height}` }))),
      () => setSeen([]),
    )
  }, [])
  return <Thumbs seen={seen} onPick={onPick} />
}

function Thumbs({ seen, onPick, more }: { seen: Seen[] | null; onPick: Props["onPick"]; more?(): void }) {
  const t = useT()
  if (!seen) return <div className="earlier-grid" />
  const once = seen.filter(({ picture }, i) => seen.findIndex((one) => keyOf(one.picture) === keyOf(picture)) === i)
  return (
    <div className="earlier-grid">
      {once.map(({ picture, title }) => (
        <button key={keyOf(picture)} type="button" title={title} aria-label={title} onClick={() => onPick(picture)}><img src={pictureUrl(picture, "", 160)} alt="" loading="lazy" /></button>
      ))}
      {!once.length && <p className="picker-none">{t("nonePicture")}</p>}
      {more && <button type="button" className="earlier-more" onClick={more}>{t("morePictures")}</button>}
    </div>
  )
}

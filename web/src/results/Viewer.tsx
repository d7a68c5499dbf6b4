// The large view of a result: looked at closely, compared with another, taken away, or its graph brought back.
import "./results.css"
import { ChevronLeft, ChevronRight, Columns2, Download, FlipHorizontal2, Minus, Plus, Square, Undo2, X } from "lucide-react"
import { Dialog } from "radix-ui"
import { useEffect, useState } from "react"
import { api, outputUrl, valueUrl } from "../api/client"
import type { GalleryItem, Run } from "../api/types"
import { useT } from "../app/i18n"
import { tellError } from "../app/toasts"
import { ago } from "../panels/numbers"
import { Given } from "../panels/Past"
import { restore } from "../panels/restore"
import Body from "./Body"
import { dragValue } from "./drag"
import { aloud, firstWords, itemType, kindOf, pictureCount } from "./kinds"
import { Slider } from "./Slider"
import { type Sight, Stage, WHOLE, zoomed } from "./Stage"
import { closeView, compare, useView, view, type Viewed } from "./view"

export default function Viewer() {
  const shown = useView(({ shown }) => shown)
  return <Dialog.Root open={shown !== null} onOpenChange={(open) => !open && closeView()}>{shown && <Open shown={shown} />}</Dialog.Root>
}

function Open({ shown }: { shown: Viewed }) {
  const t = useT()
  const other = useView(({ other }) => other)
  const [sight, setSight] = useState<Sight>(WHOLE)
  const [slider, setSlider] = useState(false)
  useEffect(() => setSight(WHOLE), [shown.key])
  const picture = kindOf(shown.type) === "picture"
  const both = picture && other !== null && kindOf(other.type) === "picture"
  return (
    <Dialog.Portal>
      <Dialog.Overlay className="viewer-veil" />
      <Dialog.Content className="viewer" aria-describedby={undefined}>
        <header>
          <Dialog.Title>{shown.output}</Dialog.Title>
          {picture && <Zoom setSight={setSight} />}
          {both && (
            <button type="button" className="button small" aria-pressed={slider} onClick={() => setSlider(!slider)}>
              {slider ? <Columns2 size={13} /> : <FlipHorizontal2 size={13} />}{t(slider ? "sideBySide" : "slider")}
            </button>
          )}
          {other && <button type="button" className="button small" onClick={() => view(shown)}><Square size={12} />{t("noCompare")}</button>}
          <Dialog.Close className="bare" aria-label={t("close")}><X size={16} /></Dialog.Close>
        </header>
        <div className="viewer-body">
          {both && slider ? <Slider left={shown} right={other} sight={sight} setSight={setSight} /> : (
            <>
              <Side shown={shown} sight={sight} setSight={setSight} />
              {other && <Side shown={other} sight={sight} setSight={setSight} />}
            </>
          )}
          {!other && <About key={shown.run} shown={shown} />}
        </div>
      </Dialog.Content>
    </Dialog.Portal>
  )
}

type Seeing = { sight: Sight; setSight: (change: (before: Sight) => Sight) => void }

function Zoom({ setSight }: Pick<Seeing, "setSight">) {
  const t = useT()
  return (
    <span className="zoom">
      <button type="button" className="bare" aria-label={t("farther")} title={t("farther")} onClick={() => setSight((before) => zoomed(before, 1 / 1.5))}><Minus size={14} /></button>
      <button type="button" className="bare" onClick={() => setSight(() => WHOLE)}>{t("wholePicture")}</button>
      <button type="button" className="bare" aria-label={t("nearer")} title={t("nearer")} onClick={() => setSight((before) => zoomed(before, 1.5))}><Plus size={14} /></button>
    </span>
  )
}

/** One of the results: a picture of its batch, or the whole of anything else. */
function Side({ shown, ...seeing }: { shown: Viewed } & Seeing) {
  return kindOf(shown.type) === "picture" ? <OnePicture shown={shown} {...seeing} /> : <div className="whole"><Body run={shown.run} name={shown.output} output={shown} /></div>
}

function OnePicture({ shown, sight, setSight }: { shown: Viewed } & Seeing) {
  const t = useT()
  const first = useView(({ item }) => item)
  const all = pictureCount(shown)
  const [item, setItem] = useState(Math.min(first, all - 1))
  useEffect(() => setItem(Math.min(first, all - 1)), [shown.key, first, all])
  return (
    <figure className="side-picture">
      <Stage sight={sight} setSight={setSight} label={t("pictureOf", { name: shown.output, i: item + 1, all })}>
        <img className="pixels" src={outputUrl(shown.run, shown.output, "file", item)} alt={t("pictureOf", { name: shown.output, i: item + 1, all })} draggable={false} />
      </Stage>
      <figcaption>
        {all > 1 && <button type="button" className="bare" aria-label={t("previous")} disabled={item === 0} onClick={() => setItem(item - 1)}><ChevronLeft size={16} /></button>}
        <span>{shown.title ? `${shown.title} · ` : ""}{shown.output}{all > 1 && ` · ${item + 1} / ${all}`}{shown.summary.width ? ` · ${shown.summary.width}×${shown.summary.height}` : ""}</span>
        {all > 1 && <button type="button" className="bare" aria-label={t("next")} disabled={item === all - 1} onClick={() => setItem(item + 1)}><ChevronRight size={16} /></button>}
      </figcaption>
    </figure>
  )
}

/** What made it, and what one may do with it. */
function About({ shown }: { shown: Viewed }) {
  const t = useT()
  const [run, setRun] = useState<Run | null>(null)
  useEffect(() => void api.readRun(shown.run).then(setRun, () => {}), [shown.run])
  const file = kindOf(shown.type) === "other" && !["Score", "Labels", "str", "int", "float", "bool"].includes(itemType(shown.type)) ? undefined : outputUrl(shown.run, shown.output)
  return (
    <aside className="about">
      {run && <p><span>{t("madeBy")}</span><b>{run.title || run.name || run.id}</b>{run.finished && <em>{ago(run.finished)}</em>}</p>}
      {run && Object.keys(run.inputs ?? {}).length > 0 && <section><h3>{t("inputsWere")}</h3><Given inputs={run.inputs ?? {}} /></section>}
      <div className="actions">
        {file && <a className="button small" href={file} download draggable onDragStart={(event) => dragValue(event, shown, shown)}><Download size={13} />{t("download")}</a>}
        <button type="button" className="button small" title={t("restoreHint")} onClick={() => void restore(shown.run).then(closeView, tellError)}><Undo2 size={13} />{t("restore")}</button>
      </div>
      <Others shown={shown} />
    </aside>
  )
}

/** Other results of the same kind, to compare with. */
function Others({ shown }: { shown: Viewed }) {
  const t = useT()
  const [items, setItems] = useState<GalleryItem[]>([])
  useEffect(() => void api.gallery({ limit: 24, types: [shown.type] }).then(setItems, () => {}), [shown.type])
  const others = items.filter(({ key }, i) => key !== shown.key && items.findIndex((one) => one.key === key) === i) // the same value twice is nothing to compare
  if (!others.length) return null
  return (
    <section>
      <h3>{t("compareWith")}</h3>
      <ul className="tiles small">
        {others.map((item) => {
          const words = kindOf(item.type) === "picture" ? "" : firstWords(item) || item.type
          const name = aloud(`${t("compare")}: ${item.title || item.name} · ${item.output}`, words)
          return (
            <li key={item.number}>
              <button type="button" className="tile" title={item.title || item.name} aria-label={name} onClick={() => compare(shown, item)}>
                {words ? <span className="words">{words}</span> : <img className="pixels" src={valueUrl(item.key, "thumbnail", 0, 128)} alt="" loading="lazy" />}
              </button>
            </li>
          )
        })}
      </ul>
    </section>
  )
}

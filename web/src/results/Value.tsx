// A value as people look at it: texts, scores as bars, labels as chips, maps of numbers as heat maps, lists of these.
import { Check, Copy } from "lucide-react"
import { useState } from "react"
import type { NumberMap, ShownValue } from "../api/types"
import { useT } from "../app/i18n"
import { HeatMap } from "./HeatMap"
import { short } from "./scale"

interface Props {
  value: ShownValue
  name: string
  pictures?: string[] // addresses, where it has some
  under?: string // a picture that a map may lie over
  onSlice?: (item: number) => void // asks for another slice of a stack of maps
}

export function Value({ value, name, pictures, under, onSlice }: Props) {
  const t = useT()
  switch (value.kind) {
    case "pictures":
      return pictures?.length ? <Pictures urls={pictures} name={name} /> : <p className="faint">{value.count} × {value.width}×{value.height}</p>
    case "texts":
      return <Texts lines={value.lines ?? []} cut={value.cut ?? false} />
    case "table":
      return <Table value={value} name={name} />
    case "labels":
      return <div className="labels">{value.labels?.map((labels, i) => <Labels key={i} labels={labels} />)}</div>
    case "maps":
      return <Maps value={value} name={name} under={under} onSlice={onSlice} />
    case "list":
      return (
        <ol className="items">
          {value.items?.map((item, i) => <li key={i}><Value value={item} name={`${name} ${i + 1}`} pictures={pictures?.slice(i, i + 1)} under={under} /></li>)}
          {(value.count ?? 0) > (value.items?.length ?? 0) && <li className="faint">{t("more_items", { n: value.count! - value.items!.length })}</li>}
        </ol>
      )
    default:
      return <Plain value={value.value} />
  }
}

export function Pictures({ urls, name }: { urls: string[]; name: string }) {
  return <div className={`images n${Math.min(urls.length, 4)}`}>{urls.map((url, i) => <img key={i} className="pixels" src={url} alt={`${name} ${i + 1}`} />)}</div>
}

function Texts({ lines, cut }: { lines: string[]; cut: boolean }) {
  const t = useT()
  return (
    <div className="texts">
      <CopyButton text={lines.join("\n")} />
      {lines.map((line, i) => <p key={i}>{line}</p>)}
      {cut && <p className="faint">{t("cutText")}</p>}
    </div>
  )
}

const PAUSE = 1500 // ms

export function CopyButton({ text }: { text: string }) {
  const t = useT()
  const [done, setDone] = useState(false)
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(text)
    setDone(true)
    window.setTimeout(() => setDone(false), PAUSE)
  }
  return (
    <button type="button" className="bare copy nodrag" aria-label={t(done ? "copiedText" : "copyText")} title={t(done ? "copiedText" : "copyText")} onClick={() => void copy()}>
      {done ? <Check size={13} /> : <Copy size={13} />}
    </button>
  )
}

const MOST_BARS = 60

/** Few numbers as bars, a row or column of them each under its name; many as a heat map. */
function Table({ value: { rows = [], columns = [], values = [], shape = [] }, name }: { value: ShownValue; name: string }) {
  const t = useT()
  const count = (shape[0] ?? 0) * (shape[1] ?? 0)
  if (!count) return <p className="faint">{t("empty")}</p>
  if (count > MOST_BARS || (values.length > 8 && (values[0]?.length ?? 0) > 3)) return <HeatMap values={values} rows={named(rows, values.length)} columns={named(columns, values[0]!.length)} label={name} />
  const flip = values.length === 1 && values[0]!.length > 1 // one row reads better as a column
  const table = flip ? values[0]!.map((one) => [one]) : values
  const [names, heads] = flip ? [columns, rows] : [rows, columns]
  const most = Math.max(...table.flat().map((one) => Math.abs(one ?? 0)), Number.MIN_VALUE)
  const between01 = table.flat().every((one) => one === null || (one >= 0 && one <= 1))
  const several = table[0]!.length > 1
  return (
    <table className="bars">
      {several && <thead><tr><td />{table[0]!.map((_, i) => <th key={i} scope="col" title={heads[i]}>{heads[i] ?? `#${i + 1}`}</th>)}</tr></thead>}
      <tbody>
        {table.map((row, i) => (
          <tr key={i}>
            <th scope="row" title={names[i]}>{names[i] ?? `#${i + 1}`}</th>
            {row.map((one, j) => (
              <td key={j}><span className={(one ?? 0) < 0 ? "share below" : "share"}><i style={{ width: `${(100 * Math.abs(one ?? 0)) / (between01 ? 1 : most)}%` }} /></span><b>{short(one)}</b></td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  )
}

const named = (names: string[], count: number): string[] | undefined => (names.length === count ? names : undefined)

export function Labels({ labels }: { labels: { label: string; probability: number }[] }) {
  return (
    <ul className="chips">
      {labels.map(({ label, probability }, i) => (
        <li key={label} className={i === 0 ? "best" : ""} style={{ "--share": `${100 * probability}%` } as React.CSSProperties}>{label}<b>{percent(probability)}</b></li>
      ))}
    </ul>
  )
}

const percent = (share: number): string => (share >= 0.9995 ? "100%" : share >= 0.1 ? `${(100 * share).toFixed(1)}%` : share >= 1e-4 ? `${(100 * share).toPrecision(2)}%` : "<0.01%")

function Maps({ value: { maps = [], over, value }, name, under, onSlice }: Omit<Props, "pictures">) {
  return (
    <div className="maps">
      {maps.map((map, i) => <OneMap key={map.name} map={map} name={map.name || name} under={over && under} onSlice={i === 0 ? onSlice : undefined} />)}
      {value !== undefined && <Plain value={value} />}
    </div>
  )
}

function OneMap({ map, name, under, onSlice }: { map: NumberMap; name: string; under?: string; onSlice?: (item: number) => void }) {
  const t = useT()
  const [over, setOver] = useState(true)
  const [strength, setStrength] = useState(0.8)
  const { values, low, high, mean, std, slices, slice = 0, step, shape, dtype } = map
  const own = slices > 1 && map.stack !== undefined // each layer of attention has a range of its own
  const heat = <HeatMap values={values} low={own ? undefined : low} high={own ? undefined : high} step={step} label={name} clear={Boolean(under) && over} />
  return (
    <figure className="map">
      {under && over ? <div className="laid" style={{ "--strength": strength } as React.CSSProperties}><img className="pixels" src={under} alt="" />{heat}</div> : heat}
      <figcaption>
        <span>{name && <b>{name}</b>} {shape.join("×")} {dtype}{step > 1 && ` · ${t("every", { n: step })}`}</span>
        {low !== undefined && <span>{t("statistics", { low: short(low), high: short(high), mean: short(mean), std: short(std) })}</span>}
        {slices > 1 && onSlice && (
          <label className="nodrag">
            {t("sliceOf", { i: slice + 1, all: slices })}
            <input type="range" min={0} max={slices - 1} value={slice} onChange={({ target }) => onSlice(Number(target.value))} />
          </label>
        )}
        {under && (
          <label className="nodrag">
            <input type="checkbox" checked={over} onChange={({ target }) => setOver(target.checked)} />{t("overPicture")}
            {over && <input type="range" min={0.1} max={1} step={0.05} value={strength} aria-label={t("strength")} onChange={({ target }) => setStrength(Number(target.value))} />}
          </label>
        )}
      </figcaption>
    </figure>
  )
}

/** Anything else as people write it: one value, a list of them, names with values. */
function Plain({ value }: { value: unknown }) {
  const t = useT()
  if (value === null || value === undefined) return <p className="faint">{t("empty")}</p>
  if (Array.isArray(value)) return <ol className="items">{value.map((one, i) => <li key={i}><Plain value={one} /></li>)}</ol>
  if (typeof value === "object")
    return <dl className="facts-list">{Object.entries(value).map(([name, one]) => <div key={name}><dt>{name}</dt><dd><Plain value={one} /></dd></div>)}</dl>
  return <p className="scalar">{typeof value === "number" ? short(value) : String(value)}</p>
}

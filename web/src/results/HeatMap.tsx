// A matrix of numbers as colours on a canvas, in the colours of the theme; the value under the pointer, or under the cursor keys, is told.
import { type KeyboardEvent, type PointerEvent, useEffect, useRef, useState } from "react"
import { useT } from "../app/i18n"
import { type Colour, type Ramp, colourAt, scaleOf, short } from "./scale"

interface Props {
  values: (number | null)[][]
  low?: number
  high?: number
  rows?: string[]
  columns?: string[]
  label: string
  step?: number // every so many of the rows and columns are here
  clear?: boolean // low values let what lies beneath shine through
}

export function HeatMap({ values, low, high, rows, columns, label, step = 1, clear = false }: Props) {
  const t = useT()
  const canvas = useRef<HTMLCanvasElement>(null)
  const [cell, setCell] = useState<[row: number, column: number] | null>(null)
  const theme = useTheme()
  const height = values.length
  const width = values[0]?.length ?? 0
  useEffect(() => {
    if (canvas.current && width) draw(canvas.current, values, low, high, clear)
  }, [values, low, high, width, clear, theme])
  if (!width) return <p className="faint">{t("empty")}</p>
  const told = cell ?? [0, 0]
  const value = values[told[0]]?.[told[1]]
  const name = (names: string[] | undefined, i: number) => names?.[i] ?? String(i * step)
  const at = ({ clientX, clientY, currentTarget }: PointerEvent<HTMLElement>): void => {
    const box = currentTarget.getBoundingClientRect()
    const inside = (share: number, count: number) => Math.min(count - 1, Math.max(0, Math.floor(share * count)))
    setCell([inside((clientY - box.top) / box.height, height), inside((clientX - box.left) / box.width, width)])
  }
  const pressed = (event: KeyboardEvent): void => {
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key]
    if (!move) return
    event.preventDefault()
    event.stopPropagation()
    setCell([Math.min(height - 1, Math.max(0, told[0] + move[0]!)), Math.min(width - 1, Math.max(0, told[1] + move[1]!))])
  }
  return (
    <div className={`heat${clear ? " clear" : ""}`} style={{ "--ratio": Math.min(16, Math.max(0.5, width / height)) } as React.CSSProperties}>
      <div
        className="heat-map nodrag" tabIndex={0} role="img" aria-label={`${label}: ${t("cells", { rows: height * step, columns: width * step })}`}
        onPointerMove={at} onPointerLeave={() => setCell(null)} onKeyDown={pressed} onBlur={() => setCell(null)}
      >
        <canvas ref={canvas} />
        {cell && <i style={{ left: `${(100 * cell[1]) / width}%`, top: `${(100 * cell[0]) / height}%`, width: `${100 / width}%`, height: `${100 / height}%` }} />}
      </div>
      <output aria-live="polite">{cell ? `${name(rows, told[0])}, ${name(columns, told[1])}: ${short(value)}` : " "}</output>
    </div>
  )
}

function draw(canvas: HTMLCanvasElement, values: (number | null)[][], low: number | undefined, high: number | undefined, clear: boolean): void {
  const [height, width] = [values.length, values[0]!.length]
  canvas.width = width
  canvas.height = height
  const context = canvas.getContext("2d")
  if (!context) return
  const known = values.flat().filter((value) => value !== null)
  const { at } = scaleOf(low ?? Math.min(...known), high ?? Math.max(...known))
  const ramp = rampOf(canvas)
  const pixels = context.createImageData(width, height)
  values.forEach((row, y) =>
    row.forEach((value, x) => {
      const place = value === null ? 0 : at(value)
      const colour = clear ? ramp.strong : colourAt(place, ramp)
      pixels.data.set([...colour, value === null ? 0 : clear ? Math.round(220 * Math.abs(place)) : 255], 4 * (y * width + x))
    }),
  )
  context.putImageData(pixels, 0, 0)
}

/** The theme's colours as numbers: the browser resolves them. */
function rampOf(element: HTMLElement): Ramp {
  const resolved = (name: string): Colour => {
    element.style.color = `var(${name})`
    const found = getComputedStyle(element).color.match(/[\d.]+/g) ?? []
    return [Number(found[0] ?? 0), Number(found[1] ?? 0), Number(found[2] ?? 0)]
  }
  const ramp = { pale: resolved("--sunken"), strong: resolved("--accent"), opposite: resolved("--warn") }
  element.style.color = ""
  return ramp
}

/** Changes with the theme, so that what was drawn in its colours is drawn again. */
function useTheme(): string {
  const read = () => `${document.documentElement.dataset.theme ?? ""}${matchMedia("(prefers-color-scheme: dark)").matches}`
  const [theme, setTheme] = useState(read)
  useEffect(() => {
    const watcher = new MutationObserver(() => setTheme(read()))
    watcher.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] })
    return () => watcher.disconnect()
  }, [])
  return theme
}

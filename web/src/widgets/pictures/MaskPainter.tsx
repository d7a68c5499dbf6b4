// Painting a mask over the picture that it belongs to, pixel by pixel: what is seen is what the graph gets.
import "./painter.css"
import { Brush, Contrast, Eraser, Redo2, Trash2, Undo2 } from "lucide-react"
import { Dialog } from "radix-ui"
import { type KeyboardEvent, type PointerEvent, type SyntheticEvent, useEffect, useRef, useState } from "react"
import { api } from "../../api/client"
import { useT } from "../../app/i18n"
import { type Box, fromColours, Mask, type Spot } from "./mask"
import { type Picture, pictureUrl } from "./value"

interface Props {
  label: string
  graph: string
  picture: Picture | null // to paint over
  name: string // of its input
  mask: Picture | null // to begin with
  onDone(upload: string): void
  onClose(): void
}

const BLANK = 512 // pixels of a mask that has no picture below it
const stop = (event: SyntheticEvent) => event.stopPropagation()

export default function MaskPainter({ label, graph, picture, name, mask: first, onDone, onClose }: Props) {
  const t = useT()
  const [mask, setMask] = useState<Mask | null>(null)
  const [below, setBelow] = useState<HTMLImageElement | null>(null)
  const [size, setSize] = useState(0)
  const [paints, setPaints] = useState(true)
  const [fault, setFault] = useState("")
  const [edits, setEdits] = useState(0) // counts strokes: what is said of the mask is looked up anew
  const board = useRef<HTMLCanvasElement>(null)
  const last = useRef<Spot | null>(null)
  const [cursor, setCursor] = useState<Spot | null>(null)

  useEffect(() => {
    let gone = false
    void prepared(picture && pictureUrl(picture, graph), first && pictureUrl(first, graph)).then((made) => {
      if (gone) return
      setBelow(made.below)
      setMask(made.mask)
      setSize(Math.max(1, Math.round(Math.min(made.mask.width, made.mask.height) / 6)))
    })
    return () => void (gone = true)
  }, []) // what it begins with is what there was when it opened

  const show = (box: Box) => mask && board.current?.getContext("2d")?.putImageData(mask.colours(box, tint()), box.left, box.top)
  useEffect(() => {
    if (!mask) return
    show(mask.whole)
    board.current?.focus()
  }, [mask])
  const edit = (change: (mask: Mask) => void) => {
    if (!mask) return
    change(mask)
    show(mask.whole)
    setEdits((n) => n + 1)
  }
  const kept = (change: (mask: Mask) => void) => edit((mask) => (mask.begin(), change(mask)))

  const spot = ({ clientX, clientY }: { clientX: number; clientY: number }): Spot => {
    const { left, top, width, height } = board.current!.getBoundingClientRect()
    return { x: ((clientX - left) * mask!.width) / width, y: ((clientY - top) * mask!.height) / height }
  }
  const onPointerDown = (event: PointerEvent<HTMLCanvasElement>) => {
    if (!mask || event.button > 0) return
    event.currentTarget.setPointerCapture(event.pointerId)
    mask.begin()
    last.current = spot(event)
    show(mask.stroke(last.current, last.current, size, paints))
  }
  const onPointerMove = (event: PointerEvent<HTMLCanvasElement>) => {
    if (!mask) return
    setCursor(spot(event))
    if (!last.current) return
    for (const one of event.nativeEvent.getCoalescedEvents?.() ?? [event.nativeEvent]) {
      const to = spot(one)
      show(mask.stroke(last.current, to, size, paints))
      last.current = to
    }
  }
  const onPointerUp = () => {
    if (last.current) setEdits((n) => n + 1)
    last.current = null
  }
  const resize = (by: number) => setSize((now) => Math.max(1, Math.min(mask?.width ?? 1, Math.round(by > 0 ? Math.max(now + 1, now * 1.25) : Math.min(now - 1, now / 1.25)))))
  const onKeyDown = (event: KeyboardEvent) => {
    if (!mask || (event.target instanceof HTMLInputElement && event.key.startsWith("Arrow"))) return
    const command = event.ctrlKey || event.metaKey
    const key = event.key.toLowerCase()
    const arrow = { arrowleft: [-1, 0], arrowright: [1, 0], arrowup: [0, -1], arrowdown: [0, 1] }[key]
    if (command && key === "z") edit((mask) => (event.shiftKey ? mask.redo() : mask.undo()))
    else if (command && key === "y") edit((mask) => mask.redo())
    else if (command) return
    else if (key === "b") setPaints(true)
    else if (key === "e") setPaints(false)
    else if (key === "i") kept((mask) => mask.invert())
    else if (key === "delete" || key === "backspace") kept((mask) => mask.clear())
    else if (key === "[") resize(-1)
    else if (key === "]") resize(1)
    else if (arrow) setCursor(moved(cursor, arrow as [number, number], mask, event.shiftKey ? size : Math.max(1, size / 4)))
    else if (key === " " && event.target === board.current) kept((mask) => mask.stroke(cursor ?? centre(mask), cursor ?? centre(mask), size, paints))
    else return
    event.preventDefault()
    event.stopPropagation()
  }
  const finish = async () => {
    if (!mask) return
    try {
      onDone((await api.upload(await asPng(mask))).id)
      onClose()
    } catch (error) {
      setFault(error instanceof Error ? error.message : String(error))
    }
  }

  const scale = mask ? Math.max(0.05, Math.min(640 / mask.width, 480 / mask.height)) : 1
  return (
    <div className="shield" onClick={stop} onDoubleClick={stop} onContextMenu={stop} onPaste={stop}>
      <Dialog.Root open onOpenChange={(open) => !open && onClose()}>
        <Dialog.Portal>
          <Dialog.Overlay className="painter-veil" />
          <Dialog.Content className="painter nokey" onKeyDown={onKeyDown}>
            <Dialog.Title>{t("paintMask")}</Dialog.Title>
            <Dialog.Description>{name ? t("paintOver", { name }) : label}</Dialog.Description>
            <div className="painter-bar" role="toolbar" aria-label={label}>
              <button type="button" className="painter-tool" aria-pressed={paints} aria-label={t("brush")} data-help={`${t("brush")} · B`} onClick={() => setPaints(true)}><Brush size={15} /></button>
              <button type="button" className="painter-tool" aria-pressed={!paints} aria-label={t("eraser")} data-help={`${t("eraser")} · E`} onClick={() => setPaints(false)}><Eraser size={15} /></button>
              <label className="painter-size">
                {t("brushSize")}
                <input type="range" min={1} max={Math.max(2, Math.round(Math.min(mask?.width ?? 2, mask?.height ?? 2) / 2))} value={size} onChange={({ target }) => setSize(Number(target.value))} />
                <output>{size}</output>
              </label>
              <button type="button" className="painter-tool" aria-label={t("undo")} data-help={`${t("undo")} · Ctrl Z`} disabled={!mask?.canUndo} onClick={() => edit((mask) => mask.undo())}><Undo2 size={15} /></button>
              <button type="button" className="painter-tool" aria-label={t("redo")} disabled={!mask?.canRedo} onClick={() => edit((mask) => mask.redo())}><Redo2 size={15} /></button>
              <button type="button" className="painter-tool" aria-label={t("invert")} data-help={`${t("invert")} · I`} onClick={() => kept((mask) => mask.invert())}><Contrast size={15} /></button>
              <button type="button" className="painter-tool" aria-label={t("clear")} data-help={t("clear")} onClick={() => kept((mask) => mask.clear())}><Trash2 size={15} /></button>
            </div>
            <div className="painter-room">
              {mask && (
                <div className="painter-board" style={{ width: mask.width * scale, height: mask.height * scale }} data-enlarged={scale > 1}>
                  {below && <img src={below.src} alt="" draggable={false} />}
                  <canvas
                    ref={board} width={mask.width} height={mask.height} tabIndex={0} role="img" aria-label={label} aria-description={t("maskKeys")} onPointerDown={onPointerDown}
                    onPointerMove={onPointerMove} onPointerUp={onPointerUp} onPointerCancel={onPointerUp} onPointerLeave={() => !last.current && setCursor(null)}
                  />
                  {cursor && <i className="painter-cursor" style={{ left: cursor.x * scale, top: cursor.y * scale, width: size * scale, height: size * scale }} />}
                </div>
              )}
            </div>
            {fault && <p className="painter-fault" role="alert">{fault}</p>}
            <footer>
              <span className="painter-keys">{t("maskKeys")}</span>
              <span className="painter-covered" data-edits={edits}>{mask && t("covered", { n: Math.round(100 * mask.covered) })}</span>
              <Dialog.Close className="button">{t("cancel")}</Dialog.Close>
              <button type="button" className="button primary" onClick={() => void finish()}>{t("useMask")}</button>
            </footer>
          </Dialog.Content>
        </Dialog.Portal>
      </Dialog.Root>
    </div>
  )
}

const centre = ({ width, height }: Mask): Spot => ({ x: width / 2, y: height / 2 })

function moved(from: Spot | null, [dx, dy]: [number, number], mask: Mask, by: number): Spot {
  const { x, y } = from ?? centre(mask)
  return { x: Math.max(0, Math.min(mask.width, x + dx * by)), y: Math.max(0, Math.min(mask.height, y + dy * by)) }
}

/** The accent of the theme, half transparent. */
function tint(): [number, number, number, number] {
  const hex = /#(..)(..)(..)/.exec(getComputedStyle(document.documentElement).getPropertyValue("--accent"))
  const [red = 74, green = 95, blue = 208] = (hex ?? []).slice(1).map((two) => parseInt(two, 16))
  return [red, green, blue, 165]
}

async function loaded(url: string | null): Promise<HTMLImageElement | null> {
  if (!url) return null
  const image = new Image()
  image.src = url
  return image.decode().then(() => image, () => null)
}

/** The picture to paint over, and the mask there is, stretched to its size if it has another. */
async function prepared(picture: string | null, first: string | null): Promise<{ below: HTMLImageElement | null; mask: Mask }> {
  const [below, before] = await Promise.all([loaded(picture), loaded(first)])
  const { naturalWidth: width, naturalHeight: height } = below ?? before ?? { naturalWidth: BLANK, naturalHeight: BLANK }
  if (!before) return { below, mask: new Mask(width, height) }
  const canvas = Object.assign(document.createElement("canvas"), { width, height })
  const context = canvas.getContext("2d")!
  context.imageSmoothingEnabled = false
  context.drawImage(before, 0, 0, width, height)
  return { below, mask: fromColours(width, height, context.getImageData(0, 0, width, height).data) }
}

function asPng(mask: Mask): Promise<Blob> {
  const canvas = Object.assign(document.createElement("canvas"), { width: mask.width, height: mask.height })
  canvas.getContext("2d")!.putImageData(mask.colours(mask.whole), 0, 0)
  return new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the mask could not be written"))), "image/png"))
}

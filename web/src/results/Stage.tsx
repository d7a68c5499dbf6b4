// A picture to be looked at closely: wheel and keys zoom round the pointer, dragging moves it. Two stages may share one view.
import { type KeyboardEvent, type PointerEvent, type ReactNode, useEffect, useRef } from "react"

export interface Sight {
  zoom: number // 1: the whole picture fits
  x: number // of the middle, in sizes of the stage
  y: number
}

export const WHOLE: Sight = { zoom: 1, x: 0, y: 0 }
const MOST = 40

/** The same place stays under the pointer. at: the pointer, from the middle of the stage, in its sizes. */
export function zoomed({ zoom, x, y }: Sight, factor: number, at: [number, number] = [0, 0]): Sight {
  const now = Math.min(MOST, Math.max(1, zoom * factor))
  if (now === 1) return WHOLE
  const by = now / zoom
  return { zoom: now, x: at[0] - (at[0] - x) * by, y: at[1] - (at[1] - y) * by }
}

interface Props {
  sight: Sight
  setSight: (change: (before: Sight) => Sight) => void
  label: string
  children: ReactNode
}

export function Stage({ sight, setSight, label, children }: Props) {
  const stage = useRef<HTMLDivElement>(null)
  useEffect(() => {
    const wheel = (event: WheelEvent): void => {
      event.preventDefault() // a listener of React's could not
      const box = stage.current!.getBoundingClientRect()
      const at: [number, number] = [(event.clientX - box.left) / box.width - 0.5, (event.clientY - box.top) / box.height - 0.5]
      setSight((before) => zoomed(before, Math.exp(-event.deltaY / 400), at))
    }
    const element = stage.current!
    element.addEventListener("wheel", wheel, { passive: false })
    return () => element.removeEventListener("wheel", wheel)
  }, [setSight])
  const moved = (event: PointerEvent<HTMLDivElement>): void => {
    if (!(event.buttons & 1)) return
    const box = event.currentTarget.getBoundingClientRect()
    setSight((before) => (before.zoom === 1 ? before : { ...before, x: before.x + event.movementX / box.width, y: before.y + event.movementY / box.height }))
  }
  const pressed = (event: KeyboardEvent): void => {
    const factor = { "+": 1.5, "=": 1.5, "-": 1 / 1.5, "0": 0 }[event.key]
    if (factor === undefined) return
    event.preventDefault()
    setSight((before) => zoomed(before, factor))
  }
  return (
    <div
      ref={stage} className={`stage${sight.zoom > 1 ? " near" : ""}`} tabIndex={0} role="group" aria-label={label} onPointerMove={moved} onKeyDown={pressed}
      onDoubleClick={() => setSight((before) => (before.zoom > 1 ? WHOLE : zoomed(before, 4)))}
    >
      <div className="sight" style={{ transform: `translate(${100 * sight.x}%, ${100 * sight.y}%) scale(${sight.zoom})` }}>{children}</div>
    </div>
  )
}

// Dragging a number to and fro.
import { type PointerEvent, useRef } from "react"
import { type Range, scrubbing } from "./numbers"

const STILL = 3 // pixels: less is a click

interface Scrub {
  onPointerDown(event: PointerEvent<HTMLElement>): void
  onPointerMove(event: PointerEvent<HTMLElement>): void
  onPointerUp(event: PointerEvent<HTMLElement>): void
  onPointerCancel(event: PointerEvent<HTMLElement>): void
  /** Whether the press that ended last was a drag. */
  moved(): boolean
}

export function useScrub(value: number | null, range: Range, change: (value: number) => void): Scrub {
  const drag = useRef<{ x: number; moved: boolean; to: ReturnType<typeof scrubbing>; down: boolean } | null>(null)
  const end = (event: PointerEvent<HTMLElement>) => {
    if (drag.current) drag.current.down = false
    event.currentTarget.releasePointerCapture?.(event.pointerId)
  }
  return {
    onPointerDown(event) {
      if (event.button !== 0) return
      event.currentTarget.setPointerCapture?.(event.pointerId)
      drag.current = { x: event.clientX, moved: false, down: true, to: scrubbing(value, range) }
    },
    onPointerMove(event) {
      const now = drag.current
      if (!now?.down) return
      const dx = event.clientX - now.x
      if (!now.moved && Math.abs(dx) < STILL) return
      now.moved = true
      change(now.to(dx, event))
    },
    onPointerUp: end,
    onPointerCancel: end,
    moved: () => drag.current?.moved ?? false,
  }
}

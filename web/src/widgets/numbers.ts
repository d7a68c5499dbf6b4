// Numbers as people write and drag them.
import type { Bounds } from "../api/types"

export interface Range extends Bounds {
  whole: boolean
}

/** What one step of the arrows is. */
export function stepOf({ step, low, high, whole }: Range): number {
  if (step) return step
  if (whole) return 1
  const width = low !== undefined && high !== undefined ? high - low : 10
  return width > 0 ? 10 ** Math.floor(Math.log10(width / 100)) : 0.1
}

/** Free of what binary fractions add: 0.1 + 0.2 is 0.3. */
export const tidy = (value: number, step: number): number => Number(value.toFixed(Math.min(12, Math.max(0, Math.ceil(-Math.log10(Math.abs(step) || 1)) + 1))))

export const clamped = (value: number, { low = -Infinity, high = Infinity }: Bounds): number => Math.min(high, Math.max(low, value))

/** Shift is for large steps, Alt for small ones. */
export const factor = ({ shiftKey, altKey }: { shiftKey: boolean; altKey: boolean }): number => (shiftKey ? 10 : altKey ? 0.1 : 1)

/** The value so many steps on, inside the range. From nothing it begins at zero, or where the range is nearest to it. */
export function nudged(value: number | null, steps: number, range: Range): number {
  const step = stepOf(range)
  const moved = clamped((value ?? clamped(0, range)) + steps * step, range)
  return range.whole ? Math.round(moved) : tidy(moved, step * Math.min(1, Math.abs(steps) || 1))
}

export type Fault = "noNumber" | "noWhole" | "tooLow" | "tooHigh"

/** What a person wrote: a number, nothing (undefined), or what is wrong with it. */
export function read(text: string, { low, high, whole }: Range): { value: number | undefined } | { fault: Fault } {
  const written = text.trim().replace(/^\+/, "").replace("−", "-").replace("，", ".").replace(/^([^.]*),([^.]*)$/, "$1.$2")
  if (!written) return { value: undefined }
  const value = Number(written)
  if (!Number.isFinite(value)) return { fault: "noNumber" }
  if (whole && !Number.isSafeInteger(value)) return { fault: "noWhole" }
  if (low !== undefined && value < low) return { fault: "tooLow" }
  if (high !== undefined && value > high) return { fault: "tooHigh" }
  return { value }
}

const PIXELS = 4 // that the hand moves for one step

/** A drag on a number, from where it began: steps add up, so that a slow hand loses none. */
export function scrubbing(from: number | null, range: Range): (dx: number, keys: { shiftKey: boolean; altKey: boolean }) => number {
  let steps = 0
  let last = 0
  return (dx, keys) => {
    steps += ((dx - last) / PIXELS) * factor(keys)
    last = dx
    return nudged(from, range.whole ? Math.trunc(steps) : Math.round(steps * 10) / 10, range)
  }
}

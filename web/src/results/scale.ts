// From numbers to colours: from pale to strong where all have one sign, from one colour over the pale to the other where they have both.
export type Colour = [red: number, green: number, blue: number]

export interface Scale {
  signed: boolean
  /** -1 … 1 on a signed scale, else 0 … 1. */
  at(value: number): number
}

export function scaleOf(low: number, high: number): Scale {
  if (low < 0 && high > 0) {
    const most = Math.max(-low, high)
    return { signed: true, at: (value) => clamp(value / most, -1) }
  }
  const span = high - low
  return { signed: false, at: (value) => (span > 0 ? clamp((value - low) / span, 0) : 0.5) }
}

const clamp = (value: number, least: number): number => Math.min(1, Math.max(least, value))

export interface Ramp {
  pale: Colour
  strong: Colour
  opposite: Colour // for what is below zero
}

export function colourAt(place: number, { pale, strong, opposite }: Ramp): Colour {
  const end = place < 0 ? opposite : strong
  const share = Math.abs(place)
  return [0, 1, 2].map((i) => Math.round(pale[i]! + (end[i]! - pale[i]!) * share)) as Colour
}

/** A number as short as it stays telling. */
export function short(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–"
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value)
  const size = Math.abs(value)
  return size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(2) : value.toPrecision(4).replace(/\.?0+$/, "")
}

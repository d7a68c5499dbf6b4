// What is painted of a mask: one byte a pixel, 0 or 255, with what it was before each stroke.

export interface Spot {
  x: number // in pixels of the picture, from its upper left corner
  y: number
}

/** The part of a mask that an edit touched. */
export interface Box {
  left: number
  top: number
  right: number // beyond it
  bottom: number
}

const MOST_BYTES = 64 << 20 // of steps that can be undone

export class Mask {
  pixels: Uint8Array
  private past: Uint8Array[] = []
  private future: Uint8Array[] = []

  constructor(
    readonly width: number,
    readonly height: number,
    pixels?: Uint8Array,
  ) {
    this.pixels = pixels ?? new Uint8Array(width * height)
  }

  get whole(): Box {
    return { left: 0, top: 0, right: this.width, bottom: this.height }
  }

  get canUndo(): boolean {
    return this.past.length > 0
  }

  get canRedo(): boolean {
    return this.future.length > 0
  }

  /** Share that is painted, 0…1. */
  get covered(): number {
    let count = 0
    for (const one of this.pixels) count += Number(one > 127)
    return count / Math.max(1, this.pixels.length)
  }

  /** To be called before an edit or a stroke: what is there now can be had back. */
  begin(): void {
    this.past.push(this.pixels.slice())
    this.future = []
    while (this.past.length > 1 && this.past.length * this.pixels.length > MOST_BYTES) this.past.shift()
  }

  undo(): void {
    this.swap(this.past, this.future)
  }

  redo(): void {
    this.swap(this.future, this.past)
  }

  private swap(from: Uint8Array[], to: Uint8Array[]): void {
    const found = from.pop()
    if (!found) return
    to.push(this.pixels)
    this.pixels = found
  }

  /** A stroke of a round brush from one spot to another, both ends included. size: its diameter in pixels. */
  stroke(from: Spot, to: Spot, size: number, paint: boolean): Box {
    const radius = Math.max(0.5, size / 2)
    const box = this.within({
      left: Math.min(from.x, to.x) - radius, top: Math.min(from.y, to.y) - radius, right: Math.max(from.x, to.x) + radius + 1, bottom: Math.max(from.y, to.y) + radius + 1,
    })
    const dx = to.x - from.x
    const dy = to.y - from.y
    const length = dx * dx + dy * dy
    for (let y = box.top; y < box.bottom; y++)
      for (let x = box.left; x < box.right; x++) {
        const px = x + 0.5 - from.x
        const py = y + 0.5 - from.y
        const along = length ? Math.max(0, Math.min(1, (px * dx + py * dy) / length)) : 0
        if (Math.hypot(px - along * dx, py - along * dy) <= radius) this.pixels[y * this.width + x] = paint ? 255 : 0
      }
    return box
  }

  invert(): void {
    this.pixels = this.pixels.map((one) => 255 - one)
  }

  clear(): void {
    this.pixels = new Uint8Array(this.pixels.length)
  }

  private within({ left, top, right, bottom }: Box): Box {
    return {
      left: Math.max(0, Math.floor(left)), top: Math.max(0, Math.floor(top)), right: Math.min(this.width, Math.ceil(right)), bottom: Math.min(this.height, Math.ceil(bottom)),
    }
  }

  /** As colours of a picture: white on black, or (tint) a colour where it is painted and nothing elsewhere. */
  colours(box: Box, tint?: readonly [red: number, green: number, blue: number, alpha: number]): ImageData {
    const made = new ImageData(Math.max(1, box.right - box.left), Math.max(1, box.bottom - box.top))
    let to = 0
    for (let y = box.top; y < box.bottom; y++)
      for (let x = box.left; x < box.right; x++) {
        const one = this.pixels[y * this.width + x]!
        made.data.set(tint ? [tint[0], tint[1], tint[2], (tint[3] * one) / 255] : [one, one, one, 255], to)
        to += 4
      }
    return made
  }
}

/** The mask that a picture holds, by the brightness of its pixels. */
export function fromColours(width: number, height: number, data: Uint8ClampedArray): Mask {
  const pixels = new Uint8Array(width * height)
  for (let i = 0; i < pixels.length; i++) pixels[i] = (data[4 * i]! + data[4 * i + 1]! + data[4 * i + 2]!) / 3
  return new Mask(width, height, pixels)
}

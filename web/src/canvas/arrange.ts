// Cards put in line. Places in, places out; a card is known by its rectangle.
import type { Size } from "../document/layout"
import type { Point } from "../document/model"
import type { Rect } from "./stage"

export type Line = "left" | "centre" | "right" | "top" | "middle" | "bottom"

type Rects = Record<string, Rect>
const each = (rects: Rects, at: (rect: Rect) => Point): Record<string, Point> =>
  Object.fromEntries(Object.entries(rects).map(([id, rect]) => [id, at(rect).map(Math.round) as Point]))

/** All with one side, or with their middles, on one line. */
export function aligned(rects: Rects, line: Line): Record<string, Point> {
  const all = Object.values(rects)
  const left = Math.min(...all.map(({ x }) => x))
  const right = Math.max(...all.map(({ x, width }) => x + width))
  const top = Math.min(...all.map(({ y }) => y))
  const bottom = Math.max(...all.map(({ y, height }) => y + height))
  const places: Record<Line, (rect: Rect) => Point> = {
    left: ({ y }) => [left, y],
    centre: ({ y, width }) => [(left + right - width) / 2, y],
    right: ({ y, width }) => [right - width, y],
    top: ({ x }) => [x, top],
    middle: ({ x, height }) => [x, (top + bottom - height) / 2],
    bottom: ({ x, height }) => [x, bottom - height],
  }
  return each(rects, places[line])
}

/** The same gap between each and the next; the outermost two stay. */
export function distributed(rects: Rects, axis: "x" | "y"): Record<string, Point> {
  const length = axis === "x" ? "width" : "height"
  const sorted = Object.entries(rects).sort(([, a], [, b]) => a[axis] - b[axis])
  const first = sorted[0]?.[1]
  const last = sorted.at(-1)?.[1]
  if (!first || !last || sorted.length < 3) return each(rects, ({ x, y }) => [x, y])
  const free = last[axis] + last[length] - first[axis] - sorted.reduce((sum, [, rect]) => sum + rect[length], 0)
  const gap = free / (sorted.length - 1)
  let next = first[axis]
  const places: Record<string, Point> = {}
  for (const [id, rect] of sorted) {
    places[id] = axis === "x" ? [Math.round(next), rect.y] : [rect.x, Math.round(next)]
    next += rect[length] + gap
  }
  return places
}

export const moved = (rects: Rects, [dx, dy]: Point): Record<string, Point> => each(rects, ({ x, y }) => [x + dx, y + dy])

const GAP = 24
const REACH = 60 // steps of GAP: further away nobody would look for it

/** The place nearest to this one where a card of this size lies on none of these. */
export function freePlace([x, y]: Point, { width, height }: Size, taken: Rect[]): Point {
  const free = ([left, top]: Point) =>
    taken.every((one) => left >= one.x + one.width + GAP || left + width + GAP <= one.x || top >= one.y + one.height + GAP || top + height + GAP <= one.y)
  for (let ring = 0; ring <= REACH; ring++) {
    const around = ringOf(ring).map(([i, j]): Point => [x + GAP * i, y + GAP * j])
    const found = around.find(free)
    if (found) return found
  }
  return [x, y]
}

/** The steps of a square around the middle, those straight away from it first. */
function ringOf(ring: number): Point[] {
  if (!ring) return [[0, 0]]
  const steps: Point[] = []
  for (let along = 0; along <= ring; along++) for (const side of along ? [-along, along] : [0]) steps.push([ring, side], [side, ring], [side, -ring], [-ring, side])
  return steps
}

/** Whether one lies wholly in another: what a group takes along. */
export const inside = (one: Rect, other: Rect): boolean =>
  one.x >= other.x && one.y >= other.y && one.x + one.width <= other.x + other.width && one.y + one.height <= other.y + other.height

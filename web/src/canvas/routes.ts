// Ways of wires around the cards that stand between their ends, so that none runs behind a card. From rectangles alone; what is in nobody's way gets no route.
import type { Point } from "../document/model"
import type { Rect } from "./stage"

export interface Ends {
  id: string
  from: Point
  to: Point
}

const MARGIN = 12 // px between a card and a wire that passes it
const LANE = 7 // px from one wire to the next in the same gap

interface Gap {
  top: number
  bottom: number
  passing: Passing[] // wires that it presses away from their straight way
}

interface Passing {
  wanted: number // y of the straight way
  toward: number // y of where the wire ends
  y: number
}

interface Column {
  left: number
  right: number
  gaps: Gap[] // free stretches from top to bottom, the outermost endless
}

/** Cards that overlap from left to right make one column; between its cards are gaps. */
function columns(cards: Rect[]): Column[] {
  const made: { left: number; right: number; cards: Rect[] }[] = []
  for (const card of [...cards].sort((a, b) => a.x - b.x)) {
    const last = made.at(-1)
    if (last && card.x < last.right) {
      last.right = Math.max(last.right, card.x + card.width)
      last.cards.push(card)
    } else made.push({ left: card.x, right: card.x + card.width, cards: [card] })
  }
  return made.map(({ left, right, cards }) => {
    const gaps: Gap[] = []
    let top = -Infinity
    for (const card of cards.sort((a, b) => a.y - b.y)) {
      if (card.y - top > 2 * MARGIN) gaps.push({ top: top + MARGIN, bottom: card.y - MARGIN, passing: [] })
      top = Math.max(top, card.y + card.height)
    }
    gaps.push({ top: top + MARGIN, bottom: Infinity, passing: [] })
    return { left, right, gaps }
  })
}

const clamp = (value: number, low: number, high: number): number => Math.max(low, Math.min(high, value))

/** The first column that begins at x or to the right of it. */
function firstFrom(all: Column[], x: number): number {
  let low = 0
  for (let high = all.length; low < high; ) {
    const middle = (low + high) >> 1
    if (all[middle]!.left >= x) high = middle
    else low = middle + 1
  }
  return low
}

function nearest(gaps: Gap[], wanted: number): Gap {
  let best = gaps[0]!
  const away = ({ top, bottom }: Gap) => Math.abs(clamp(wanted, top, bottom) - wanted)
  for (const gap of gaps) if (away(gap) < away(best)) best = gap
  return best
}

/** Wires that are pressed to one side of a gap lie beside each other in the order in which they come, as close as the room demands. */
function inLanes({ top, bottom, passing }: Gap): void {
  const lane = Math.min(LANE, (bottom - top) / Math.max(1, passing.length - 1))
  passing.sort((a, b) => a.wanted - b.wanted || a.toward - b.toward)
  const below = passing.filter(({ wanted }) => wanted < top)
  below.forEach((one, i) => (one.y = top + lane * i))
  const above = passing.slice(below.length)
  above.forEach((one, i) => (one.y = bottom - lane * (above.length - 1 - i)))
}

/** Points along a wire that is drawn without a way of its own. */
export function along([x0, y0]: Point, [x3, y3]: Point, count = 16): Point[] {
  const reach = x3 >= x0 ? (x3 - x0) / 2 : 6.25 * Math.sqrt(x0 - x3)
  return Array.from({ length: count + 1 }, (_, i) => {
    const t = i / count
    const u = 1 - t
    const mix = (a: number, b: number, c: number, d: number) => u * u * u * a + 3 * u * u * t * b + 3 * u * t * t * c + t * t * t * d
    return [mix(x0, x0 + reach, x3 - reach, x3), mix(y0, y0, y3, y3)] as Point
  })
}

/** Whether a wire that goes its own way meets no card of these columns. */
function clear(all: Column[], first: number, { from, to }: Ends): boolean {
  let i = first
  for (const [x, y] of along(from, to)) {
    while (i < all.length && all[i]!.right < x) i += 1
    const column = all[i]
    if (column && column.right <= to[0] && x >= column.left && !column.gaps.some(({ top, bottom }) => y > top - MARGIN && y < bottom + MARGIN)) return false
  }
  return true
}

/** By wire: the points it goes through, two for each column between its ends, if a card is in its way. Wires from left to right only. */
export function routed(cards: Rect[], wires: Ends[]): Map<string, Point[]> {
  const all = columns(cards)
  const ways = new Map<string, { column: Column; at: Passing }[]>()
  for (const wire of wires) {
    const { id, from, to } = wire
    const first = firstFrom(all, from[0])
    if (clear(all, first, wire)) continue
    const way: { column: Column; at: Passing }[] = []
    let [x, y] = from
    for (let i = first; i < all.length && all[i]!.right <= to[0]; i++) {
      const column = all[i]!
      const wanted = y + ((to[1] - y) * ((column.left + column.right) / 2 - x)) / Math.max(1, to[0] - x)
      const gap = nearest(column.gaps, wanted)
      const at = { wanted, toward: to[1], y: clamp(wanted, gap.top, gap.bottom) }
      if (at.y !== wanted) gap.passing.push(at)
      way.push({ column, at })
      ;[x, y] = [column.right, at.y]
    }
    ways.set(id, way)
  }
  for (const { gaps } of all) gaps.forEach(inLanes)
  const through = ({ column: { left, right }, at: { y } }: { column: Column; at: Passing }): Point[] => [[left - MARGIN / 2, y], [right + MARGIN / 2, y]]
  return new Map([...ways].map(([id, way]) => [id, way.flatMap(through)]))
}

/** A smooth line through points, level at each of them. */
export function pathThrough(points: Point[]): string {
  const [first, ...rest] = points
  let path = `M${first![0]},${first![1]}`
  let [x, y] = first!
  for (const [nextX, nextY] of rest) {
    const bend = Math.max((nextX - x) / 2, Math.abs(nextY - y) > 1 ? 10 : 0)
    path += Math.abs(nextY - y) < 1 ? `L${nextX},${nextY}` : `C${x + bend},${y} ${nextX - bend},${nextY} ${nextX},${nextY}`
    ;[x, y] = [nextX, nextY]
  }
  return path
}

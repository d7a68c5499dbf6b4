// Cards of another program have other sizes: the places that it gave them are spread until none lies on another.
import { loadCatalogue, useCatalogue } from "../app/catalogue"
import { outlinesOf } from "../canvas/flow"
import type { Size } from "../document/layout"
import type { Doc, Point } from "../document/model"

const GAP = 18
const MANY = 4_000 // cards, of which each pair is looked at
const FACTORS = [1, 1.15, 1.3, 1.5, 1.75, 2, 2.5, 3]

/** The document with its places spread as far as its cards need. */
export async function apart(doc: Doc): Promise<Doc> {
  await loadCatalogue()
  const { nodes } = useCatalogue.getState()
  return nodes ? spread(doc, outlinesOf(doc, nodes, null)) : doc
}

/** The same, of cards of these sizes: across and down by the least factors that do; by the greatest where none does. */
export function spread(doc: Doc, sizes: Record<string, Size>): Doc {
  const { layout } = doc
  const cards = Object.entries(layout?.nodes ?? {}).flatMap(([name, at]) => (sizes[name] ? [{ at, ...sizes[name] }] : []))
  const free = ([fx, fy]: Point): boolean =>
    cards.every(({ at: [x, y], width, height }, i) =>
      cards.slice(i + 1).every(({ at: [otherX, otherY], ...other }) => {
        const [dx, dy] = [(otherX - x) * fx, (otherY - y) * fy]
        return dx >= width + GAP || -dx >= other.width + GAP || dy >= height + GAP || -dy >= other.height + GAP
      }),
    )
  if (cards.length > MANY) return doc
  const pairs = FACTORS.flatMap((fx) => FACTORS.map((fy): Point => [fx, fy])).sort((a, b) => a[0] ** 2 * a[1] - b[0] ** 2 * b[1]) // graphs are wide already
  const [fx, fy] = pairs.find(free) ?? pairs.at(-1)!
  if (fx === 1 && fy === 1) return doc
  const far = ([x, y]: Point): Point => [Math.round(x * fx), Math.round(y * fy)]
  const each = <T>(record: Record<string, T> | undefined, change: (one: T) => T) => record && Object.fromEntries(Object.entries(record).map(([name, one]) => [name, change(one)]))
  return {
    ...doc,
    layout: {
      ...layout, nodes: each(layout?.nodes, far),
      ...(layout?.notes && { notes: each(layout.notes, (note) => ({ ...note, at: far(note.at) })) }),
      ...(layout?.groups && { groups: each(layout.groups, (group) => ({ ...group, at: far(group.at), size: far(group.size) })) }),
    },
  }
}

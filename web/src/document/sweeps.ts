// A sweep: inputs of the graph that take several values in turn. It says nothing of what the graph is, so it lies in the layout, where it is undone and saved.
import type { Json } from "../api/types"
import type { Combine } from "./frames"
import { type Doc, type Layout, mapLayout } from "./model"

export type Axes = Record<string, Json[]>
const NONE: Axes = {}

/** The values by input, of those that are still there. */
export function axesOf(doc: Doc): Axes {
  const axes = doc.layout?.sweep?.axes
  if (!axes) return NONE
  const here = Object.entries(axes).filter(([name]) => doc.inputs?.[name])
  return here.length === Object.keys(axes).length ? axes : Object.fromEntries(here)
}

export const combineOf = (doc: Doc): Combine => doc.layout?.sweep?.combine ?? "product"

/** How many runs it would be. */
export function cellsOf(doc: Doc): number {
  const lengths = Object.values(axesOf(doc)).map((values) => values.length)
  return combineOf(doc) === "zip" ? Math.min(...lengths, Infinity) : lengths.reduce((all, one) => all * one, 1)
}

/** Let an input take several values, beginning with these, or no longer. */
export function axisToggled(doc: Doc, name: string, values: Json[]): Doc {
  const axes = axesOf(doc)
  if (!(name in axes)) return setAxis(doc, name, values)
  return withAxes(doc, Object.fromEntries(Object.entries(axes).filter(([one]) => one !== name)))
}

export const setAxis = (doc: Doc, name: string, values: Json[]): Doc => (doc.inputs?.[name] ? withAxes(doc, { ...axesOf(doc), [name]: values }) : doc)

export const setSweepCombine = (doc: Doc, combine: Combine): Doc => mapLayout(doc, (layout) => ({ ...layout, sweep: { axes: axesOf(doc), combine } }))

function withAxes(doc: Doc, axes: Axes): Doc {
  return mapLayout(doc, ({ sweep, ...layout }): Layout => (Object.keys(axes).length ? { ...layout, sweep: { ...sweep, axes } } : layout))
}

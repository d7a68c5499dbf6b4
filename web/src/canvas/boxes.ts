// Notes and groups that were given another size.
import type { Point } from "../document/model"
import { arrange } from "./edits"
import { changeGroup, changeNote } from "./layout"

export function settle(id: string, { x, y, width, height }: { x: number; y: number; width: number; height: number }): void {
  const name = id.slice(id.indexOf(":") + 1)
  const at: Point = [Math.round(x), Math.round(y)]
  const size: Point = [Math.round(width), Math.round(height)]
  arrange((doc) => (id.startsWith("note:") ? changeNote : changeGroup)(doc, name, { at, size }))
}

// Names that Python takes.
const PYTHON = new Set(
  ("False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda nonlocal not or pass " +
    "raise return try while with yield").split(" "),
)

/** Whether a node, input or output may have this name: an identifier of Python, and no word of its grammar. */
export const isName = (name: string): boolean => /^[\p{L}_][\p{L}\p{N}_]*$/u.test(name) && !PYTHON.has(name) && name !== "input"

/** A free name like `wanted`, with a number if it is taken. */
export function freeName(wanted: string, taken: Record<string, unknown> | undefined): string {
  const stem = isName(wanted) ? wanted : "node"
  if (!taken || !(stem in taken)) return stem
  const bare = stem.replace(/_?\d+$/, "") || stem
  for (let i = 2; ; i++) if (!(`${bare}_${i}` in taken)) return `${bare}_${i}`
}

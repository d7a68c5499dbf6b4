// Names of saved graphs, as the server takes them: 1 to 80 letters, digits, spaces, _ and -.
const WORDS = /[a-z0-9]+/g
const LONGEST = 60
const DEVICES = /^(con|prn|aux|nul|com\d|lpt\d)$/
export const GRAPH_NAME = /^[a-zA-Z0-9](?:[a-zA-Z0-9 _-]{0,78}[a-zA-Z0-9_-])?$/

export const isGraphName = (name: string): boolean => GRAPH_NAME.test(name) && !DEVICES.test(name.toLowerCase())

/** A name from a title, or from a file's name; "untitled" from one without Latin letters. */
export function nameFrom(title: string): string {
  const plain = title.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replace(/\.(json|png)$/, "")
  const name = (plain.match(WORDS) ?? []).join("-").slice(0, LONGEST).replace(/-+$/, "")
  return name && !DEVICES.test(name) ? name : "untitled"
}

/** That name if it is free, else with a number. taken: names that only case tells apart are one. */
export function freeGraphName(wanted: string, taken: Iterable<string>): string {
  const known = new Set([...taken].map((name) => name.toLowerCase()))
  if (!known.has(wanted.toLowerCase())) return wanted
  const stem = wanted.replace(/-\d+$/, "")
  for (let i = 2; ; i++) if (!known.has(`${stem}-${i}`.toLowerCase())) return `${stem}-${i}`
}

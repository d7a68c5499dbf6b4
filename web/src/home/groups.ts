// How the gallery sorts and finds graphs.
import type { ListedGraph, Words } from "../api/types"

export const GROUPS = ["understanding", "generation", "both"] as const
export type Group = (typeof GROUPS)[number] | "others"

const said = (text: Words): string[] => (typeof text === "string" ? [text] : Object.values(text))

/** All that a graph says of itself, in every language, as it is searched. */
function haystack({ name, title, about, tags }: ListedGraph): string {
  return [name, ...said(title), ...said(about), ...tags].join("\n").toLowerCase()
}

/** The graphs that hold every word of a query, in any language; those whose title or name does come first. */
export function found(graphs: readonly ListedGraph[], query: string): ListedGraph[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean)
  if (!words.length) return [...graphs]
  const inTitle = ({ name, title }: ListedGraph) => words.every((word) => [name, ...said(title)].join("\n").toLowerCase().includes(word))
  const matching = graphs.filter((graph) => words.every((word) => haystack(graph).includes(word)))
  return [...matching.filter(inTitle), ...matching.filter((graph) => !inTitle(graph))]
}

/** Shipped graphs by their first tag, in the order in which they teach the field; empty groups are left out. */
export function grouped(graphs: readonly ListedGraph[]): [Group, ListedGraph[]][] {
  const of = ({ tags: [first] }: ListedGraph): Group => GROUPS.find((group) => group === first) ?? "others"
  return ([...GROUPS, "others"] as const).flatMap((group) => {
    const members = graphs.filter((graph) => of(graph) === group)
    return members.length ? [[group, members] as [Group, ListedGraph[]]] : []
  })
}

export const latestFirst = (graphs: readonly ListedGraph[]): ListedGraph[] => [...graphs].sort((a, b) => b.modified - a.modified)

/** The first sentence, without Markdown's signs. */
export function firstSentence(text: string): string {
  const [paragraph = ""] = text.split(/\n\s*\n/)
  const plain = paragraph.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").replace(/[*_`]/g, "").replace(/\s+/g, " ")
  return /^.*?(?:[.?!](?=\s|$)|[。？！])/.exec(plain)?.[0] ?? plain
}

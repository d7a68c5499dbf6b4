// What the palette offers, and how it is found: by title, name, tag and help, in every language that a node has words in.
import fuzzysort from "fuzzysort"
import { graphOf, opOf } from "../document/graphs"
import type { Doc } from "../document/model"
import type { Catalogue, ListedGraph, NewFit, TypeShape, Words } from "../api/types"

export interface Entry {
  id: string // a node's op, `graph:<name>`, `note` or `group`
  kind: "node" | "graph" | "note" | "group"
  room: string // what it is listed under
  title: Words
  help: Words
  tags: string[]
  inputs: TypeShape[]
  outputs: TypeShape[]
  ports?: string[] // that what is held fits
  items?: string[] // those of them that take it as one of a list
}

export const all = (words: Words | undefined): string => (typeof words === "string" ? words : Object.values(words ?? {}).join(" · "))

/** The first sentence: what a line has room for. */
export const sentence = (text: string): string => text.split(/\n\n/)[0]!.replace(/\s+/g, " ").split(/(?<=[。]|[.;:] )/)[0]!.trim().replace(/[;:]$/, "")

export function nodeEntries(nodes: Catalogue["nodes"], fits: NewFit[] | null): Entry[] {
  const byOp = fits && new Map(fits.map((fit) => [fit.op, fit]))
  return Object.values(nodes).flatMap(({ op, title, help, tags, inputs, outputs }) => {
    const fit = byOp?.get(op)
    if ((byOp && !fit) || graphOf(op)) return [] // graphs are listed for themselves
    const sockets = (ports: Record<string, { type: TypeShape }>) => Object.values(ports).map(({ type }) => type)
    const room = op.slice(0, op.lastIndexOf("."))
    return [{ id: op, kind: "node" as const, room, title, help, tags, inputs: sockets(inputs), outputs: sockets(outputs), ports: fit?.ports, items: fit?.items }]
  })
}

/** Graphs that may be nodes: those that the open one defines, which hide saved ones of their names, then the saved ones. */
export function graphEntries(graphs: ListedGraph[], defined: NonNullable<Doc["graphs"]>): Entry[] {
  const own = Object.entries(defined).map(([name, { title, about, tags }]) => ({ name, title, about, tags, room: "defined" }))
  const saved = graphs.filter(({ name, problem }) => !problem && !(name in defined)).map((one) => ({ ...one, room: "graphs" }))
  return [...own, ...saved].map(({ name, title, about, tags, room }) => ({ id: opOf(name), kind: "graph", room, title: title || name, help: (about as Words) ?? "", tags: tags ?? [], inputs: [], outputs: [] }))
}

/** Later keys count for less: a hit in the help is worth less than one in the title. */
const WORTH = [1, 0.95, 0.7, 0.45]

interface Prepared {
  entry: Entry
  title: string
  name: string
  tags: string
  help: string
}

export const prepare = (entries: Entry[]): Prepared[] =>
  entries.map((entry) => ({ entry, title: all(entry.title), name: entry.id.replace(/[._:]/g, " "), tags: entry.tags.join(" "), help: all(entry.help).slice(0, 600) }))

export function found(text: string, prepared: Prepared[]): Entry[] {
  const hits = fuzzysort.go(text.replace(/[._:]/g, " ").trim(), prepared, {
    keys: ["title", "name", "tags", "help"], limit: 60, threshold: 0.12,
    scoreFn: (result) => Math.max(...WORTH.map((worth, i) => (result[i]?.score ?? 0) * worth)),
  })
  return hits.map(({ obj }) => obj.entry)
}

/** Without a search: the recent ones, then every room with what it has. */
export function grouped(entries: Entry[], recent: string[]): { room: string; entries: Entry[] }[] {
  const byId = new Map(entries.map((entry) => [entry.id, entry]))
  const last = recent.flatMap((id) => byId.get(id) ?? [])
  const rooms = new Map<string, Entry[]>()
  for (const entry of entries) rooms.set(entry.room, [...(rooms.get(entry.room) ?? []), entry])
  return [...(last.length ? [{ room: "recent", entries: last }] : []), ...[...rooms].map(([room, entries]) => ({ room, entries }))]
}

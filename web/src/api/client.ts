// Calls to the server. Every failure is an ApiError that says what to do; being offline is one too.
import type {
  Carried, Catalogue, Check, CheckRequest, Compatible, CompatibleRequest, Covers, Fitting, FittingRequest, GalleryItem, GraphRequest, Json, ListedGraph,
  Looked, LookRequest, Loops, Model, NodeRequest, Opened, Plan, PlanRequest, Problem, Queue, Run, RunRequest, ShownValue, State, Sweep, SweepRequest, System,
  Trashed, Upgraded, UpgradeRequest, Upload, Version,
} from "./types"
import type { Doc } from "../document/model"

export class ApiError extends Error {
  constructor(
    readonly status: number, // 0: the server was not reached
    readonly code: string,
    message: string,
    readonly fix = "",
    readonly problems: Problem[] = [],
  ) {
    super(message)
  }

  get offline(): boolean {
    return this.status === 0
  }
}

interface Options {
  method?: string
  json?: unknown
  body?: Blob
  headers?: Record<string, string>
  signal?: AbortSignal
}

async function send(path: string, { method, json, body, headers = {}, signal }: Options = {}): Promise<Response> {
  const content = json === undefined ? body : JSON.stringify(json)
  const type = json === undefined ? body?.type : "application/json"
  let answer: Response
  try {
    answer = await fetch(path, {
      method: method ?? (content === undefined ? "GET" : "POST"),
      body: content,
      headers: type ? { "Content-Type": type, ...headers } : headers,
      signal,
    })
  } catch (error) {
    if (signal?.aborted) throw error
    throw new ApiError(0, "offline", "the server cannot be reached", "Is it still running? What you do is kept in this browser meanwhile.")
  }
  if (answer.ok || answer.status === 304) return answer
  const told = await answer.json().catch(() => null)
  const error = told?.error
  if (!error) throw new ApiError(answer.status, "http", `the server answered ${answer.status}`)
  throw new ApiError(answer.status, error.code, error.message, error.fix, error.problems)
}

async function ask<T>(path: string, options?: Options): Promise<T> {
  return (await send(path, options)).json()
}

const name = encodeURIComponent

export interface Read {
  doc: Doc
  etag: string
  own: boolean
}

async function read(path: string): Promise<Read> {
  const answer = await send(path)
  return { doc: await answer.json(), etag: answer.headers.get("ETag") ?? "", own: answer.headers.get("X-Flowmm-Own") === "true" }
}

/** Where a value's picture or file is. */
export const valueUrl = (key: string, shape: "file" | "thumbnail" | "sheet" = "file", item = 0, size = 512): string =>
  `/api/values/${key}?shape=${shape}&item=${item}` + (shape === "file" ? "" : `&size=${size}`)
export const outputUrl = (run: string, output: string, shape: "file" | "thumbnail" = "file", item = 0): string =>
  `/api/runs/${run}/outputs/${name(output)}?shape=${shape}&item=${item}`
export const sheetUrl = (sweep: string, output: string): string => `/api/sweeps/${sweep}/sheet?output=${name(output)}`
export const tableUrl = (sweep: string, form: "csv" | "jsonl"): string => `/api/sweeps/${sweep}/table?as=${form}`
export const uploadUrl = (id: string): string => `/api/uploads/${name(id)}`
export const appUrl = (graph: string): string => `/app/${name(graph)}/`

export const api = {
  nodes: () => ask<Catalogue>("/api/nodes"),
  models: () => ask<Model[]>("/api/models"),
  system: () => ask<System>("/api/system"),

  graphs: () => ask<ListedGraph[]>("/api/graphs"),
  graph: (graph: string) => read(`/api/graphs/${name(graph)}`),
  /** etag: of the version that was edited, null for a new graph. Refused (412) if somebody saved another meanwhile. */
  save: (graph: string, doc: Doc, etag: string | null) =>
    ask<{ name: string; etag: string }>(`/api/graphs/${name(graph)}`, {
      method: "PUT", json: doc, headers: etag === null ? { "If-None-Match": "*" } : { "If-Match": etag },
    }),
  rename: (graph: string, to: string, etag: string) =>
    ask<{ name: string; etag: string }>(`/api/graphs/${name(graph)}/rename`, { json: { to }, headers: { "If-Match": etag } }),
  remove: (graph: string, etag: string) => ask<{ trash: string }>(`/api/graphs/${name(graph)}`, { method: "DELETE", headers: { "If-Match": etag } }),
  history: (graph: string) => ask<Version[]>(`/api/graphs/${name(graph)}/history`),
  version: (graph: string, etag: string) => ask<Doc>(`/api/graphs/${name(graph)}/history/${name(etag)}`),
  trash: () => ask<Trashed[]>("/api/trash"),
  forgetGraph: (id: string) => ask<{ name: string }>(`/api/trash/${name(id)}`, { method: "DELETE" }),
  restore: (id: string) => ask<{ name: string }>(`/api/trash/${name(id)}/restore`, { method: "POST", json: {} }),

  covers: () => ask<Covers>("/api/covers"),
  /** A graph's JSON, or a PNG that carries one. */
  open: (file: Blob) => ask<Opened>("/api/open", { body: file }),
  /** A graph as a Python script. */
  script: async (asked: GraphRequest) => (await send("/api/export", { json: asked })).text(),
  upgrade: (asked: UpgradeRequest) => ask<Upgraded>("/api/upgrade", { json: asked }),
  carried: (asked: GraphRequest) => ask<Carried>("/api/carried", { json: asked }),

  check: (asked: CheckRequest, signal?: AbortSignal) => ask<Check>("/api/check", { json: asked, signal }),
  /** The values that words stand for. */
  axis: (text: string, of: string, lists: boolean, texts: boolean) =>
    ask<{ values: Json[]; problem: string }>("/api/axis", { json: { text, name: of, lists, texts } }),
  loops: (asked: NodeRequest, signal?: AbortSignal) => ask<Loops>("/api/loops", { json: asked, signal }),
  fitting: (asked: FittingRequest, signal?: AbortSignal) => ask<Fitting>("/api/fitting", { json: asked, signal }),
  compatible: (asked: CompatibleRequest, signal?: AbortSignal) => ask<Compatible>("/api/compatible", { json: asked, signal }),
  plan: (asked: PlanRequest, signal?: AbortSignal) => ask<Plan>("/api/plan", { json: asked, signal }),

  run: (asked: RunRequest) => ask<Run>("/api/runs", { json: asked }),
  runs: (before?: number, limit = 50, states: State[] = []) =>
    ask<Run[]>(`/api/runs?limit=${limit}${before === undefined ? "" : `&before=${before}`}${states.map((state) => `&state=${state}`).join("")}`),
  sweep: (asked: SweepRequest) => ask<Sweep>("/api/sweeps", { json: asked }),
  readSweep: (id: string) => ask<Sweep>(`/api/sweeps/${id}`),
  cancelSweep: (id: string) => ask<Sweep>(`/api/sweeps/${id}/cancel`, { method: "POST", json: {} }),
  readRun: (id: string) => ask<Run>(`/api/runs/${id}`),
  runGraph: (id: string) => ask<Doc>(`/api/runs/${id}/graph`),
  queue: () => ask<Queue>("/api/queue"),
  cancel: (id: string) => ask<Run>(`/api/runs/${id}/cancel`, { method: "POST", json: {} }),
  move: (id: string, to: number) => ask<Run>(`/api/runs/${id}/move`, { json: { to } }),
  retry: (id: string) => ask<Run>(`/api/runs/${id}/retry`, { method: "POST", json: {} }),
  forget: (id: string) => ask<{ deleted: string }>(`/api/runs/${id}`, { method: "DELETE" }),
  gallery: ({ before, limit = 50, name, types = [] }: { before?: number; limit?: number; name?: string; types?: string[] } = {}) =>
    ask<GalleryItem[]>(
      `/api/gallery?limit=${limit}${before === undefined ? "" : `&before=${before}`}${name === undefined ? "" : `&name=${encodeURIComponent(name)}`}` +
        types.map((type) => `&type=${encodeURIComponent(type)}`).join(""),
    ),
  look: (asked: LookRequest, signal?: AbortSignal) => ask<Looked>("/api/look", { json: asked, signal }),
  /** What a page draws of a value; item: which slice of a stack of maps. */
  shown: (key: string, item = 0) => ask<ShownValue>(`/api/values/${key}?shape=json&item=${item}`),
  text: async (url: string) => (await send(url)).text(),

  upload: (picture: Blob) => ask<Upload>("/api/uploads", { body: picture }),
  uploads: () => ask<Upload[]>("/api/uploads"),
}

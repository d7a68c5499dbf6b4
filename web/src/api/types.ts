// Short names of what the server says and takes; the types themselves are generated (npm run types).
import type { components } from "./schema"

type Schemas = components["schemas"]

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json }
export type Words = string | { [language: string]: string }

export type Catalogue = Schemas["Nodes"]
export type NodeType = Schemas["NodeType"]
export type InputPort = Schemas["InputPort"]
export type OutputPort = Schemas["OutputPort"]
export type TypeShape = Schemas["TypeShape"]
export type Bounds = Schemas["Bounds"]
export type ListedGraph = Schemas["ListedGraph"]
export type Covers = Schemas["Covers"]
export type Cover = Schemas["Cover"]
export type Opened = Schemas["Opened"]
export type Carried = Schemas["Carried"]
export type Version = Schemas["Version"]
export type Trashed = Schemas["Trashed"]
export type Check = Schemas["Check"]
export type GraphInput = Schemas["GraphInput"]
export type GraphOutput = Schemas["GraphOutput"]
export type Edge = Schemas["EdgeShape"]
export type Problem = Schemas["ProblemShape"]
export type Compatible = Schemas["Compatible"]
export type Fit = Schemas["Fit"]
export type NewFit = Schemas["NewFit"]
export type Plan = Schemas["Plan"]
export type Model = Schemas["Model"]
export type System = Schemas["System"]
export type Run = Schemas["RunShape"]
export type RunOutput = Schemas["RunOutput"]
export type RunError = Schemas["RunError"]
export type State = Run["state"]
export type Queue = Schemas["Queue"]
export type GalleryItem = Schemas["GalleryItem"]
export type Upload = Schemas["UploadShape"]
export type Progress = Schemas["Progress"]
export type Frame = Schemas["Frame"] & { image?: Uint8Array<ArrayBuffer> }
export type RunRequest = Schemas["RunRequest"]
export type GraphRequest = Schemas["GraphRequest"]
export type CompatibleRequest = Schemas["CompatibleRequest"]

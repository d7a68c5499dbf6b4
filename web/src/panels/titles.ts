// What a run is called.
import type { Run } from "../api/types"

export const titleOf = (run: Pick<Run, "title" | "name" | "id">): string => run.title || run.name || run.id

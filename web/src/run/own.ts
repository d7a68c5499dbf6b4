// The runs that this tab began, each with the name of its graph: told apart from those of other tabs and of scripts, also after a reload.
const STORED = "flowmm.runs"
const MOST = 50

export function ownRuns(): Map<string, string> {
  return new Map(JSON.parse(sessionStorage.getItem(STORED) ?? "[]") as [string, string][])
}

export function remember(id: string, graph: string): void {
  sessionStorage.setItem(STORED, JSON.stringify([...ownRuns(), [id, graph]].slice(-MOST)))
}

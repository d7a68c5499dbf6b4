// What is told of a graph that was made of another: by an import, or by an upgrade of its nodes. Which of them is on the screen.
import { create } from "zustand"
import type { Upgraded } from "../api/types"

export type Told = { kind: "report" } | ({ kind: "upgrade" } & Pick<Upgraded, "changes" | "problems">)

export const useTold = create<{ told: Told | null }>()(() => ({ told: null }))
export const tellOf = (told: Told | null): void => useTold.setState({ told })

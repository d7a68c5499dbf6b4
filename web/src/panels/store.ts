// Which panel is open at the right; kept for the next visit.
import { create } from "zustand"

export const TABS = ["queue", "problems", "history", "gallery"] as const
export type Tab = (typeof TABS)[number]

const STORED = "flowmm.panel"
const isTab = (name: string | null): name is Tab => TABS.some((tab) => tab === name)
const stored = localStorage.getItem(STORED)

export const usePanels = create<{ tab: Tab | null }>()(() => ({ tab: isTab(stored) ? stored : null }))

usePanels.subscribe(({ tab }) => localStorage.setItem(STORED, tab ?? ""))

export const showPanel = (tab: Tab | null): void => usePanels.setState({ tab })
export const togglePanel = (tab: Tab): void => usePanels.setState((now) => ({ tab: now.tab === tab ? null : tab }))

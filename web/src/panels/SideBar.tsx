// The bar at the right: queue, problems, history, gallery. A rail of tabs; the open one has a panel beside it.
import { History, Images, ListOrdered, type LucideIcon, TriangleAlert, X } from "lucide-react"
import { Tabs } from "radix-ui"
import { type ComponentType, Suspense, useEffect } from "react"
import { Boundary } from "../app/Boundary"
import { useT } from "../app/i18n"
import { lazily } from "../app/lazily"
import { useDocument } from "../document/store"
import { register } from "../keys/commands"
import { resume, useRuns } from "../run/store"
import { useTyping } from "../typing/store"
import { showPanel, TABS, type Tab, togglePanel, usePanels } from "./store"
import { useRunToSelected } from "./toSelected"

const PANELS: Record<Tab, ComponentType> = {
  queue: lazily(() => import("./Queue")), problems: lazily(() => import("./Problems")), history: lazily(() => import("./Past")), gallery: lazily(() => import("./Gallery")),
}
const ICONS: Record<Tab, LucideIcon> = { queue: ListOrdered, problems: TriangleAlert, history: History, gallery: Images }

export function SideBar() {
  const t = useT()
  const tab = usePanels(({ tab }) => tab)
  useEffect(() => void resume(useDocument.getState().name), [])
  useRunToSelected()
  useEffect(
    () => register(TABS.map((name, i) => ({ id: `panel.${name}`, words: `panel_${name}` as const, section: "view", keys: [`Alt+${i + 1}`], inFields: true, run: () => togglePanel(name) }))),
    [],
  )
  return (
    <Tabs.Root className="side" orientation="vertical" activationMode="manual" value={tab ?? ""} onValueChange={(name) => showPanel(name as Tab)}>
      {tab && (
        <Tabs.Content className="panel" value={tab} tabIndex={-1} aria-label={t(`panel_${tab}`)}>
          <header>
            <h2>{t(`panel_${tab}`)}</h2>
            <button type="button" className="bare" aria-label={t("hidePanel")} title={t("hidePanel")} onClick={() => showPanel(null)}><X size={15} /></button>
          </header>
          <Boundary key={tab}><Suspense><Panel tab={tab} /></Suspense></Boundary>
        </Tabs.Content>
      )}
      <Tabs.List className="rail" aria-label={t("sideBar")}>
        {TABS.map((name) => {
          const Icon = ICONS[name]
          return (
            <Tabs.Trigger
              key={name} value={name} title={t(`panel_${name}`)}
              onMouseDown={(event) => {
                if (tab !== name) return
                event.preventDefault() // else it would be opened again
                showPanel(null)
              }}
            >
              <Icon size={16} aria-hidden />
              <span className="unseen">{t(`panel_${name}`)} </span>
              <Badge tab={name} />
            </Tabs.Trigger>
          )
        })}
      </Tabs.List>
    </Tabs.Root>
  )
}

function Panel({ tab }: { tab: Tab }) {
  const Shown = PANELS[tab]
  return <Shown />
}

/** How many wait, how many are wrong. */
function Badge({ tab }: { tab: Tab }) {
  const queued = useRuns(({ waiting, running }) => waiting.length + running.length)
  const wrong = useTyping(({ problems }) => problems.filter(({ level }) => level === "error").length)
  const failed = useRuns(({ refused, current }) => refused.length || Number(current?.state === "failed"))
  const count = tab === "queue" ? queued : tab === "problems" ? wrong || failed : 0
  return count > 0 ? <b className={tab === "problems" ? "bad" : ""}>{count > 99 ? "99+" : count}</b> : null
}

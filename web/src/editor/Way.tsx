// Where one is in a graph of graphs: from the whole inwards, each a button that leads back there; the last has its title in place.
import { ChevronRight, CornerLeftUp } from "lucide-react"
import { useT, words } from "../app/i18n"
import { leaveGraph } from "../canvas/graphs"
import { graphAt, reached, uses } from "../document/graphs"
import { edit, useDocument } from "../document/store"
import { printed } from "../keys/commands"
import { TitleField } from "./TitleField"

export function Way() {
  const t = useT()
  const root = useDocument(({ root }) => root)
  const name = useDocument(({ name }) => name)
  const way = useDocument(({ way }) => way)
  if (!way.length) return null
  const addresses = way.map((_, i) => reached(root, way.slice(0, i + 1)).address)
  const here = addresses.at(-1)!
  const used = uses(root).get(here.join("/")) ?? 0
  return (
    <nav className="way" aria-label={t("way")}>
      <button type="button" className="bare icon" aria-label={t("leaveGraph")} title={`${t("leaveGraph")} (${printed("Alt+ArrowUp").join(" ")})`} onClick={() => leaveGraph()}><CornerLeftUp size={15} /></button>
      <ol>
        {[[], ...addresses.slice(0, -1)].map((address, i) => (
          <li key={i}>
            <button type="button" className="bare" title={way[i - 1]} onClick={() => leaveGraph(i)}>{words(graphAt(root, address)?.title) || address.at(-1) || name || t("untitled")}</button>
            <ChevronRight size={13} aria-hidden />
          </li>
        ))}
        <li aria-current="page" className="title">
          <TitleField title={graphAt(root, here)?.title} fallback={here.at(-1)!} label={t("title")} onChange={(title) => edit((doc) => ({ ...doc, title }))} />
        </li>
      </ol>
      {used > 1 && <span className="way-uses" title={t("usedHelp")}>{t("usedTimes", { n: used })}</span>}
    </nav>
  )
}

// A graph in the gallery: what it gave last, what it is called, what one can do with it.
import { Copy, Ellipsis, PencilLine, Trash2, TriangleAlert } from "lucide-react"
import { Link } from "wouter"
import type { Covers, ListedGraph } from "../api/types"
import { ago } from "../app/format"
import { useT, words } from "../app/i18n"
import { Item, Line, Menu } from "../app/Menu"
import { Cover } from "./Cover"
import { firstSentence } from "./groups"

export interface Actions {
  rename(graph: ListedGraph): void
  duplicate(graph: ListedGraph): void
  remove(graph: ListedGraph): void
}

interface Props {
  graph: ListedGraph
  covers: Covers | null
  unsaved: boolean // this browser has edits of it that the server has not
  actions: Actions
}

export function GraphCard({ graph, covers, unsaved, actions }: Props) {
  const t = useT()
  const { name, own, problem } = graph
  const title = words(graph.title) || name
  return (
    <li className="graph">
      <Link href={`/edit/${encodeURIComponent(name)}`} className="graph-link">
        <Cover cover={covers?.graphs[name]} covers={covers} />
        <div className="graph-said">
          <h3>{title}</h3>
          {problem ? <p className="bad"><TriangleAlert size={12} /> {t("broken", { why: problem })}</p> : <p>{firstSentence(words(graph.about))}</p>}
          <footer>
            {own ? <><span>{unsaved ? t("unsavedEdits") : t("changedAt", { when: ago(graph.modified * 1000) })}</span>{title !== name && <code>{name}</code>}</>
              : graph.tags.slice(1, 4).map((tag) => <span key={tag} className="tag">{tag}</span>)}
          </footer>
        </div>
      </Link>
      <Menu button={<button type="button" className="bare icon graph-more" aria-label={t("moreOf", { name: title })}><Ellipsis size={16} /></button>}>
        {own && <Item icon={<PencilLine size={14} />} run={() => actions.rename(graph)}>{t("rename")}</Item>}
        <Item icon={<Copy size={14} />} disabled={problem !== ""} run={() => actions.duplicate(graph)}>{t("duplicate")}</Item>
        {own && <Line />}
        {own && <Item icon={<Trash2 size={14} />} danger run={() => actions.remove(graph)}>{t("moveToTrash")}</Item>}
      </Menu>
    </li>
  )
}

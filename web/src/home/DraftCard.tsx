// A graph that is in this browser only: the server has none of its name.
import { Ellipsis, PencilLine, Trash2 } from "lucide-react"
import { Link } from "wouter"
import { ago } from "../app/format"
import { useT, words } from "../app/i18n"
import { Item, Menu } from "../app/Menu"
import type { Draft } from "../document/drafts"

export function DraftCard({ draft: { id, name, doc, at }, discard }: { draft: Draft; discard(): void }) {
  const t = useT()
  const title = words(doc.title) || name || t("untitled")
  return (
    <li className="graph">
      <Link href={name ? `/edit/${encodeURIComponent(name)}` : `/edit?draft=${id}`} className="graph-link">
        <div className="cover empty"><PencilLine size={24} strokeWidth={1.4} /></div>
        <div className="graph-said"><h3>{title}</h3><p>{t("neverSaved")}</p><footer><span>{t("changedAt", { when: ago(at) })}</span></footer></div>
      </Link>
      <Menu button={<button type="button" className="bare icon graph-more" aria-label={t("moreOf", { name: title })}><Ellipsis size={16} /></button>}>
        <Item icon={<Trash2 size={14} />} danger run={discard}>{t("discard")}</Item>
      </Menu>
    </li>
  )
}

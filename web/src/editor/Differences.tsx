// What differs between two versions of the graph, a line each.
import { useT } from "../app/i18n"
import { type Difference, differences } from "../document/differences"
import type { Doc } from "../document/model"

const SIGNS = { added: "+", removed: "−", changed: "~" } as const

export function Differences({ before, after, what }: { before: Doc; after: Doc; what: string }) {
  const t = useT()
  const found = differences(before, after)
  return (
    <section className="differences">
      <p>{what}</p>
      {found.length ? <ul>{found.map((one) => <One key={`${one.part}.${one.name}`} one={one} />)}</ul> : <p className="none">{t("noDifferences")}</p>}
    </section>
  )
}

function One({ one: { part, change, name, details } }: { one: Difference }) {
  const t = useT()
  return (
    <li className={change}>
      <span className="sign" title={t(`change_${change}`)}>{SIGNS[change]}</span>
      <div>
        <span className="part">{t(`part_${part}`)}</span> {name && <b>{name}</b>} <span className="unseen">{t(`change_${change}`)}</span>
        {details.map(({ port, before, after }) => (
          <div key={port} className="detail"><code>{port}</code> {before && <del>{before}</del>} {after && <ins>{after}</ins>}</div>
        ))}
      </div>
    </li>
  )
}

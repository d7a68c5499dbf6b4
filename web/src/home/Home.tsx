// All graphs: the shipped ones as templates, and one's own.
import "./home.css"
import { Plus } from "lucide-react"
import { useEffect, useState } from "react"
import { Link } from "wouter"
import { api } from "../api/client"
import type { ListedGraph } from "../api/types"
import { useT, words } from "../app/i18n"

export function Home() {
  const t = useT()
  const [graphs, setGraphs] = useState<ListedGraph[] | null>(null)
  useEffect(() => void api.graphs().then(setGraphs), [])
  return (
    <div className="home">
      <header><h1>flowmm</h1><Link className="button primary" href="/edit"><Plus size={15} />{t("newGraph")}</Link></header>
      <ul>
        {graphs?.map((graph) => (
          <li key={graph.name}>
            <Link href={`/edit/${encodeURIComponent(graph.name)}`}><h2>{words(graph.title) || graph.name}</h2><p>{words(graph.about).split(/(?<=[.。])/)[0]}</p></Link>
          </li>
        ))}
      </ul>
    </div>
  )
}

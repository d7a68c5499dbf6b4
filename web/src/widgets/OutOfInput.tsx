// Beside a setting that an input of the graph feeds: set it here instead.
import { LogOut } from "lucide-react"
import { useT } from "../app/i18n"
import { isWire, type Value } from "../document/model"
import { edit } from "../document/store"
import { demoted } from "./inputs"

export function OutOfInput({ node, port, value }: { node: string; port: string; value: Value | undefined }) {
  const t = useT()
  if (!isWire(value) || !value.from.startsWith("input.")) return null
  return (
    <span className="tools nodrag nokey">
      <button type="button" className="bare" aria-label={`${port} · ${t("outOfInput")}`} data-help={t("outOfInput")} onClick={() => edit((doc) => demoted(doc, node, port))}>
        <LogOut size={13} />
      </button>
    </span>
  )
}

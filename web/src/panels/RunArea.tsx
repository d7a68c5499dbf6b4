// The right end of the bar: run, stop.
import { Play } from "lucide-react"
import { useT } from "../app/i18n"
import { submit } from "../run/actions"

export function RunArea() {
  const t = useT()
  return <button type="button" className="button primary" onClick={() => void submit()}><Play size={14} />{t("run")}</button>
}

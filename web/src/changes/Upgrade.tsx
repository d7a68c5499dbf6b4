// What became of nodes that were upgraded, a line each.
import { CircleAlert } from "lucide-react"
import type { Upgraded } from "../api/types"
import { Dialog } from "../app/Dialog"
import { useT } from "../app/i18n"
import { Marked } from "../app/Marked"

export default function Upgrade({ told: { changes, problems }, close }: { told: Pick<Upgraded, "changes" | "problems">; close(): void }) {
  const t = useT()
  return (
    <Dialog title={t("upgraded")} close={close} wide>
      <p>{t("upgradedHelp")}</p>
      {problems.length > 0 && (
        <ul className="changes bad">
          {problems.map(({ node, message, fix }) => <li key={node + message}><CircleAlert size={14} /><span><b>{node}</b> <Marked text={message} />. {fix}</span></li>)}
        </ul>
      )}
      <ul className="changes">{changes.map(({ where, text }, i) => <li key={`${where}${i}`}><span><Marked text={text} /></span></li>)}</ul>
      <div className="dialog-foot"><button type="button" className="button primary" onClick={close}>{t("close")}</button></div>
    </Dialog>
  )
}

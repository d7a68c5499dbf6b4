// Beside a wire: the value that flowed through it, or the offer to compute it.
import "./results.css"
import { Play, X } from "lucide-react"
import { Popover } from "radix-ui"
import { useEffect } from "react"
import { useT } from "../app/i18n"
import { submit } from "../run/actions"
import { useRuns } from "../run/store"
import { lookAgain, look, lookAway, type Looking, useLook } from "./look"
import { Value } from "./Value"

export default function Look() {
  const looking = useLook(({ looking }) => looking)
  useEffect(() => useRuns.subscribe((now, before) => now.finished !== before.finished && lookAgain()), [])
  if (!looking) return null
  const [left, top] = looking.at
  return (
    <Popover.Root open onOpenChange={(open) => !open && lookAway()}>
      <Popover.Anchor style={{ position: "fixed", left, top }} />
      <Popover.Portal>
        <Popover.Content className="look" aria-label={looking.edge} side="right" sideOffset={10} collisionPadding={12} onOpenAutoFocus={(event) => event.preventDefault()} onCloseAutoFocus={(event) => event.preventDefault()}>
          <Inside looking={looking} />
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  )
}

function Inside({ looking: { edge, whole, at, found, problem } }: { looking: Looking }) {
  const t = useT()
  const run = async (): Promise<void> => {
    await submit([whole])
    lookAgain()
  }
  return (
    <>
      <header>
        <b>{edge}</b>
        {found?.value && <span>{found.value.type}</span>}
        <Popover.Close className="bare" aria-label={t("close")}><X size={14} /></Popover.Close>
      </header>
      {problem && <p className="why">{problem}</p>}
      {!found && !problem && <p className="faint">{t("looking")}</p>}
      {found?.value && <Value value={found.value} name={edge} pictures={found.pictures} onSlice={(item) => look(edge, at, item)} />}
      {found && !found.here && (
        <div className="not-here">
          <p>{t("noValueYet")} {typeof found.runs === "number" && t("wouldRun", { n: found.runs })}</p>
          <button type="button" className="button small primary" onClick={() => void run()}><Play size={12} />{t("runToHere")}</button>
        </div>
      )}
    </>
  )
}

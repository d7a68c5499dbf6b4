// Tells what became of a graph, and has the commands of that.
import "./changes.css"
import { Suspense, useEffect } from "react"
import { lazily } from "../app/lazily"
import { here } from "../canvas/commands"
import { selectedNodes } from "../canvas/stage"
import { useDocument, wholeDoc } from "../document/store"
import { register } from "../keys/commands"
import { tellOf, useTold } from "./store"
import { anyOld, oldOf, upgrade } from "./upgrade"

const Report = lazily(() => import("./Report"))
const Upgrade = lazily(() => import("./Upgrade"))
const close = (): void => tellOf(null)

export function Changes() {
  const told = useTold(({ told }) => told)
  const report = useDocument(({ root }) => root.layout?.report)
  useEffect(
    () =>
      register([
        { id: "upgrade.selected", words: "upgradeSelected", section: "edit", keys: ["V"], when: () => here() && oldOf(selectedNodes()).length > 0, run: () => upgrade(oldOf(selectedNodes())) },
        { id: "upgrade.all", words: "upgradeAll", section: "edit", keys: ["Shift+V"], when: () => here() && anyOld(wholeDoc()), run: () => upgrade() },
        { id: "file.report", words: "importReport", section: "file", keys: ["I"], when: () => wholeDoc().layout?.report !== undefined, run: () => tellOf({ kind: "report" }) },
      ]),
    [],
  )
  useEffect(() => close, [])
  return (
    <Suspense>
      {told?.kind === "report" && report && <Report lines={report} close={close} />}
      {told?.kind === "upgrade" && <Upgrade told={told} close={close} />}
    </Suspense>
  )
}

// What lies over the editor: the value on a wire, the sheet of a sweep, the large viewer; each is loaded when it is first wanted.
import { Suspense } from "react"
import { lazily } from "../app/lazily"
import { useSweep } from "../sweeps/store"
import { useLook } from "./look"
import { useView } from "./view"

const Look = lazily(() => import("./Look"))
const Sheet = lazily(() => import("../sweeps/Sheet"))
const Viewer = lazily(() => import("./Viewer"))

export function Results() {
  const open = useView(({ shown }) => shown !== null)
  const looking = useLook(({ looking }) => looking !== null)
  const sheet = useSweep(({ sheet }) => sheet !== null)
  return (
    <>
      {looking && <Suspense><Look /></Suspense>}
      {sheet && <Suspense><Sheet /></Suspense>}
      {open && <Suspense><Viewer /></Suspense>}
    </>
  )
}

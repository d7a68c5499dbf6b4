// What lies over the editor: the value on a wire, the sheet of a sweep, the large viewer; each is loaded when it is first wanted.
import { lazy, Suspense } from "react"
import { useSweep } from "../sweeps/store"
import { useLook } from "./look"
import { useView } from "./view"

const Look = lazy(() => import("./Look"))
const Sheet = lazy(() => import("../sweeps/Sheet"))
const Viewer = lazy(() => import("./Viewer"))

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

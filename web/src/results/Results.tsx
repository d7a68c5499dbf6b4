// What lies over the editor: the value on a wire, and the large viewer; each is loaded when it is first wanted.
import { lazy, Suspense } from "react"
import { useLook } from "./look"
import { useView } from "./view"

const Look = lazy(() => import("./Look"))
const Viewer = lazy(() => import("./Viewer"))

export function Results() {
  const open = useView(({ shown }) => shown !== null)
  const looking = useLook(({ looking }) => looking !== null)
  return (
    <>
      {looking && <Suspense><Look /></Suspense>}
      {open && <Suspense><Viewer /></Suspense>}
    </>
  )
}

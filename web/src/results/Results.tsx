// What lies over the editor: the value on a wire, and the large viewer, which is loaded when it is first wanted.
import { lazy, Suspense } from "react"
import { Look } from "./Look"
import { useView } from "./view"

const Viewer = lazy(() => import("./Viewer"))

export function Results() {
  const open = useView(({ shown }) => shown !== null)
  return (
    <>
      <Look />
      {open && <Suspense><Viewer /></Suspense>}
    </>
  )
}

import "./surfaces.css"
import "./theme"
import { lazy, Suspense } from "react"
import { Route, Switch } from "wouter"
import { Home } from "../home/Home"
import { DropToOpen } from "./DropToOpen"
import { Toasts } from "./toasts"

const Editor = lazy(() => import("../editor/Editor"))

export function App() {
  return (
    <>
      <Suspense>
        <Switch>
          <Route path="/edit/:name?">{({ name }) => <Editor name={name ? decodeURIComponent(name) : ""} />}</Route>
          <Route><Home /></Route>
        </Switch>
      </Suspense>
      <DropToOpen />
      <Toasts />
    </>
  )
}

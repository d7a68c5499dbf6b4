import "./surfaces.css"
import "./theme"
import { Suspense } from "react"
import { Route, Switch } from "wouter"
import { Home } from "../home/Home"
import { Boundary } from "./Boundary"
import { loadCatalogue } from "./catalogue"
import { DropToOpen } from "./DropToOpen"
import { lazily } from "./lazily"
import { Toasts } from "./toasts"

const Editor = lazily(() => {
  loadCatalogue().catch(() => {}) // on its way while the editor is; what fails is asked for again, and told, by the editor
  return import("../editor/Editor")
})

export function App() {
  return (
    <>
      <Boundary home>
        <Suspense>
          <Switch>
            <Route path="/edit/:name?">{({ name }) => <Editor name={name ? decodeURIComponent(name) : ""} />}</Route>
            <Route><Home /></Route>
          </Switch>
        </Suspense>
      </Boundary>
      <DropToOpen />
      <Toasts />
    </>
  )
}

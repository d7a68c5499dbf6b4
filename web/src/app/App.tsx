import { lazy, Suspense } from "react"
import { Route, Switch } from "wouter"
import { Home } from "../home/Home"

const Editor = lazy(() => import("../editor/Editor"))

export function App() {
  return (
    <Suspense>
      <Switch>
        <Route path="/edit/:name?">{({ name }) => <Editor key={name} name={name ? decodeURIComponent(name) : ""} />}</Route>
        <Route><Home /></Route>
      </Switch>
    </Suspense>
  )
}

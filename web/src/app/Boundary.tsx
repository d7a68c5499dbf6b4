// What is seen in place of a part that could not be drawn. The rest of the page goes on, and so does saving: the document lies apart from what shows it.
import { Copy, RotateCw, TriangleAlert } from "lucide-react"
import { Component, type ErrorInfo, type ReactNode } from "react"
import { copy } from "./files"
import { useT } from "./i18n"

interface Props {
  children: ReactNode
  home?: boolean // whether the way back to all graphs is gone with the rest
}

interface State {
  error: unknown
  broke: boolean
  where: string // the components it was in
}

const WHOLE: State = { error: null, broke: false, where: "" }

export class Boundary extends Component<Props, State> {
  override state = WHOLE

  static getDerivedStateFromError(error: unknown): Partial<State> {
    return { error, broke: true }
  }

  override componentDidCatch(_: unknown, { componentStack }: ErrorInfo): void {
    this.setState({ where: componentStack ?? "" })
  }

  override render(): ReactNode {
    const { error, broke, where } = this.state
    return broke ? <Broken error={error} where={where} home={this.props.home} /> : this.props.children
  }
}

function Broken({ error, where, home }: Pick<State, "error" | "where"> & Pick<Props, "home">) {
  const t = useT()
  return (
    <div className="broken" role="alert">
      <TriangleAlert size={20} aria-hidden />
      <h2>{t("broken_title")}</h2>
      <p>{t("broken_help")}</p>
      <code>{String(error)}</code>
      <div>
        <button type="button" className="button primary" onClick={() => location.reload()}><RotateCw size={14} />{t("reload")}</button>
        <button type="button" className="button" onClick={() => void copy(details(error, where))}><Copy size={14} />{t("copyDetails")}</button>
        {home && <a className="button" href="/">{t("back")}</a>}
      </div>
    </div>
  )
}

/** All that helps to find the fault, and nothing of the graph. */
export const details = (error: unknown, where: string): string =>
  [`${error}`, error instanceof Error ? error.stack : "", `In:${where}`, `At: ${location.pathname}`, navigator.userAgent].filter(Boolean).join("\n\n")

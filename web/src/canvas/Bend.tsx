// A reroute: a dot in a wire with a socket at either side, in the colour of what goes through it. A name that a person gave it stands above.
import { memo } from "react"
import { useCatalogue } from "../app/catalogue"
import { useT } from "../app/i18n"
import { PORT } from "../document/bends"
import { isWire, links } from "../document/model"
import { useDocument } from "../document/store"
import type { Seen } from "../document/modes"
import { useTyping } from "../typing/store"
import { colourOf } from "./colours"
import { typeAt } from "./flow"
import { BEND } from "./shape"
import { Socket } from "./Socket"

interface Props {
  id: string
  name: string // "" if nobody gave it one
  look: string
  far: boolean
  colour: string | undefined
  mode: Seen | undefined
}

export const Bend = memo(function Bend({ id, name, look, far, colour, mode }: Props) {
  const t = useT()
  const nodes = useCatalogue(({ nodes }) => nodes)
  const check = useTyping(({ check }) => check)
  const type = useDocument(({ doc }) => nodes && typeAt(doc, nodes, check, { node: id, port: PORT }))
  const out = useDocument(({ doc }) => links(doc).find(({ node }) => node === id)?.id)
  const value = useDocument(({ doc }) => doc.nodes?.[id]?.in?.[PORT])
  const shown = useTyping(({ edges }) => edges[out ?? `${isWire(value) ? value.from : ""}>${id}.${PORT}`]?.type) ?? "?"
  const label = [t("bend"), name, mode && t(`mode_${mode}`)].filter(Boolean).join(", ")
  return (
    <article className={`card bend${far ? " far" : ""}${look}`} data-colour={colour} data-mode={mode} aria-label={label} style={{ "--socket": colourOf(type) } as React.CSSProperties}>
      {!far && (
        <>
          {name && <span className="bend-name">{name}</span>}
          <Socket node={id} port={PORT} side="input" type={type} shown={shown} top={BEND.height / 2 - 1} />
          <Socket node={id} port={PORT} side="output" type={type} shown={shown} top={BEND.height / 2 - 1} />
        </>
      )}
    </article>
  )
})

// A mask: painted over the picture that it belongs to, or handed in like any picture.
import { Paintbrush } from "lucide-react"
import { Suspense, useState } from "react"
import { useT, words } from "../../app/i18n"
import type { Check } from "../../api/types"
import { lazily } from "../../app/lazily"
import { type Doc, inputValue, links, split } from "../../document/model"
import { currentDoc, useDocument } from "../../document/store"
import { useTyping } from "../../typing/store"
import { type WidgetProps, widgetOf } from "../kind"
import Pictures, { Tool } from "./Pictures"
import { type Picture, picturesOf, valueOf } from "./value"

const MaskPainter = lazily(() => import("./MaskPainter"))

export default function Mask(props: WidgetProps) {
  const t = useT()
  const graph = useDocument(({ name }) => name)
  const [over, setOver] = useState<Under | null>(null)
  const open = () => setOver(under(currentDoc(), useTyping.getState().check?.inputs ?? {}, props.at))
  const { each } = props.port
  const masks = picturesOf(props.shown)
  return (
    <>
      <Pictures {...props} single={!each} also={<Tool icon={Paintbrush} label={props.label} words={t("paintMask")} run={open} />} />
      {over && (
        <Suspense>
          <MaskPainter
            label={props.label} graph={graph} mask={(!each && masks[0]) || null} picture={over.picture} name={over.name} onClose={() => setOver(null)}
            onDone={(id) => props.change(valueOf([...(each ? masks : []), { upload: id }]))}
          />
        </Suspense>
      )}
    </>
  )
}

export interface Under {
  name: string
  picture: Picture | null
}

/** The picture that a mask is painted over: the one that meets it at a node, else the first there is. */
export function under(doc: Doc, inputs: Check["inputs"], at: string): Under {
  const [, mask] = split(at)
  const names = Object.keys(inputs).filter((name) => widgetOf({ ...inputs[name]!, help: "" }, undefined) === "pictures")
  const meets = (name: string) => {
    const nodes = (input: string) => links(doc).flatMap((one) => (one.node === "input" && one.port === input ? [one.to] : []))
    return nodes(name).some((node) => nodes(mask).includes(node))
  }
  const name = names.find(meets) ?? names[0]
  if (!name) return { name: "", picture: null }
  return { name: words(inputs[name]?.title) || name, picture: picturesOf(inputValue(doc, name))[0] ?? null }
}

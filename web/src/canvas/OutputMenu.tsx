// What may be done with an output of the graph: another name or title, or none of it.
import { Ellipsis } from "lucide-react"
import { useRef, useState } from "react"
import { useT } from "../app/i18n"
import { removeOutput } from "../document/model"
import { edit } from "../document/store"
import { FieldMenu, type MenuLine } from "../widgets/FieldMenu"
import { PortDetails } from "../widgets/PortDetails"

export function OutputMenu({ name, title }: { name: string; title: string }) {
  const t = useT()
  const button = useRef<HTMLButtonElement>(null)
  const [menu, setMenu] = useState<[number, number] | null>(null)
  const [details, setDetails] = useState(false)
  const lines: MenuLine[] = [
    { words: t("outputDetails"), run: () => setDetails(true) },
    { words: t("deleteOutput"), run: () => edit((doc) => removeOutput(doc, name)), grave: true },
  ]
  const open = () => {
    const { left, bottom } = button.current!.getBoundingClientRect()
    setMenu([left, bottom])
  }
  return (
    <>
      <button ref={button} type="button" className="bare output-menu nodrag nokey" aria-label={t("inputMenu", { name: title })} aria-haspopup="menu" onClick={open}><Ellipsis size={14} /></button>
      {menu && <FieldMenu at={menu} label={t("inputMenu", { name: title })} lines={lines} onClose={() => setMenu(null)} />}
      {details && <PortDetails anchor={button} of="outputs" name={name} onClose={() => setDetails(false)} />}
    </>
  )
}

// Listens to the keyboard for all commands, and shows the sheet that lists them.
import "./keys.css"
import { Keyboard, X } from "lucide-react"
import { Dialog } from "radix-ui"
import { useEffect, useState } from "react"
import { useT } from "../app/i18n"
import { type Command, SECTIONS, called, inField, printed, register, useCommands } from "./commands"

export function Keys() {
  const [open, setOpen] = useState(false)
  useEffect(() => register([{ id: "keys.sheet", words: "keyboardHelp", section: "view", keys: ["?"], run: () => setOpen(true) }]), [])
  useEffect(() => {
    function pressed(event: KeyboardEvent): void {
      // A dialog or an open menu has the keyboard to itself.
      if (event.defaultPrevented || event.isComposing || (event.target instanceof Element && event.target.closest("[role=dialog], [role=menu], [role=listbox]"))) return
      const command = called(event, inField(event.target))
      if (!command) return
      event.preventDefault()
      command.run()
    }
    window.addEventListener("keydown", pressed)
    return () => window.removeEventListener("keydown", pressed)
  }, [])
  return <Dialog.Root open={open} onOpenChange={setOpen}>{open && <Sheet />}</Dialog.Root>
}

function Sheet() {
  const t = useT()
  const commands = [...useCommands().values()].filter(({ keys, hidden }) => keys?.length && !hidden)
  return (
    <Dialog.Portal>
      <Dialog.Overlay className="sheet-veil" />
      <Dialog.Content className="sheet" aria-describedby={undefined}>
        <header>
          <Keyboard size={16} />
          <Dialog.Title>{t("keyboardHelp")}</Dialog.Title>
          <Dialog.Close className="bare" aria-label={t("close")}><X size={15} /></Dialog.Close>
        </header>
        <div className="sheet-sections">
          {SECTIONS.map((section) => {
            const listed = commands.filter((one) => one.section === section)
            return listed.length > 0 && (
              <section key={section}>
                <h3>{t(`section_${section}`)}</h3>
                <dl>{listed.map((one) => <Line key={one.id} command={one} />)}</dl>
              </section>
            )
          })}
        </div>
      </Dialog.Content>
    </Dialog.Portal>
  )
}

function Line({ command: { words, keys = [] } }: { command: Command }) {
  const t = useT()
  return (
    <div>
      <dt>{t(words)}</dt>
      <dd>{keys.slice(0, 2).map((written) => <Combination key={written} written={written} />)}</dd>
    </div>
  )
}

export function Combination({ written }: { written: string }) {
  return <span className="keys">{printed(written).map((part) => <kbd key={part}>{part}</kbd>)}</span>
}

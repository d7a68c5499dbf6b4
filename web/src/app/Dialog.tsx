// A dialog with a title and a button that closes it.
import { X } from "lucide-react"
import { Dialog as Radix } from "radix-ui"
import type { ReactNode } from "react"
import { useT } from "./i18n"

interface Props {
  title: string
  close(): void
  wide?: boolean
  children: ReactNode
}

/** The keyboard begins in what is to be filled in, if there is something. */
function intoFirstField(event: Event): void {
  const field = event.target instanceof Element ? event.target.querySelector<HTMLInputElement>(".dialog-body input.entry") : null
  if (!field) return
  event.preventDefault()
  field.focus()
  field.select()
}

export function Dialog({ title, close, wide, children }: Props) {
  const t = useT()
  return (
    <Radix.Root open onOpenChange={(open) => open || close()}>
      <Radix.Portal>
        <Radix.Overlay className="veil" />
        <Radix.Content className={wide ? "dialog wide" : "dialog"} aria-describedby={undefined} onOpenAutoFocus={intoFirstField}>
          <header>
            <Radix.Title>{title}</Radix.Title>
            <Radix.Close className="bare icon" aria-label={t("close")}><X size={15} /></Radix.Close>
          </header>
          <div className="dialog-body">{children}</div>
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  )
}

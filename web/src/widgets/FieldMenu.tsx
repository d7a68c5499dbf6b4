// What else may be done with a field: the menu under the right button, or the menu key.
import { DropdownMenu } from "radix-ui"
import { useRef } from "react"
import { createPortal } from "react-dom"

export interface MenuLine {
  words: string
  run(): void
  grave?: boolean // takes something away
  off?: boolean
}

interface Props {
  at: [x: number, y: number] // in the window
  label: string
  lines: MenuLine[]
  onClose(): void
}

export function FieldMenu({ at, label, lines, onClose }: Props) {
  const before = useRef(document.activeElement)
  const chosen = useRef<MenuLine | null>(null) // done once the focus is back where it was, as what it opens takes the focus
  return (
    <DropdownMenu.Root open modal={false} onOpenChange={(open) => !open && onClose()}>
      {createPortal(
        <DropdownMenu.Trigger asChild><span className="field-menu-anchor" aria-hidden style={{ left: at[0], top: at[1] }} /></DropdownMenu.Trigger>,
        document.body, // outside the canvas, whose zoom would move it
      )}
      <DropdownMenu.Portal>
        <DropdownMenu.Content
          className="menu nokey" align="start" sideOffset={2} loop aria-label={label}
          onCloseAutoFocus={(event) => {
            event.preventDefault()
            if (before.current instanceof HTMLElement && before.current.isConnected) before.current.focus({ preventScroll: true })
            chosen.current?.run()
          }}
        >
          {lines.map((line) => (
            <DropdownMenu.Item key={line.words} className={`menu-item${line.grave ? " grave" : ""}`} disabled={line.off} onSelect={() => void (chosen.current = line)}>
              {line.words}
            </DropdownMenu.Item>
          ))}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  )
}

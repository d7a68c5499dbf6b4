// A panel that floats beside a widget: a text with more room, a list to pick from. It is drawn outside the canvas, whose gestures it keeps away.
import { Popover } from "radix-ui"
import type { ReactNode, RefObject, SyntheticEvent } from "react"

interface Props {
  anchor: RefObject<HTMLElement | null>
  label: string
  className?: string
  over?: boolean // on top of its anchor, not below it
  onClose(): void
  children: ReactNode
}

const stop = (event: SyntheticEvent) => event.stopPropagation()

export function Floating({ anchor, label, className = "", over = false, onClose, children }: Props) {
  return (
    // Events of a portal bubble to the card that opened it, where a double click or a dropped file means something else.
    <div className="shield" onClick={stop} onDoubleClick={stop} onContextMenu={stop} onPaste={stop} onDrop={stop} onDragOver={stop}>
      <Popover.Root open onOpenChange={(open) => !open && onClose()}>
        <Popover.Anchor virtualRef={anchor as RefObject<HTMLElement>} />
        <Popover.Portal>
          <Popover.Content
            className={`floating nokey nodrag nopan nowheel ${className}`} aria-label={label} align="start" collisionPadding={10}
            sideOffset={over ? -(anchor.current?.getBoundingClientRect().height ?? 0) : 4}
            onCloseAutoFocus={(event) => {
              event.preventDefault()
              anchor.current?.focus({ preventScroll: true })
            }}
          >
            {children}
          </Popover.Content>
        </Popover.Portal>
      </Popover.Root>
    </div>
  )
}

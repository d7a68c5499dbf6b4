// A button that opens a menu, and what such a menu holds.
import { Check } from "lucide-react"
import { DropdownMenu as Radix } from "radix-ui"
import type { ReactElement, ReactNode } from "react"

interface MenuProps {
  button: ReactElement // that opens it
  align?: "start" | "end"
  children: ReactNode
}

export function Menu({ button, align = "end", children }: MenuProps) {
  return (
    <Radix.Root modal={false}>
      <Radix.Trigger asChild>{button}</Radix.Trigger>
      <Radix.Portal><Radix.Content className="menu" align={align} sideOffset={5} collisionPadding={8}>{children}</Radix.Content></Radix.Portal>
    </Radix.Root>
  )
}

interface ItemProps {
  icon?: ReactNode
  aside?: ReactNode // at the right end: keys
  danger?: boolean
  disabled?: boolean
  run(): void
  children: ReactNode
}

export function Item({ icon, aside, danger, disabled, run, children }: ItemProps) {
  return (
    <Radix.Item className={danger ? "menu-item danger" : "menu-item"} disabled={disabled} onSelect={run}>
      {icon}{children}{aside && <span className="aside">{aside}</span>}
    </Radix.Item>
  )
}

/** One of several, of which one holds. */
export function Choice({ chosen, run, children }: { chosen: boolean; run(): void; children: ReactNode }) {
  return (
    <Radix.CheckboxItem className="menu-item" checked={chosen} onSelect={run}>
      <Check size={14} style={{ visibility: chosen ? "visible" : "hidden" }} />{children}
    </Radix.CheckboxItem>
  )
}

export const Label = ({ children }: { children: ReactNode }) => <Radix.Label className="menu-label">{children}</Radix.Label>
export const Line = () => <Radix.Separator className="menu-line" />

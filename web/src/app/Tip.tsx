// What a button does, once somebody rests on it.
import { Tooltip } from "radix-ui"
import type { ReactElement } from "react"

export const Tips = Tooltip.Provider

export function Tip({ text, children }: { text: string; children: ReactElement }) {
  return (
    <Tooltip.Root>
      <Tooltip.Trigger asChild>{children}</Tooltip.Trigger>
      <Tooltip.Portal><Tooltip.Content className="tip" sideOffset={6} collisionPadding={8}>{text}</Tooltip.Content></Tooltip.Portal>
    </Tooltip.Root>
  )
}

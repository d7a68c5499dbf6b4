// What a thing is for, beside it, once the pointer rests there or the keyboard has come: one for all, as there are thousands of fields.
import { useEffect, useState } from "react"

const PATIENCE = 450 // ms that the pointer rests

interface Shown {
  text: string
  x: number
  y: number
  above: boolean
}

export function Help() {
  const [shown, setShown] = useState<Shown | null>(null)
  useEffect(() => {
    let timer = 0
    let last: Element | null = null
    const look = (target: EventTarget | null, wait: number) => {
      const found = target instanceof Element ? target.closest<HTMLElement>("[data-help]") : null
      if (found === last) return
      last = found
      window.clearTimeout(timer)
      setShown(null)
      if (!found?.dataset.help) return
      timer = window.setTimeout(() => {
        if (!found.isConnected) return
        const { left, top, bottom } = found.getBoundingClientRect()
        const above = bottom > innerHeight - 120
        setShown({ text: found.dataset.help!, x: Math.min(left, innerWidth - 300), y: above ? top - 6 : bottom + 6, above })
      }, wait)
    }
    const pointed = ({ target }: Event) => look(target, PATIENCE)
    const focused = ({ target }: Event) => target instanceof Element && target.matches(":focus-visible") && look(target, PATIENCE)
    const away = () => look(null, 0)
    const events = { pointerover: pointed, focusin: focused, focusout: away, pointerdown: away, wheel: away, keydown: away }
    for (const [name, hear] of Object.entries(events)) document.addEventListener(name, hear, { passive: true, capture: true })
    return () => {
      window.clearTimeout(timer)
      for (const [name, hear] of Object.entries(events)) document.removeEventListener(name, hear, { capture: true })
    }
  }, [])
  if (!shown) return null
  return <div className="help" role="tooltip" style={{ left: shown.x, top: shown.y, transform: shown.above ? "translateY(-100%)" : undefined }}>{shown.text}</div>
}

// The end of a list that goes on: asks for more as it comes into view, or at a press.
import { useEffect, useRef } from "react"
import { useT } from "../app/i18n"

export function More({ next }: { next: () => void }) {
  const t = useT()
  const end = useRef<HTMLButtonElement>(null)
  useEffect(() => {
    const watcher = new IntersectionObserver((seen) => seen.some(({ isIntersecting }) => isIntersecting) && next(), { rootMargin: "300px" })
    if (end.current) watcher.observe(end.current)
    return () => watcher.disconnect()
  }, [next])
  return <button ref={end} type="button" className="bare load-more" onClick={next}>{t("loadMore")}</button>
}

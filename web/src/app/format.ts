// Times in the language chosen.
import { say, useLanguage } from "./i18n"

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** How long ago (Unix milliseconds), or the date of what is older than a day. */
export function ago(at: number, now = Date.now()): string {
  const { language } = useLanguage.getState()
  const past = now - at
  if (past < MINUTE) return say("justNow")
  const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" })
  if (past < HOUR) return relative.format(-Math.round(past / MINUTE), "minute")
  if (past < DAY) return relative.format(-Math.round(past / HOUR), "hour")
  return date(at)
}

export function date(at: number): string {
  return new Intl.DateTimeFormat(useLanguage.getState().language, { dateStyle: "medium", timeStyle: "short" }).format(at)
}

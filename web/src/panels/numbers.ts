// Sizes and times as people read them, in the language chosen.
import { useLanguage } from "../app/i18n"

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"]
const locale = (): string => useLanguage.getState().language

export function bytes(count: number): string {
  const power = count < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(count) / 3))
  const value = count / 1000 ** power
  return new Intl.NumberFormat(locale(), { style: "unit", unit: UNITS[power], unitDisplay: "short", maximumSignificantDigits: value < 10 ? 2 : 3 }).format(value)
}

export const seconds = (count: number): string => (count < 10 ? count.toFixed(count < 1 ? 2 : 1) : String(Math.round(count)))

const STEPS: [limit: number, size: number, unit: Intl.RelativeTimeFormatUnit][] = [
  [60, 1, "second"], [3600, 60, "minute"], [86400, 3600, "hour"], [30 * 86400, 86400, "day"], [365 * 86400, 30 * 86400, "month"], [Infinity, 365 * 86400, "year"],
]

/** How long ago. when, now: Unix seconds. */
export function ago(when: number, now = Date.now() / 1000): string {
  const past = Math.max(0, now - when)
  const [, size, unit] = STEPS.find(([limit]) => past < limit)!
  return new Intl.RelativeTimeFormat(locale(), { numeric: "auto", style: "short" }).format(-Math.floor(past / size), unit)
}

// Language and look, for every page's bar.
import { Settings2 } from "lucide-react"
import { type Language, useLanguage, useT } from "./i18n"
import { Choice, Label, Line, Menu } from "./Menu"
import { THEMES, useTheme } from "./theme"

const LANGUAGES: readonly [Language, string][] = [["en", "English"], ["zh", "中文"]] // each in its own words

export function Preferences() {
  const t = useT()
  const language = useLanguage(({ language }) => language)
  const theme = useTheme(({ theme }) => theme)
  return (
    <Menu button={<button type="button" className="bare icon" aria-label={t("preferences")} title={t("preferences")}><Settings2 size={16} /></button>}>
      <Label>{t("language")}</Label>
      {LANGUAGES.map(([one, name]) => (
        <Choice key={one} chosen={one === language} run={() => useLanguage.setState({ language: one })}><span lang={one}>{name}</span></Choice>
      ))}
      <Line />
      <Label>{t("theme")}</Label>
      {THEMES.map((one) => <Choice key={one} chosen={one === theme} run={() => useTheme.setState({ theme: one })}>{t(`theme_${one}`)}</Choice>)}
    </Menu>
  )
}

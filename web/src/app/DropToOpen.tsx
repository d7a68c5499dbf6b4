// A graph's file dropped anywhere on the page is opened, unless what it was dropped on took it.
import { useEffect, useState } from "react"
import { useLocation } from "wouter"
import { openFile } from "./files"
import { useT } from "./i18n"

const holdsFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false

export function DropToOpen() {
  const t = useT()
  const [, navigate] = useLocation()
  const [over, setOver] = useState(false)
  useEffect(() => {
    let inside = 0 // elements entered and not left
    const entered = (event: DragEvent) => {
      if (holdsFiles(event)) setOver(++inside > 0)
    }
    const left = (event: DragEvent) => {
      if (holdsFiles(event)) setOver(--inside > 0)
    }
    const moved = (event: DragEvent) => {
      if (!holdsFiles(event)) return
      setOver(!event.defaultPrevented)
      event.preventDefault()
    }
    const dropped = (event: DragEvent) => {
      inside = 0
      setOver(false)
      if (event.defaultPrevented || !holdsFiles(event)) return
      event.preventDefault()
      const file = event.dataTransfer?.files[0]
      if (file) void openFile(file, navigate)
    }
    window.addEventListener("dragenter", entered)
    window.addEventListener("dragleave", left)
    window.addEventListener("dragover", moved)
    window.addEventListener("drop", dropped)
    return () => {
      window.removeEventListener("dragenter", entered)
      window.removeEventListener("dragleave", left)
      window.removeEventListener("dragover", moved)
      window.removeEventListener("drop", dropped)
    }
  }, [navigate])
  return over ? <div className="drop-here">{t("dropHere")}</div> : null
}

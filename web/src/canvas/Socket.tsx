// One end of wires: a coloured dot, square for lists, hollow for parts of models. While a wire is held it lights up if it fits, and else fades.
import { Handle, Position } from "@xyflow/react"
import { memo } from "react"
import type { TypeShape } from "../api/types"
import { useT } from "../app/i18n"
import { colourOf, isHandle, isListType } from "./colours"
import { useFit } from "./held"
import { tapped } from "./wiring"

interface Props {
  node: string // as Python names it: `input` for the graph's inputs
  port: string
  side: "input" | "output"
  type: TypeShape | null | undefined
  shown: string // the type in words
  top: number
}

export const Socket = memo(function Socket({ node, port, side, type, shown, top }: Props) {
  const t = useT()
  const fit = useFit(`${node}.${port}`, side)
  const state = fit === undefined ? "" : fit === "" ? " fits" : " fades"
  const shape = `${type && isListType(type) ? " list" : ""}${type && isHandle(type) ? " hollow" : ""}`
  return (
    <Handle
      id={port}
      type={side === "input" ? "target" : "source"}
      position={side === "input" ? Position.Left : Position.Right}
      className={`socket${shape}${state}`}
      style={{ top, "--socket": colourOf(type) } as React.CSSProperties}
      role="button"
      tabIndex={0}
      onClick={({ nativeEvent }) => (nativeEvent as PointerEvent).pointerType === "touch" && tapped({ node, port, side })}
      aria-label={`${t(side === "input" ? "socketIn" : "socketOut", { port, type: shown })}${fit && fit !== "same" ? `. ${fit}` : ""}`}
    />
  )
})

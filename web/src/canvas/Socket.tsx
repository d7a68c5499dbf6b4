// One end of wires: a coloured dot, square for lists. While a wire is dragged it lights up if it fits, and else says why not.
import { Handle, Position } from "@xyflow/react"
import { memo } from "react"
import type { TypeShape } from "../api/types"
import { colourOf, isListType } from "./colours"
import { useFit } from "./held"

interface Props {
  node: string // as Python names it: `input` for the graph's inputs
  port: string
  side: "input" | "output"
  type: TypeShape | null | undefined
  shown: string // the type in words
  top: number
}

export const Socket = memo(function Socket({ node, port, side, type, shown, top }: Props) {
  const fit = useFit(`${node}.${port}`, side)
  const state = fit === undefined ? "" : fit === "" ? " fits" : " fades"
  const title = fit && fit !== "same" ? fit : `${port}: ${shown}`
  return (
    <Handle
      id={port}
      type={side === "input" ? "target" : "source"}
      position={side === "input" ? Position.Left : Position.Right}
      className={`socket${type && isListType(type) ? " list" : ""}${state}`}
      style={{ top, "--socket": colourOf(type) } as React.CSSProperties}
      title={title}
      aria-label={`${side} ${port}, ${shown}`}
    />
  )
})

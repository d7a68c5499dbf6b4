// Nodes that were made with an older version than the one that is installed.
import type { NodeType } from "../api/types"
import type { NodeDoc } from "./model"

export const versionOf = ({ version }: NodeDoc): number => version ?? 1
export const isOld = (node: NodeDoc, spec: NodeType | undefined): boolean => spec !== undefined && versionOf(node) < spec.version

/** The type that a node is drawn as: none, where it is older and has ports that the installed one has not. outputs: those that something reads. */
export function drawnAs(node: NodeDoc, spec: NodeType | undefined, outputs: () => readonly string[]): NodeType | undefined {
  if (!spec || !isOld(node, spec)) return spec
  return Object.keys(node.in ?? {}).every((port) => port in spec.inputs) && outputs().every((port) => port in spec.outputs) ? spec : undefined
}

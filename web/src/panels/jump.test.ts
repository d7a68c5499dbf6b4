import { expect, it } from "vitest"
import type { Problem } from "../api/types"
import { INPUTS, OUTPUTS } from "../document/model"
import { placeOf } from "./jump"

const problem = (more: Partial<Problem>): Problem => ({ code: "x", message: "", fix: "", node: "", port: "", got: "", expected: "", level: "error", ...more })

it("a problem is at its node, at an input or an output of the graph, or nowhere", () => {
  expect(placeOf(problem({ node: "paint", port: "steps" }))).toEqual({ node: "paint", port: "steps" })
  expect(placeOf(problem({ node: "input", port: "steps", message: "the input `steps` (for `paint.steps`): 0 is out of range" }))).toEqual({ node: INPUTS, port: "steps" })
  expect(placeOf(problem({ message: "the input `steps` is used by nothing" }))).toEqual({ node: INPUTS, port: "steps" })
  expect(placeOf(problem({ port: "image" }))).toEqual({ node: OUTPUTS, port: "image" })
  expect(placeOf(problem({ message: "the graph has no outputs" }))).toBeNull()
})

import { describe, expect, it } from "vitest"
import { WHOLE, zoomed } from "./Stage"

describe("zooming", () => {
  it("keeps what is under the pointer where it is", () => {
    const near = zoomed(WHOLE, 4, [0.25, -0.1])
    const under = (place: number, at: number, zoom: number) => (at - place) / zoom // of the picture, what is seen at a place of the stage
    expect(under(near.x, 0.25, near.zoom)).toBeCloseTo(0.25)
    expect(under(near.y, -0.1, near.zoom)).toBeCloseTo(-0.1)
  })
  it("out of it shows the whole again, in the middle", () => {
    expect(zoomed(zoomed(WHOLE, 4, [0.3, 0.3]), 0.01)).toEqual(WHOLE)
  })
})

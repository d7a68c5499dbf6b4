import { afterEach, beforeEach, expect, it, vi } from "vitest"
import { fetched } from "./lazily"

const ask = vi.fn()
const part = vi.fn()
const gone = new TypeError("Failed to fetch")

beforeEach(() => {
  vi.useFakeTimers()
  vi.stubGlobal("fetch", ask)
  ask.mockReset().mockResolvedValue("here")
  part.mockReset()
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

it("a part waits for a server that is away, however long", async () => {
  ask.mockRejectedValue(gone)
  part.mockRejectedValue(gone)
  const came = fetched(part)
  await vi.advanceTimersByTimeAsync(600_000)
  part.mockResolvedValue("drawn")
  ask.mockResolvedValue("here")
  await vi.advanceTimersByTimeAsync(10_000)
  expect(await came).toBe("drawn")
})

it("one that a server does not have, which is there, is given up", async () => {
  part.mockRejectedValue(gone)
  const came = expect(fetched(part)).rejects.toBe(gone)
  await vi.advanceTimersByTimeAsync(60_000)
  await came
  expect(part).toHaveBeenCalledTimes(4)
})

import { act, render } from "@testing-library/react"
import { afterEach, beforeEach, expect, it, vi } from "vitest"
import { saidAll, useUnsaid } from "./unsaid"

let write = () => {}
const say = vi.fn()
function Field() {
  write = useUnsaid(say, 100)
  return null
}
/** Whether the browser would ask before the page is left. */
function asks(): boolean {
  const leaving = new Event("beforeunload", { cancelable: true })
  window.dispatchEvent(leaving)
  return leaving.defaultPrevented
}

beforeEach(() => {
  vi.useFakeTimers()
  say.mockReset().mockResolvedValue(true)
})
afterEach(() => vi.useRealTimers())

it("the page is not left without a question while what is written is not in the document", async () => {
  const field = render(<Field />)
  expect(asks()).toBe(false)
  write()
  expect(asks()).toBe(true)
  await act(() => vi.advanceTimersByTimeAsync(100))
  expect([say.mock.calls.length, asks()]).toEqual([1, false])
  say.mockResolvedValue(false)
  write()
  await act(() => vi.advanceTimersByTimeAsync(100))
  expect([await saidAll(), asks()]).toEqual([false, true])
  field.unmount()
  expect(asks()).toBe(false)
})

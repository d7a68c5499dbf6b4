import { cleanup, fireEvent, render, screen } from "@testing-library/react"
import { afterEach, expect, it, vi } from "vitest"
import { Boundary } from "./Boundary"
import { Toasts } from "./toasts"

function Faulty({ fails }: { fails: boolean }) {
  if (fails) throw new TypeError("there is no socket `latent`")
  return <p>drawn</p>
}

const copied = vi.fn(async (_: string) => undefined)
const reload = vi.spyOn(location, "reload").mockImplementation(() => undefined)
vi.spyOn(console, "error").mockImplementation(() => undefined) // React tells it too
Object.defineProperty(navigator, "clipboard", { value: { writeText: copied }, configurable: true })
afterEach(cleanup)

it("draws what it holds", () => {
  render(<Boundary><Faulty fails={false} /></Boundary>)
  expect(screen.queryByRole("alert")).toBeNull()
  expect(screen.getByText("drawn")).toBeTruthy()
})

it("a part that cannot be drawn says so in its own place, the rest goes on", () => {
  render(<><p>the bar</p><Boundary><Faulty fails /></Boundary></>)
  expect(screen.getByText("the bar")).toBeTruthy()
  expect(screen.getByRole("alert").textContent).toContain("there is no socket `latent`")
  expect(screen.getByRole("alert").textContent).toContain("Nothing that you did is lost")
  expect(screen.queryByRole("link")).toBeNull()
})

it("the page is loaded again, or left, from there", () => {
  render(<Boundary home><Faulty fails /></Boundary>)
  fireEvent.click(screen.getByRole("button", { name: "Reload" }))
  expect(reload).toHaveBeenCalledOnce()
  expect(screen.getByRole("link").getAttribute("href")).toBe("/")
})

it("the details that are copied name the fault and the component", async () => {
  render(<><Boundary><Faulty fails /></Boundary><Toasts /></>)
  fireEvent.click(screen.getByRole("button", { name: "Copy the details" }))
  await screen.findByText("Copied")
  expect(copied.mock.lastCall![0]).toContain("TypeError: there is no socket `latent`")
  expect(copied.mock.lastCall![0]).toContain("Faulty")
})

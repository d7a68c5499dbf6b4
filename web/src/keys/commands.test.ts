import { afterEach, describe, expect, it } from "vitest"
import { type Command, called, matches, perform, printed, register } from "./commands"

const press = (key: string, held: Partial<Record<"ctrlKey" | "metaKey" | "shiftKey" | "altKey", boolean>> = {}) =>
  ({ key, ctrlKey: false, metaKey: false, shiftKey: false, altKey: false, ...held })

describe("keys", () => {
  it("are told apart by what is held with them", () => {
    expect(matches("Mod+D", press("d", { ctrlKey: true }))).toBe(true)
    expect(matches("Mod+D", press("d", { metaKey: true }))).toBe(true)
    expect(matches("Mod+D", press("D", { ctrlKey: true, shiftKey: true }))).toBe(false)
    expect(matches("D", press("d", { ctrlKey: true }))).toBe(false)
    expect(matches("Shift+ArrowLeft", press("ArrowLeft", { shiftKey: true }))).toBe(true)
    expect(matches("ArrowLeft", press("ArrowLeft", { shiftKey: true }))).toBe(false)
  })
  it("are the signs that are typed, whichever keys a keyboard needs for them", () => {
    expect(matches("?", press("?", { shiftKey: true }))).toBe(true)
    expect(matches("/", press("/", { shiftKey: true }))).toBe(true)
    expect(matches("Mod++", press("+", { ctrlKey: true }))).toBe(true)
  })
  it("are printed one part each", () => {
    expect(printed("Mod+Shift+G")).toEqual(["Ctrl", "Shift", "G"])
    expect(printed("Mod++")).toEqual(["Ctrl", "+"])
  })
})

describe("a command", () => {
  let gone = () => {}
  afterEach(() => gone())
  const calls: string[] = []
  const one = (id: string, change: Partial<Command>): Command => ({ id, words: "run", section: "run", run: () => calls.push(id), ...change })

  it("is called by its keys, in fields only if it says so", () => {
    gone = register([one("a", { keys: ["Mod+Enter"], inFields: true }), one("b", { keys: ["/"] })])
    expect(called(press("Enter", { ctrlKey: true }), true)?.id).toBe("a")
    expect(called(press("/"), false)?.id).toBe("b")
    expect(called(press("/"), true)).toBeUndefined()
  })
  it("leaves its keys to the next while it is not possible", () => {
    gone = register([one("a", { keys: ["X"], when: () => false }), one("b", { keys: ["X"] })])
    expect(called(press("x"), false)?.id).toBe("b")
    expect(perform("a")).toBe(false)
    expect(perform("b")).toBe(true)
    expect(calls).toEqual(["b"])
  })
  it("is gone with its room", () => {
    register([one("a", { keys: ["X"] })])()
    expect(called(press("x"), false)).toBeUndefined()
  })
})

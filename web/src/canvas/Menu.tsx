// The menus under the right button: for the ground, a card, a socket, a wire, several cards. Their lines are the commands that the keyboard has too.
import { DropdownMenu } from "radix-ui"
import { create } from "zustand"
import { type Key, useT, words } from "../app/i18n"
import { nodeType } from "../app/catalogue"
import { INPUTS, OUTPUTS, type Point } from "../document/model"
import { currentDoc, edit } from "../document/store"
import { type Command, perform, possible, useCommands } from "../keys/commands"
import { Combination } from "../keys/Keys"
import { openPalette } from "../palette/store"
import { look } from "../results/look"
import { isOn, mayToggle, toggleEach } from "../rounds/toggle"
import { pasteNow } from "./clipboard"
import { between, droppedOnOwnCard, joined } from "./connect"
import { bend, colourSelected, cut, groupSelected, linkOf, noteAt } from "./edits"
import { type End, letGo, useHeld } from "./held"
import { editNote } from "./NoteBox"
import { onSurface, select, useStage } from "./stage"
import { cutAt, endAt, focusedCard, linksOf, takeUp } from "./wiring"

type About =
  | { kind: "ground" | "selection" }
  | { kind: "card" | "wire"; id: string }
  | { kind: "socket"; end: End }
  | { kind: "ports"; id: string; ports: string[]; end: End }

interface MenuState {
  about: About | null
  at: [number, number] // in the window
}

const useMenu = create<MenuState>()(() => ({ about: null, at: [0, 0] }))

interface Pointed {
  target: EventTarget | null
  preventDefault(): void
}

/** Open the menu of what the pointer is at. A card that is not among the selected becomes the only one. */
export function openMenu(event: (Pointed & { clientX: number; clientY: number }) | TouchEvent | MouseEvent, about: About): void {
  event.preventDefault()
  const { clientX, clientY } = "changedTouches" in event ? event.changedTouches[0]! : event
  const end = about.kind === "card" && event.target instanceof Element ? endAt(event.target) : null
  if (about.kind === "card" && !end && !useStage.getState().nodes.some(({ id, selected }) => selected && id === about.id)) select([about.id])
  if (about.kind === "wire") select([], [about.id])
  useMenu.setState({ about: end ? { kind: "socket", end } : about, at: [clientX, clientY] })
}

/** The menu of the card or socket that has the keyboard. */
export function menuAtFocus(): void {
  const target = document.activeElement
  const id = focusedCard()
  const box = target?.getBoundingClientRect()
  if (!target || !id || !box) return
  openMenu({ target, clientX: box.x + Math.min(box.width / 2, 40), clientY: box.y + Math.min(box.height / 2, 24), preventDefault: () => undefined }, { kind: "card", id })
}

const TINTS = ["red", "amber", "green", "teal", "blue", "violet"] as const

export function Menu() {
  const { about, at } = useMenu()
  const close = () => {
    if (about?.kind === "ports") letGo()
    useMenu.setState({ about: null })
  }
  return (
    <DropdownMenu.Root open={about !== null} onOpenChange={(open) => !open && close()} modal={false}>
      <DropdownMenu.Trigger asChild><span className="menu-anchor" aria-hidden style={{ left: at[0], top: at[1] }} /></DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className="menu" align="start" sideOffset={2} loop onCloseAutoFocus={(event) => event.preventDefault()}>
          {about?.kind === "ground" && <Ground at={at} />}
          {(about?.kind === "card" || about?.kind === "selection") && <Cards id={about.kind === "card" ? about.id : ""} />}
          {about?.kind === "wire" && <Wire id={about.id} at={at} />}
          {about?.kind === "socket" && <Socket end={about.end} at={at} />}
          {about?.kind === "ports" && <Ports {...about} />}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  )
}

function Item({ words, keys, run, off = false }: { words: Key; keys?: string; run(): unknown; off?: boolean }) {
  const t = useT()
  return (
    <DropdownMenu.Item className="menu-item" disabled={off} onSelect={() => void run()}>
      {t(words)}{keys && <Combination written={keys} />}
    </DropdownMenu.Item>
  )
}

/** Commands by their ids; those that are not there or not possible are left out. */
function Lines({ ids }: { ids: string[] }) {
  const commands = useCommands()
  const found = ids.map((id) => commands.get(id)).filter((one): one is Command => one !== undefined && possible(one))
  return found.map(({ id, words, keys }) => <Item key={id} words={words} keys={keys?.[0]} run={() => perform(id)} />)
}

const Rule = () => <DropdownMenu.Separator className="menu-rule" />

function Ground({ at }: { at: [number, number] }) {
  const place = (): Point => onSurface(...at)
  return (
    <>
      <Item words="addNode" keys="/" run={() => openPalette({ at: place(), screen: at })} />
      <Item words="note" keys="N" run={() => editNote(noteAt(place())[0]!)} />
      <Item words="group" keys="Mod+G" run={() => (select([]), groupSelected(place()))} />
      <Item words="paste" keys="Mod+V" run={() => pasteNow(at)} />
      <Rule />
      <Lines ids={["graph.leave", "edit.all", "canvas.layout", "canvas.fit", "canvas.zoom100", "canvas.find", "upgrade.all"]} />
      <Rule />
      <Lines ids={["edit.undo", "edit.redo", "keys.sheet"]} />
    </>
  )
}

function Cards({ id }: { id: string }) {
  const t = useT()
  const help = id && words(nodeType(currentDoc().nodes?.[id]?.op ?? "")?.help).split(/\n\n/)[0]
  return (
    <>
      {help && <p className="menu-help">{help}</p>}
      <Lines ids={["graph.enter", "graph.unpack", "run.toSelected"]} />
      {id.startsWith("note:") && <Item words="noteEdit" run={() => editNote(id)} />}
      <Lines ids={["edit.rename", "canvas.collapse", "canvas.open", "edit.mute", "edit.bypass", "edit.loop", "upgrade.selected"]} />
      {id !== INPUTS && id !== OUTPUTS && <Tints />}
      <Rule />
      <Lines ids={["edit.copy", "edit.cut", "edit.duplicate", "graph.make", "edit.group", "edit.delete"]} />
      <DropdownMenu.Sub>
        <DropdownMenu.SubTrigger className="menu-item">{t("section_arrange")}<span className="menu-more">›</span></DropdownMenu.SubTrigger>
        <DropdownMenu.Portal>
          <DropdownMenu.SubContent className="menu">
            <Lines ids={["canvas.layout", "canvas.alignLeft", "canvas.alignRight", "canvas.alignTop", "canvas.alignBottom", "canvas.distributeX", "canvas.distributeY", "canvas.fitSelection"]} />
          </DropdownMenu.SubContent>
        </DropdownMenu.Portal>
      </DropdownMenu.Sub>
    </>
  )
}

function Tints() {
  const t = useT()
  return (
    <DropdownMenu.Group className="menu-tints" aria-label={t("colour")}>
      <DropdownMenu.Item className="tint none" aria-label={t("colourNone")} onSelect={() => colourSelected(null)} />
      {TINTS.map((tint) => <DropdownMenu.Item key={tint} className="tint" data-colour={tint} aria-label={t(`colour_${tint}`)} onSelect={() => colourSelected(tint)} />)}
    </DropdownMenu.Group>
  )
}

function Wire({ id, at }: { id: string; at: [number, number] }) {
  const edge = useStage(({ edges }) => edges.find((one) => one.id === id))
  return (
    <>
      {edge && <Item words="lookAtValue" run={() => look(`${linkOf(edge).node}.${linkOf(edge).port}`, at)} />}
      {edge && <Item words="addBend" keys="R" run={() => bend([linkOf(edge)], onSurface(...at))} />}
      {edge && <Item words="cutWire" keys="Delete" run={() => cut([linkOf(edge)])} />}
    </>
  )
}

const eachWords = (end: End): Key => (end.node === "input" ? (isOn(end) ? "sweepOff" : "sweepOn") : isOn(end) ? "eachOff" : "eachOn")

function Socket({ end, at }: { end: End; at: [number, number] }) {
  const links = linksOf(end)
  return (
    <>
      <Item words="takeUp" keys="Enter" run={() => takeUp(end)} />
      <Item words="addFitting" run={() => openPalette({ at: onSurface(...at), screen: at, end })} />
      {end.side === "input" && end.node !== OUTPUTS && <Item words="makeInput" keys="Alt+I" run={() => droppedOnOwnCard(INPUTS, end)} />}
      {end.side === "output" && <Item words="makeOutput" run={() => droppedOnOwnCard(OUTPUTS, end)} />}
      <Item words="addBend" keys="R" off={!links.length} run={() => bend(links)} />
      {(end.side === "input" ? end.node !== OUTPUTS : end.node === "input") && mayToggle(end) && <Item words={eachWords(end)} keys="E" run={() => toggleEach(end)} />}
      <Item words="cutWires" keys="X" off={!links.length} run={() => cutAt(end)} />
    </>
  )
}

/** A wire was dropped on a card where it fits several ports. */
function Ports({ id, ports, end }: { id: string; ports: string[]; end: End }) {
  return ports.map((port) => (
    <DropdownMenu.Item key={port} className="menu-item" onSelect={() => edit((doc) => joined(doc, between(end, { node: id, port })))}>
      {port}{useHeld.getState().items.has(`${id}.${port}`) ? " +" : ""}
    </DropdownMenu.Item>
  ))
}

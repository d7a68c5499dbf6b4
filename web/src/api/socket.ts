// The one socket. It comes back by itself, from the frame it had last; `anew` is called when what was missed is not there any more.
import { decode } from "@msgpack/msgpack"
import type { Frame } from "./types"

const FIRST_WAIT = 250 // ms before the first new try; doubled each time
const LONGEST_WAIT = 8_000

export interface Listener {
  frame(frame: Frame): void
  anew(): void
  connected(yes: boolean): void
}

export class Events {
  private socket: WebSocket | null = null
  private epoch = ""
  private seq: number | null = null
  private wait = FIRST_WAIT
  private timer = 0
  private closed = false

  constructor(private readonly listener: Listener) {
    window.addEventListener("online", this.now)
    document.addEventListener("visibilitychange", this.now)
    this.open()
  }

  close(): void {
    this.closed = true
    window.clearTimeout(this.timer)
    window.removeEventListener("online", this.now)
    document.removeEventListener("visibilitychange", this.now)
    this.socket?.close()
  }

  /** Try at once: a laptop that wakes up, a network that is back. */
  private now = (): void => {
    if (!document.hidden && !this.socket && !this.closed) {
      window.clearTimeout(this.timer)
      this.open()
    }
  }

  private open(): void {
    const since = this.seq === null ? "" : `?since=${this.seq}&epoch=${this.epoch}`
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/events${since}`)
    socket.binaryType = "arraybuffer"
    socket.onmessage = (message) => this.hear(decode(new Uint8Array(message.data as ArrayBuffer)) as Frame)
    socket.onclose = () => {
      if (this.socket === socket) this.again()
    }
    this.socket = socket
  }

  private again(): void {
    this.socket = null
    if (this.closed) return
    this.listener.connected(false)
    this.timer = window.setTimeout(() => this.open(), this.wait)
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT)
  }

  private hear(frame: Frame): void {
    if (frame.type === "hello") {
      const missed = !frame.caught_up
      this.epoch = frame.epoch ?? ""
      this.seq = frame.seq ?? 0
      this.wait = FIRST_WAIT
      this.listener.connected(true)
      if (missed) this.listener.anew()
    } else if (frame.type === "lost") {
      this.listener.anew()
    } else {
      this.seq = frame.seq ?? this.seq
      this.listener.frame(frame)
    }
  }
}

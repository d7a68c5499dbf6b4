"""Events as numbered msgpack frames, handed to every socket that listens, and kept a while for those that come back.

A frame is a map with `seq`, `type` and what the type says:
    run       id, state, and what else changed: place in the queue, name, sweep, error, outputs, seconds, executed, cached
    planned   id, total: so many more nodes must be computed
    nodes     id, names: got their values; cached: those of them from the cache; took: seconds, of slow ones
    running   id, node
    progress  id, node, step, steps, eta (seconds)
    preview   id, node, image (the bytes of a JPEG)
    text      id, node, at, text: what was written so far continues with `text` from character `at` on
    broken    id, node, text: it failed; what does not need it goes on
    note      id, text
A socket's first frame is `hello` (no seq of its own): epoch, the last seq, whether what was missed follows.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from typing import Any

import msgpack

KEPT_FRAMES, KEPT_BYTES = 20_000, 8 << 20  # for those that reconnect
MOST_WAITING, MOST_BEHIND = 1 << 20, 2_000  # bytes and frames for one slow reader, before it is told to ask anew; a frame's place takes 150 bytes
LATEST = frozenset(("progress", "preview"))  # of these only the last one of a node matters


class Hub:
    """`publish` may be called from any thread; listeners live on the event loop."""

    def __init__(self) -> None:
        self.epoch = secrets.token_hex(8)
        self.seq = 0
        self.lock = threading.Lock()
        self._kept: deque[tuple[int, str, bytes]] = deque()
        self._kept_bytes = 0
        self._listeners: set[Listener] = set()

    def publish(self, type_: str, id_: str, **fields: Any) -> None:
        with self.lock:
            self.seq += 1
            frame = msgpack.packb({"seq": self.seq, "type": type_, "id": id_, **fields})
            if type_ != "preview":
                self._kept.append((self.seq, id_, frame))
                self._kept_bytes += len(frame)
                while len(self._kept) > KEPT_FRAMES or self._kept_bytes > KEPT_BYTES:
                    self._kept_bytes -= len(self._kept.popleft()[2])
            for listener in self._listeners:
                listener.offer(self.seq, type_, id_, fields.get("node"), frame)

    @property
    def listening(self) -> int:
        return len(self._listeners)

    def listen(self, since: int | None = None, epoch: str = "", run: str = "") -> Listener:
        """Start to listen, from after `since` if those frames are still here. run: only frames of this run."""
        with self.lock:
            first = self._kept[0][0] if self._kept else self.seq + 1
            here = since is not None and epoch == self.epoch and first - 1 <= since <= self.seq
            listener = Listener(self, run)
            listener.hello = {"type": "hello", "epoch": self.epoch, "seq": since if here else self.seq, "caught_up": here}
            for seq, id_, frame in self._kept if here else ():
                if seq > since:
                    listener.offer(seq, "", id_, None, frame)
            self._listeners.add(listener)
            return listener

    def leave(self, listener: Listener) -> None:
        with self.lock:
            self._listeners.discard(listener)


class Listener:
    """What waits for one reader: bounded, whatever the reader does. Use as `async for frame in listener`, then close."""

    def __init__(self, hub: Hub, run: str):
        self.hello: dict[str, Any] = {}
        self.run = run
        self._hub = hub
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._waiting: OrderedDict[Any, bytes] = OrderedDict()
        self._bytes = 0
        self._lost = False
        self._woken = False  # the loop will look; no need to wake it again

    def offer(self, seq: int, type_: str, id_: str, node: Any, frame: bytes) -> None:
        """Called under the hub's lock."""
        if self.run and id_ != self.run:
            return
        key = (type_, id_, node) if type_ in LATEST else seq
        before = self._waiting.pop(key, None)
        if before is not None:
            self._bytes -= len(before)
        self._waiting[key] = frame
        self._bytes += len(frame)
        if self._bytes > MOST_WAITING or len(self._waiting) > MOST_BEHIND:
            self._waiting.clear()
            self._bytes, self._lost = 0, True
        if not self._woken:
            self._woken = True
            with contextlib.suppress(RuntimeError):  # the loop has ended, and with it every reader
                self._loop.call_soon_threadsafe(self._arrived.set)

    def close(self) -> None:
        self._hub.leave(self)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Frames in order. After a reader was too slow: one frame `lost`, which says that it must ask for the state anew."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            with self._hub.lock:
                frames, lost = list(self._waiting.values()), self._lost
                self._waiting.clear()
                self._bytes, self._lost, self._woken = 0, False, False
            if lost:
                yield msgpack.packb({"type": "lost"})
            for frame in frames:
                yield frame

"""A run that is being executed: what is known of it right now, and its engine's events as frames."""

from __future__ import annotations

import io
import threading
import time
from typing import Any

from ..engine.events import Event
from .hub import Hub

CANCELLED, HANGS, STOPPING = "cancelled", "hangs", "stopping"
MOST_TIMED = 2_000  # nodes of a run whose times are kept, for its trace
LONGEST_SIDE = 512  # pixels of a preview


class Live:
    """why: "" or what it was asked to stop for. spans: [node, seconds since the run's start when it ended, seconds it took]."""

    def __init__(self, id_: str, attempt: int, device: str, hub: Hub):
        self.id, self.attempt, self.device = id_, attempt, device
        self.started = self.sign = time.monotonic()
        self.why = ""
        self.total = self.done = self.cached = 0
        self.progress: dict[str, dict[str, Any]] = {}
        self.texts: dict[str, str] = {}
        self.broken: dict[str, str] = {}  # why nodes failed
        self.spans: list[list[Any]] = []
        self.notes: list[str] = []
        self._hub = hub
        self._run: Any = None
        self._lock = threading.Lock()

    def begin(self, run: Any) -> None:
        """run: the engine's. It is cancelled at once if the asking came first."""
        with self._lock:
            self._run = run
            asked = bool(self.why)
        if asked:
            run.cancel()

    def ask(self, why: str) -> None:
        """Ask it to stop at its next step; the first reason counts."""
        with self._lock:
            if self.why:
                return
            self.why = why
            run = self._run
        if run is not None:
            run.cancel()

    def state(self) -> dict[str, Any]:
        """For those who come in the middle."""
        return {
            "total": self.total, "done": self.done, "cached": self.cached, "seconds": time.monotonic() - self.started,
            "progress": {node: dict(one) for node, one in self.progress.copy().items()}, "texts": self.texts.copy(), "broken": self.broken.copy(),
            "stopping": self.why,
        }  # fmt: skip

    def listen(self, event: Event) -> None:
        """Called by the engine, from its threads."""
        self.sign = time.monotonic()
        kind, publish = event.kind, self._hub.publish
        if kind == "planned":
            self.total += event.total
            publish("planned", self.id, total=event.total)
        elif kind == "finished":
            self._finished(event)
        elif kind == "running":
            publish("running", self.id, node=event.node)
        elif kind == "progress":
            eta = None if event.eta is None else round(event.eta, 2)
            self.progress[event.node] = {"step": event.step, "steps": event.steps, "eta": eta}
            publish("progress", self.id, node=event.node, step=event.step, steps=event.steps, eta=eta)
        elif kind == "preview" and event.text:
            self._text(event.node, event.text)
        elif kind == "preview" and self._hub.listening:
            publish("preview", self.id, node=event.node, image=jpeg(event.image))
        elif kind == "broken":
            self.progress.pop(event.node, None)
            self.broken[event.node] = event.text
            publish("broken", self.id, node=event.node, text=event.text)
        elif kind == "note":
            self.notes.append(event.text)
            publish("note", self.id, text=event.text)

    def _finished(self, event: Event) -> None:
        self.done += len(event.nodes)
        self.cached += len(event.cached)
        now = self.sign - self.started
        for node, seconds in event.took.items():
            if len(self.spans) < MOST_TIMED:
                self.spans.append([node, round(now, 6), round(seconds, 6)])
        for node in event.nodes:
            self.progress.pop(node, None)
        took = {node: round(seconds, 4) for node, seconds in event.took.items()}
        self._hub.publish("nodes", self.id, names=event.nodes, cached=event.cached, took=took)

    def _text(self, node: str, text: str) -> None:
        """Only what is new of a text that grows."""
        before = self.texts.get(node, "")
        at = len(before) if text.startswith(before) else 0
        self.texts[node] = text
        self._hub.publish("text", self.id, node=node, at=at, text=text[at:])


def jpeg(image: Any) -> bytes:
    """A preview as the bytes of a JPEG, its longer side at most LONGEST_SIDE pixels."""
    picture = image.sheet()
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=85)
    return buffer.getvalue()

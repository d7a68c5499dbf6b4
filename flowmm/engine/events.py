"""Events: what a run says while it works. Deltas, about twenty a second at most."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from ..sockets import Text

Kind = Literal["planned", "running", "progress", "preview", "finished", "broken", "note", "done", "failed", "cancelled"]
INTERVAL = 0.05  # seconds between two events of one sort
NOTEWORTHY = 0.001  # seconds: nodes that took less are not timed
SPARED = 9  # previews take at most a tenth of a node's time: so many times as long as one took, none is made


@dataclass(slots=True)
class Event:
    """planned: `total` more nodes must be computed. running: a node that takes a while began. progress: `step` of `steps`, `eta`
    seconds left. preview: `image`, or the `text` written so far. finished: `nodes` got their values since the last such event, those of `cached` from
    the cache; `took` has the seconds of those that took a millisecond or more. broken: a node failed, `error`; what does not need it goes on. note: `text` worth reading. done, failed, cancelled: the last event
    of a run."""

    kind: Kind
    node: str = ""
    step: int = 0
    steps: int = 0
    eta: float | None = None
    total: int = 0
    nodes: list[str] = field(default_factory=list)
    cached: list[str] = field(default_factory=list)
    took: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    image: Any = None
    text: str = ""
    result: Any = None
    error: BaseException | None = None


class Reporter:
    """Turns what happens in a run into events for one listener; without a listener everything here is skipped."""

    def __init__(self, listener: Callable[[Event], None] | None):
        self.listener = listener
        self._started: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self._spared: dict[str, float] = {}
        self._finished: list[str] = []
        self._cached: list[str] = []
        self._took: dict[str, float] = {}
        self._flushed = 0.0

    def send(self, kind: Kind, **data: Any) -> None:
        if self.listener is not None:
            self.listener(Event(kind, **data))

    def running(self, node: str) -> None:
        self._started[node] = time.monotonic()
        self.send("running", node=node)

    def progress(self, node: str, step: int, steps: int, preview: Any = None) -> None:
        """The first and last step always, others at most every INTERVAL; the rate gives the time left."""
        now = time.monotonic()
        if self.listener is None or (step < steps and now - self._last.get(node, 0.0) < INTERVAL):
            return
        self._last[node] = now
        elapsed = now - self._started.setdefault(node, now)
        eta = elapsed / step * (steps - step) if step and elapsed else None
        self.send("progress", node=node, step=step, steps=steps, eta=eta)
        if preview is not None and step < steps and now >= self._spared.get(node, 0.0):
            made = preview() if callable(preview) else preview
            made_at = time.monotonic()
            self._spared[node] = made_at + SPARED * (made_at - now)
            self.send("preview", node=node, **({"text": str(made)} if isinstance(made, Text) else {"image": made}))

    def finished(self, node: str, cached: bool = False, seconds: float = 0.0) -> None:
        self._finished.append(node)
        if cached:
            self._cached.append(node)
        elif seconds >= NOTEWORTHY:
            self._took[node] = seconds
        now = time.monotonic()
        if now - self._flushed > INTERVAL:
            self.flush(now)

    def flush(self, now: float = 0.0) -> None:
        if self._finished:
            self.send("finished", nodes=self._finished, cached=self._cached, took=self._took)
            self._finished, self._cached, self._took = [], [], {}
        self._flushed = now

"""Rounds: a frame at work. What lies inside it runs once for each item of a list, or again and again with the state that it made.

Each round is a run of its own on the same runtime: nodes are keyed as if the round were alone, so what does not depend on the item runs once,
and what another graph computed already is not computed again.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from ..graph.problems import shorten
from ..graph.wiring import Many
from ..store.codec import Encoded, Unstorable, encode, joined
from ..store.keys import VALUE
from .events import Event
from .inside import Inside
from .outputs import content, decoded
from .run import HAVE, Run
from .workers.base import NodeFailed

SHOWN = frozenset(("running", "progress", "preview", "note"))  # events of a round that people see
KEPT = 1 << 30  # uses of what a round was given: it is never let go of

Item = tuple[Any, bytes]  # a value, and what it adds to its reader's key


class Round(Run):
    """One round. around: the run that the frame is part of; items: what the entry stands for, by port."""

    def __init__(self, around: Run, inside: Inside, items: dict[str, Item], place: str, stopped: Callable[[], bool]):
        self._stopped = stopped
        super().__init__(around.runtime, inside.program, around.given, {}, self._tell if around.listening else None, around.priority)
        self._listener, self._frame, self._place = around.report.listener, inside.frame.name, place
        self.inside, self.wanted, self.digests = inside, inside.wanted, around.digests
        count = len(inside.program.names)
        self.identities = [None] * count
        operation = inside.program.operations[0]
        self._give(0, tuple(items[name][0] for name in operation.records), {record: items[name][1] for name, record in operation.records.items()})
        for old, new in inside.here:
            self._give(new, around.values[old], around.identities[old])

    @property
    def cancelled(self) -> bool:
        return self._cancelled or self._stopped()

    @cancelled.setter
    def cancelled(self, value: bool) -> None:
        self._cancelled = value

    def made(self) -> dict[str, Item]:
        """Run to the end; what the frame's outputs are in this round."""
        self._need(self.wanted)
        self._loop()
        return {name: (self._value(wire), self.program.wire_record(wire, self.identities, self.digests)) for name, wire in self.inside.exits.items()}

    def _fail(self, i: int, error: BaseException) -> None:
        """A round is whole or nothing."""
        super()._fail(i, error)
        raise self.broken[i]

    def _give(self, i: int, outputs: Any, identity: Any) -> None:
        self.values[i], self.identities[i], self.state[i], self.uses[i] = outputs, identity, HAVE, KEPT

    def _tell(self, event: Event) -> None:
        if event.kind in SHOWN:
            if event.node.startswith(self._frame):
                event.node = f"{self._frame}{self._place}{event.node.removeprefix(self._frame)}"
            self._listener(event)


class Rounds:
    """A frame of a run. stopped: whether nobody waits for it any more. done: called once, as a worker's task does."""

    def __init__(self, run: Run, i: int, stopped: Callable[[], bool], done: Callable[[tuple | None, BaseException | None, float], None]):
        self.run, self.inside, self.stopped, self.done = run, run.program.frames[i], stopped, done
        self.now: Round | None = None

    def start(self) -> None:
        threading.Thread(target=self._work, name=f"flowmm-{shorten(self.inside.frame.name)}", daemon=True).start()

    def wake(self) -> None:
        """It may have been stopped: look."""
        now = self.now
        if now is not None:
            now.inbox.put(None)

    def _work(self) -> None:
        started = time.perf_counter()
        try:
            outputs = self._loop() if self.inside.frame.most else self._each()
        except BaseException as error:  # whatever a node raises is its run's business, not this thread's
            self.done(None, error, time.perf_counter() - started)
        else:
            self.done(outputs, None, time.perf_counter() - started)

    def _round(self, number: int, items: dict[str, Item]) -> dict[str, Item]:
        place = f"[{number}]"
        self.now = round_ = Round(self.run, self.inside, items, place, self.stopped)
        try:
            return round_.made()
        except NodeFailed as error:
            error.within = place + error.node.removeprefix(self.inside.frame.name)
            raise
        finally:
            round_.cancel()  # what is still on a lane for this round alone stops at its next step
            self.run.executed += round_.executed
            self.run.from_disk += round_.from_disk

    def _each(self) -> tuple:
        rounds, made = list(self._items()), []
        name = self.inside.frame.name
        for number, items in enumerate(rounds):
            self.run.report.progress(name, number, len(rounds))
            made.append(self._round(number, items))
        self.run.report.progress(name, len(rounds), len(rounds))
        return tuple([self._handed([one[output][0] for one in made]) for output in self.inside.exits])

    def _loop(self) -> tuple:
        frame = self.inside.frame
        items = self._entered()
        for number in range(frame.most):
            self.run.report.progress(frame.name, number, frame.most)
            made = self._round(number, items)
            if frame.until and decoded(made[frame.until][0]):
                break
            items = {port: made[output] for port, output in frame.carry}
        return tuple([self._handed(made[output][0]) for output in self.inside.exits])

    def _items(self) -> Iterator[dict[str, Item]]:
        """What the entry stands for, round by round. Raises ValueError."""
        frame = self.inside.frame
        lists = {port: list(self._spread(port)) for port in frame.each}
        lengths = {port: len(items) for port, items in lists.items()}
        if frame.combine == "product":
            return (dict(zip(lists, items)) for items in itertools.product(*lists.values()))
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"`{port}` has {length}" for port, length in lengths.items())
            raise ValueError(f"lists that go side by side have different lengths: {told}; make them equally long, or combine them as a product")
        return (dict(zip(lists, items)) for items in zip(*lists.values()))

    def _spread(self, port: str) -> Iterator[Item]:
        """The items of a list; those of a list of wires are known by what makes them."""
        run, program = self.run, self.run.program
        wire = program.wires[self.inside.entry].get(port)
        if type(wire) is Many:
            for item in wire.items:
                yield run._value(item), program.wire_record(item, run.identities, run.digests)
            return
        value = run._value(wire) if port not in program.static[self.inside.entry] else program.static[self.inside.entry][port]
        for item in value.items() if type(value) is Encoded else value:
            yield item, VALUE + (item.digest() if type(item) is Encoded else content(item))

    def _entered(self) -> dict[str, Item]:
        """The state that a loop begins with."""
        run, program, entry = self.run, self.run.program, self.inside.entry
        found = {}
        for port, _ in self.inside.frame.carry:
            wire = program.wires[entry].get(port)
            if port in program.static[entry]:
                value = program.static[entry][port]
                found[port] = value, VALUE + content(value)
            else:
                found[port] = run._value(wire), program.wire_record(wire, run.identities, run.digests)
        return found

    def _handed(self, value: Any) -> Any:
        """What the frame gives, encoded where a worker process would give it so."""
        if not self.run.worker.remote:
            return value
        try:
            return _encoded(value)
        except Unstorable:
            return value


def _encoded(value: Any) -> Encoded:
    """Of a list, parts may be encoded already. Raises Unstorable."""
    if type(value) is Encoded:
        return value
    return joined(list(map(_encoded, value))) if type(value) is list else encode(value)

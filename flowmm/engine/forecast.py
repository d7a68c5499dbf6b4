"""What a run would do: which nodes would answer from the cache and which would run, without running any."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ..catalog import Cancelled
from ..graph.wiring import Input, Link
from .program import Program
from .run import HAVE, Run
from .workers.base import NodeFailed


class OnDisk:
    """Stands for the outputs of an entry that nobody has read yet."""

    def __getitem__(self, position: int) -> OnDisk:
        return self


ON_DISK = OnDisk()


@dataclass(slots=True)
class Forecast:
    """Names of needed nodes, in topological order. cached: would answer from memory or disk. runs: would be computed. free: makers
    of handles and switches, which cost nothing. undecided: needed or not, hit or miss, once what is late has run. failed: why
    planning itself would fail."""

    cached: list[str] = field(default_factory=list)
    free: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    failed: NodeFailed | None = None


def forecast(runtime: Any, program: Program, given: Mapping[Input, Any], targets: Mapping[str, Link]) -> Forecast:
    """Walk from the targets backwards as a run does. Makes handles and lets switches choose where their inputs are here."""
    run = _Foreseen(runtime, program, dict(given), dict(targets))
    found = Forecast()
    with suppress(Cancelled, NodeFailed):
        run.walk()
    found.failed = run.failed
    for i in program.order:
        if run.state[i] == HAVE:
            (found.free if program.late[i] else found.cached).append(program.names[i])
        elif i in run.would or (run.state[i] and run.identities[i] is not None):
            found.runs.append(program.names[i])
        elif run.state[i] or run.unkeyed.get(i):
            found.undecided.append(program.names[i])
    return found


class _Foreseen(Run):
    """A run that computes nothing: what is on disk is not read, what is missing stays asked for."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.would: set[int] = set()

    def walk(self) -> None:
        self.identities, self.digests = self.program.identities(self.given)
        self._need(self.wanted)
        self._loop()

    def _from_disk(self, key: bytes) -> Any:
        if self.disk is None:
            return None
        if self.on_disk is None:
            self.on_disk = self.disk.contains_many([k for k in self.identities if type(k) is bytes])
        return ON_DISK if key in self.on_disk else None

    def _done_with(self, producers: tuple[int, ...]) -> None:
        """Nothing is let go of: what is here is to be told."""

    def _start(self, i: int) -> None:
        spec = self.program.specs[i]
        if i in self.branch or i in self.twin:
            super()._start(i)
        elif self.program.late[i] and (spec.makes_handles or spec.lazy):
            for producer in self._sources(i):
                if self.values[producer] is ON_DISK:
                    self.values[producer] = super()._from_disk(self.identities[producer])
            if all(self.values[producer] is not None for producer in self._sources(i)):
                super()._start(i)
        else:
            self.would.add(i)

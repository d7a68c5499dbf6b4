"""A node of a run as a task for a lane, and what becomes of what the lane made."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..catalog import Context
from ..graph.wiring import Input, Link, Many, Wire
from ..store.keys import VALUE
from .workers.base import Task

if TYPE_CHECKING:
    from .run import Run


def task(run: Run, i: int, key: bytes | None, flight: list) -> Task:
    """flight: the runs that wait for the key; it goes on while one of them is not cancelled."""
    program = run.program
    node, names = program.names[i], {}
    if run.worker.remote:
        names = {port: _name(run, wire) for port, wire in program.checked.wiring.wires[i].items()}
    made = Task(
        spec=program.specs[i], kwargs=run._kwargs(i), key=key, names=names, node=node,
        report=lambda step, steps, preview: run.report.progress(node, step, steps, preview),
        cancelled=lambda: all(one.cancelled for one, _ in flight),
        priority=lambda: max((one.priority for one, _ in flight), default=0), done=finisher(run, i, key, lambda: made.digests), watched=run.listening,
    )  # fmt: skip
    return made


def finisher(run: Run, i: int, key: bytes | None, digests: Callable[[], list[bytes] | None] = lambda: None) -> Callable[..., None]:
    """What a lane calls with what it made: (outputs, error, seconds)."""
    runtime = run.runtime

    def done(outputs: tuple | None, error: BaseException | None, seconds: float) -> None:
        if outputs is not None:
            try:
                outputs = runtime.to_host(outputs)
            except Exception as problem:  # a device error may show only now
                outputs, error = None, problem
        if key is None:
            run.inbox.put((i, outputs, error, seconds, digests()))
            return
        if outputs is not None:
            runtime.memory.put(key, outputs)
        runtime.land(key, outputs, error, seconds, None)

    return done


def context(run: Run, i: int) -> Context:
    """What a node in this process may ask of its run."""
    name = run.program.names[i]
    return Context(name, run.worker.device, lambda *args: run.report.progress(name, *args), lambda: run.cancelled, os.environ.get, run.runtime.dtype)


def _name(run: Run, wire: Wire) -> Any:
    """What a wire's content is known by; a list of names for a list, None for a literal."""
    if type(wire) is Link:
        return run.program.piece(wire, run.identities)
    if type(wire) is Input:
        found = run.digests.get(wire)
        return VALUE + found if found is not None else None
    return [_name(run, item) for item in wire.items] if type(wire) is Many else None

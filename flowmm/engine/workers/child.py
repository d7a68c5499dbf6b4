"""The worker process: the lanes of one device, told what to run by the process that started it.

It ends when its parent does: the socket closes. Interrupts from a terminal are the parent's business.
"""

from __future__ import annotations

import importlib
import itertools
import mmap
import os
import signal
import socket
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from typing import Any

from ...catalog import Cancelled, NodeSpec, code, find
from ...catalog.reload import in_development, reload
from ...store.codec import Encoded, Unstorable, encode
from ..events import INTERVAL, SPARED
from ..outputs import content, explain
from .base import NodeFailed, Task
from .inline import InlineWorker
from .transport import Channel, Closed, Held

# What the parent sends: a node type; a value to hold; values to let go; a task; whether it is cancelled, its priority.
OP, KEEP, DROP, TASK, STATE = range(5)
# What comes back.
DONE, FAILED, PROGRESS = range(3)
SMALL = 4096  # bytes: shorter values are sent again rather than held
SLOTS = 512  # threads that may run a node at once


class Kept:
    """A value held for later tasks; decoded by the first that reads it."""

    def __init__(self, value: Any):
        self._value = value
        self._lock = threading.Lock()

    def get(self) -> Any:
        with self._lock:
            if type(self._value) is Encoded:
                self._value = self._value.decode()
            return self._value


@dataclass(slots=True, eq=False)
class Order(Task):
    """A task as the parent ordered it. stopped, rank: its cancellation and priority, as last heard."""

    number: int = 0
    stopped: bool = False
    rank: int = 0


class Lanes(InlineWorker):
    """running: the numbers of the tasks that run right now, in memory the parent reads if this process dies."""

    def __init__(self, device: str, threads: int, dtype: str, running: memoryview):
        super().__init__(device, threads, dtype)
        self._running = running
        self._slots = itertools.count()
        self._mine = threading.local()

    def _run(self, task: Order) -> None:
        slot = getattr(self._mine, "slot", None)
        if slot is None:
            slot = self._mine.slot = next(self._slots) % SLOTS
        self._running[slot] = task.number
        try:
            task.kwargs = {name: _value(argument) for name, argument in task.kwargs.items()}
        except Exception as error:  # whatever cannot be read is this task's failure, not this thread's
            task.done(None, error, 0.0)
        else:
            super()._run(task)
        finally:
            self._running[slot] = 0


def _value(argument: Any) -> Any:
    if type(argument) is Kept:
        return argument.get()
    if type(argument) is Encoded:
        return argument.decode()
    if type(argument) is list:
        return [_value(item) for item in argument]
    return argument


class Child:
    """Reads orders and hands them to the lanes."""

    def __init__(self, channel: Channel, running: memoryview):
        self.channel = channel
        device, threads, dtype = channel.receive()
        self.lanes = Lanes(device, threads, dtype, running)
        self.kept: dict[int, Kept] = {}
        self.orders: dict[int, Order] = {}
        self.ops: dict[int, NodeSpec | Exception] = {}

    def serve(self) -> None:
        """Until the parent closes the socket."""
        handlers = {OP: self._op, KEEP: self._keep, DROP: self._drop, TASK: self._task, STATE: self._state}
        while True:
            kind, *rest = self.channel.receive()
            handlers[kind](*rest)

    def _op(self, index: int, op: str, module: str, expected: bytes) -> None:
        try:
            if op.startswith("local:"):
                importlib.import_module(module)
            reload()
            self.ops[index] = find(op)
            if expected and code.of_module(module).digest != expected:
                what = "run it again" if in_development() else "start the program again"
                raise RuntimeError(f"its code changed after this program had read it; {what}")
        except Exception as error:  # a module may fail in any way when it is imported
            self.ops[index] = error

    def _keep(self, slot: int, value: Encoded) -> None:
        self.kept[slot] = Kept(value)

    def _drop(self, slots: list[int]) -> None:
        for slot in slots:
            self.kept.pop(slot, None)

    def _state(self, number: int, stopped: bool, rank: int) -> None:
        order = self.orders.get(number)
        if order is not None:
            order.stopped, order.rank = stopped, rank

    def _task(self, number: int, op: int, kwargs: dict[str, Any], late: bool, node: str, rank: int, watched: bool) -> None:
        spec = self.ops[op]
        if isinstance(spec, Exception):
            self._failed(number, spec, 0.0)
            return
        order = Order(
            spec=spec, kwargs={name: self._argument(value) for name, value in kwargs.items()}, key=None, names={}, node=node,
            report=self._reporter(number, watched), cancelled=lambda: order.stopped, priority=lambda: order.rank,
            done=lambda outputs, error, seconds: self._done(order, late, outputs, error, seconds), number=number, rank=rank,
        )  # fmt: skip
        self.orders[number] = order
        self.lanes.submit(order)

    def _argument(self, value: Any) -> Any:
        """Values are looked up now, since they may be dropped later, but decoded on the lane: that may import torch."""
        if type(value) is Held:
            return self.kept[value.slot]
        if type(value) is Encoded and not value.buffers:
            return value.decode()
        if type(value) is list:
            return [self._argument(item) for item in value]
        return value

    def _reporter(self, number: int, watched: bool):
        last = spared = 0.0

        def report(step: int, steps: int, preview: Any) -> None:
            nonlocal last, spared
            now = time.monotonic()
            if not watched or (step < steps and now - last < INTERVAL):
                return
            last = now
            image = preview() if callable(preview) and step < steps and now >= spared else None
            if image is not None:
                made = time.monotonic()
                spared = made + SPARED * (made - now)
            self.channel.send((PROGRESS, number, step, steps, None if image is None else encode(image)))

        return report

    def _done(self, order: Order, late: bool, outputs: tuple | None, error: BaseException | None, seconds: float) -> None:
        del self.orders[order.number]
        if error is None:
            try:
                self._send_outputs(order, late, outputs, seconds)
                return
            except Exception as problem:  # no codec, no memory, or a device error that shows only now
                error = problem
        self._failed(order.number, error, seconds)

    def _send_outputs(self, order: Order, late: bool, outputs: tuple, seconds: float) -> None:
        encoded = []
        for name, value in zip(order.spec.outputs, outputs):
            try:
                encoded.append(encode(value))
            except Unstorable as error:
                raise NodeFailed(order.node, order.spec.op, f"its output `{name}` cannot leave the worker process: {error}") from error
        digests = [content(value) for value in outputs] if late else None
        for position, value in enumerate(encoded):
            if value.nbytes > SMALL:
                self.kept[slot_of(order.number, position)] = Kept(outputs[position])
        self.channel.send((DONE, order.number, seconds, encoded, digests))

    def _failed(self, number: int, error: BaseException, seconds: float) -> None:
        message = error.message if isinstance(error, NodeFailed) else explain(error)
        trace = "".join(traceback.format_exception(error))
        self.channel.send((FAILED, number, seconds, isinstance(error, Cancelled), message, trace))


def slot_of(number: int, position: int) -> int:
    """Where the child holds an output of a task; both sides know it without a word."""
    return number << 16 | position


def main(connection: int, table: int) -> None:
    """connection, table: descriptors of the socket and of the memory for what is running."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.argv = ["flowmm-worker"]
    os.set_inheritable(connection, False)
    running = memoryview(mmap.mmap(table, SLOTS * 8)).cast("Q")
    os.close(table)
    try:
        Child(Channel(socket.socket(fileno=connection)), running).serve()
    except Closed:
        sys.stdout.flush()
        os._exit(0)  # at once: what still runs here runs for nobody

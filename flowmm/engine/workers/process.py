"""The worker in a process of its own: a crash there costs the nodes that were running, and torch is never imported here.

Values stay encoded on this side. This side alone decides what the child holds, so a value made on the device is not
sent back to it, and neither side ever has to ask. Queued nodes of a child that died go to the next one.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import mmap
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...catalog import Cancelled, NodeSpec, code
from ...store.codec import Encoded, Unstorable, encode
from ...store.keys import UPSTREAM, VALUE, record
from .base import NodeFailed, Task, WorkerLost, code_of
from .child import DONE, DROP, FAILED, KEEP, OP, SLOTS, SMALL, STATE, TASK, slot_of
from .transport import Channel, Closed, Held, anonymous_file

POLL = 0.05  # seconds between two looks at what was cancelled
HELD_BYTES = 2**30  # of values kept decoded in the child
START = "import sys; sys.path[:] = sys.argv[3:]; from flowmm.engine.workers.child import main; main(*map(int, sys.argv[1:3]))"
AS_IS = frozenset((str, bool, float, type(None)))


class ChildTraceback(Exception):
    """Where in the worker process a node failed; the cause of its NodeFailed."""

    def __str__(self) -> str:
        return "\n" + self.args[0]


class ProcessWorker:
    """Starts a process for the device with its first task, and another when that one dies.

    note: told, in a sentence, when a process was lost.
    """

    remote = True

    def __init__(self, device: str, threads: int, note: Callable[[str], None], dtype: str = "float32"):
        self.device, self.threads, self.dtype, self._note = device, threads, dtype, note
        self._lock = threading.Lock()
        self._process: Process | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Of the process that runs now, if one does."""
        process = self._process
        return process.pid if process is not None else None

    @property
    def busy(self) -> bool:
        """Whether any node runs, or waits to."""
        process = self._process
        return process is not None and not process.dead and bool(process.flights)

    def submit(self, task: Task) -> None:
        if task.spec.op.startswith("local:__main__."):
            reason = "a node of a script or notebook cannot run in a worker process; move it into a module, or run it without `separate`"
            task.done(None, NodeFailed(task.node, task.spec.op, reason), 0.0)
        else:
            self._send(Flight(task))

    def restart(self) -> None:
        """End the process, whatever it is doing. The nodes it was running fail; queued ones go to a new process."""
        process = self._process
        if process is not None:
            process.end("was restarted")

    def close(self) -> None:
        with self._lock:
            self._closed = True
            process = self._process
        if process is not None:
            process.end("was closed")
            process.join()

    def _send(self, flight: Flight) -> None:
        try:
            while not self._current().take(flight):
                continue  # it died this very moment: the next one
        except (OSError, Unstorable, WorkerLost) as error:
            flight.task.done(None, error, 0.0)

    def _current(self) -> Process:
        with self._lock:
            if self._closed:
                raise WorkerLost(f"the worker process of `{self.device}` was closed")
            if self._process is None or self._process.dead:
                self._process = Process(self.device, self.threads, self.dtype, self._lost)
            return self._process

    def _lost(self, process: Process, how: str) -> None:
        """Its running tasks fail. Others start again elsewhere, once: one of them may be what kills every process."""
        if not process.asked_to_end:
            self._note(f"the worker process of `{self.device}` {how}; a new one is started when it is needed")
        running = process.running()
        for number, flight in process.flights.items():
            started = number in running
            if self._closed or started or flight.lost:
                when = "while running" if started else "before it could run"
                flight.task.done(None, WorkerLost(f"the worker process of `{self.device}` {how} {when} this node"), 0.0)
            else:
                flight.lost = True
                self._send(flight)


@dataclass(slots=True, eq=False)
class Flight:
    """A task that was sent. lost: whether a process died before it began. state: cancellation and priority, as last told."""

    task: Task
    lost: bool = False
    state: tuple[bool, int] = (False, 0)


class Process:
    """One worker process and what it was given. Ends with it."""

    def __init__(self, device: str, threads: int, dtype: str, lost: Callable[[Process, str], None]):
        self.flights: dict[int, Flight] = {}
        self.dead = False
        self.asked_to_end = ""
        self._lost = lost
        self._lock = threading.Lock()  # sending, and all that the order of messages decides
        self._numbers = itertools.count(1)
        self._ops: dict[NodeSpec, int] = {}
        self._held: OrderedDict[bytes, tuple[int, int]] = OrderedDict()  # name → slot, bytes
        self._held_bytes = 0
        self._made: deque[tuple[bytes, int, int]] = deque()  # outputs that came back since the last task was sent
        self._busy = threading.Event()
        self._kills = out_of_memory_kills()
        self._start(device, threads, dtype)

    def _start(self, device: str, threads: int, dtype: str) -> None:
        ours, theirs = socket.socketpair()
        table = anonymous_file()
        try:
            os.ftruncate(table, SLOTS * 8)
            self._running = memoryview(mmap.mmap(table, SLOTS * 8)).cast("Q")
            arguments = [sys.executable, "-c", START, str(theirs.fileno()), str(table), *sys.path]
            self._popen = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(), table))
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(table)
        self.channel = Channel(ours)
        with contextlib.suppress(Closed):  # if it died at once, the reader sees it
            self.channel.send((device, threads, dtype))
        self._reader = threading.Thread(target=self._read, name=f"flowmm-{device}-results", daemon=True)
        self._reader.start()
        threading.Thread(target=self._watch, name=f"flowmm-{device}-watch", daemon=True).start()
        atexit.register(self.end)

    @property
    def pid(self) -> int:
        return self._popen.pid

    def running(self) -> set[int]:
        """The numbers of the tasks that are being run, or were when the process died."""
        return set(self._running)

    def end(self, how: str = "was closed") -> None:
        self.asked_to_end = how
        self._popen.kill()
        self.channel.shut()

    def join(self) -> None:
        if threading.current_thread() is not self._reader:
            self._reader.join()

    # ── sending ─────────────────────────────────────────────────────────────────────────────────

    def take(self, flight: Flight) -> bool:
        """Send a task; False if the process is dead. Raises Unstorable, OSError: nothing was sent then."""
        task = flight.task
        with self._lock:
            if self.dead:
                return False
            number = next(self._numbers)
            try:
                self._note_made()
                kwargs = {port: self._argument(value, task.names.get(port)) for port, value in task.kwargs.items()}
                flight.state = (False, task.priority())
                self.flights[number] = flight
                self.channel.send((TASK, number, self._op(task.spec), kwargs, task.key is None, task.node, flight.state[1], task.watched))
                self._make_room()
            except Closed:
                pass  # the reader sees the end too, and tells everyone
            except BaseException:
                self.flights.pop(number, None)
                raise
        if not self._busy.is_set():
            self._busy.set()
        return True

    def _op(self, spec: NodeSpec) -> int:
        index = self._ops.get(spec)
        if index is None:
            index = self._ops[spec] = len(self._ops)
            digest = code_of(spec).digest if code.of_module(spec.module).known else b""
            self.channel.send((OP, index, spec.op, spec.module, digest))
        return index

    def _argument(self, value: Any, name: Any) -> Any:
        """A value as the child gets it. name: what its content is known by; a list of names for a list of wires."""
        if type(value) in AS_IS:
            return value
        if type(name) is list:
            return [self._argument(item, own) for item, own in zip(value, name, strict=True)]
        if type(value) is list and _holds_encoded(value):  # wires in a list that a switch stands for
            return [self._argument(item, None) for item in value]
        if type(value) is not Encoded:
            value = encode(value)
        if name is None or value.nbytes <= SMALL:
            return value
        held = self._held.get(name)
        if held is None:
            slot = slot_of(next(self._numbers), 0)
            self.channel.send((KEEP, slot, value))
            self._hold(name, slot, value.nbytes)
            return Held(slot)
        self._held.move_to_end(name)
        return Held(held[0])

    def _hold(self, name: bytes, slot: int, size: int) -> None:
        before = self._held.pop(name, None)
        if before is not None:
            self._held_bytes -= before[1]
            self.channel.send((DROP, [before[0]]))
        self._held[name] = slot, size
        self._held_bytes += size

    def _note_made(self) -> None:
        while self._made:
            self._hold(*self._made.popleft())

    def _make_room(self) -> None:
        """After a task was sent, never before: it may read what leaves now."""
        slots = []
        while self._held_bytes > HELD_BYTES:
            _, (slot, size) = self._held.popitem(last=False)
            self._held_bytes -= size
            slots.append(slot)
        if slots:
            self.channel.send((DROP, slots))

    def _watch(self) -> None:
        """Tell the child what was cancelled or became more urgent; notice a death that left the socket open."""
        while not self.dead:
            if not self.flights:
                self._busy.clear()
                if not self.flights:
                    self._busy.wait()
            time.sleep(POLL)
            if self._popen.poll() is not None:
                self.channel.shut()  # a process that a node forked may still have it
            for number, flight in list(self.flights.items()):
                state = flight.task.cancelled(), flight.task.priority()
                if state != flight.state:
                    flight.state = state
                    try:
                        self.channel.send((STATE, number, *state))
                    except Closed:
                        break

    # ── receiving ───────────────────────────────────────────────────────────────────────────────

    def _read(self) -> None:
        try:
            while True:
                kind, number, *rest = self.channel.receive()
                flight = self.flights.get(number) if kind not in (DONE, FAILED) else self.flights.pop(number, None)
                if flight is None:
                    continue
                if kind == DONE:
                    self._done(number, flight.task, *rest)
                elif kind == FAILED:
                    _failed(flight.task, *rest)
                else:
                    _progress(flight.task, *rest)
        except Closed:
            pass
        finally:
            self._popen.kill()
            self._end(self._popen.wait())

    def _end(self, status: int) -> None:
        with self._lock:
            self.dead = True
        self._busy.set()
        self._lost(self, self.asked_to_end or self._cause(status))
        self.channel.close()
        atexit.unregister(self.end)

    def _cause(self, status: int) -> str:
        if status >= 0:
            return f"ended (exit status {status})"
        if -status == signal.SIGKILL and out_of_memory_kills() > self._kills:
            return "was ended by the system, which ran out of memory,"
        return f"ended (signal {-status})"

    def _done(self, number: int, task: Task, seconds: float, outputs: list[Encoded], digests: list[bytes] | None) -> None:
        task.digests = digests
        for position, (name, value) in enumerate(zip(task.spec.outputs, outputs)):
            if value.nbytes > SMALL:
                known = VALUE + digests[position] if task.key is None else UPSTREAM + task.key + record(b"o", name.encode())
                self._made.append((known, slot_of(number, position), value.nbytes))
        task.done(tuple(outputs), None, seconds)


def _failed(task: Task, seconds: float, cancelled: bool, message: str, trace: str) -> None:
    error = Cancelled(task.node) if cancelled else NodeFailed(task.node, task.spec.op, message)
    error.__cause__ = ChildTraceback(trace)
    task.done(None, error, seconds)


def _progress(task: Task, step: int, steps: int, preview: Encoded | None) -> None:
    try:
        task.report(step, steps, None if preview is None else preview.decode)
    except Exception:  # a listener's failure must not cost everyone else this process
        return


def out_of_memory_kills() -> int:
    """How often the system has ended a process for want of memory, where it counts them."""
    try:
        return next(int(line.split()[1]) for line in Path("/proc/vmstat").read_text().splitlines() if line.startswith("oom_kill "))
    except (OSError, StopIteration, ValueError):
        return 0


def _holds_encoded(items: list) -> bool:
    return any(type(item) is Encoded or (type(item) is list and _holds_encoded(item)) for item in items)

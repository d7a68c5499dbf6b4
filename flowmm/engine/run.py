"""A run: wanted outputs, asked for backwards, computed by one drain loop.

Nodes without a late ancestor are keyed before anything runs. A late node (impure, a maker of handles, a switch) runs
when its own inputs are here; its followers are keyed by the content that arrived, so an unchanged value goes on
hitting the cache (early cutoff). A switch becomes an alias of the branch it took; the other is never asked for.
A node that fails takes along what needs it; the rest is computed, and kept.
"""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..catalog import Branch, Cancelled
from ..collector import patient_gc
from ..graph.wiring import Const, Input, Link, Wire, flat
from ..store.codec import Encoded, known
from ..store.keys import VALUE, digest
from ..store.memory import MISSING
from .events import Event, Reporter
from .losses import hopeful
from .outputs import content, decoded, explain
from .program import Identity, Program
from .tasks import context, finisher, task
from .workers.base import NodeFailed, call, set_threads

if TYPE_CHECKING:
    from .rounds import Rounds

NEW, ASKED, RUNNING, HAVE, BROKEN = range(5)
KEEP_SECONDS = 0.010  # an intermediate that cost less is computed again rather than written to disk


class Run:
    """One execution of a program. targets: the wanted outputs by name; given: graph inputs by wire.

    A node's value is the tuple of its outputs; where the worker is another process they stay encoded until a person,
    or a node in this process, looks at them.
    """

    def __init__(self, runtime: Any, program: Program, given: dict[Input, Any], targets: dict[str, Link],
                 listener: Callable[[Event], None] | None = None, priority: int = 0):  # fmt: skip
        self.runtime, self.program, self.given, self.targets = runtime, program, given, targets
        self.worker, self.priority = runtime.worker, priority
        # What a live object of this process made means nothing to another process.
        self.disk = None if any(type(value) is str and value.startswith("live:") for value in given.values()) else runtime.disk
        self.report, self.listening = Reporter(listener), listener is not None
        self.cancelled = False
        self.executed = 0  # nodes whose function ran, makers of handles and switches not counted
        self.from_disk = 0
        self.seconds = 0.0
        count = len(program.names)
        self.identities: list[Identity | None] = []
        self.digests: dict[Input, bytes] = {}
        self.values: list[tuple | None] = [None] * count
        self.state = bytearray(count)
        self.waiting = [0] * count  # producers without a value yet
        self.uses = [0] * count  # consumers that will still read the value
        self.consumers: dict[int, list[int]] = {}
        self.unkeyed: dict[int, int] = {}  # needed nodes without a key: how many producers lack an identity
        self.branch: dict[int, tuple[Wire, tuple[int, ...]]] = {}  # a switch that chose: what it stands for, and the nodes that make it
        self.adopters: dict[int, list[int]] = {}  # switches waiting for the identity of what they stand for
        self.twin: dict[int, int] = {}  # a node whose key another node of this run already computes
        self.by_key: dict[bytes, int] = {}
        self.keyable: deque[int] = deque()
        self.ready: deque[int] = deque()
        self.outstanding: set[int] = set()  # nodes on a lane, here or for another run
        self.broken: dict[int, NodeFailed] = {}
        self.hopeful: set[int] | None = None  # after a failure: what something wanted can still come of; None: not known now
        self.idle: list[int] = []  # nodes that were ready, but of no use then
        self.rounds: dict[int, Rounds] = {}  # frames at work
        self.inbox: queue.SimpleQueue = queue.SimpleQueue()
        self.wanted = {link.producer for link in targets.values()}
        self.on_disk: set[bytes] | None = None

    def cancel(self) -> None:
        """Ask the run to stop at its next step. Work that another run waits for goes on."""
        self.cancelled = True
        self.inbox.put(None)
        for rounds in list(self.rounds.values()):
            rounds.wake()

    def execute(self, decode: bool = True) -> dict[str, Any]:
        """Run to the end in this thread; the targets' values by name. Raises NodeFailed, which has those that were made, or Cancelled.

        decode: False leaves what a worker process made as it came, so that this process need not import what made it.
        """
        started = time.perf_counter()
        try:
            with patient_gc():
                self.identities, self.digests = self.program.identities(self.given)
                self._need(self.wanted)
                self._loop()
                if self.failed is not None:
                    raise self.failed
        except BaseException as error:
            self.cancel()  # what is still on a lane for this run alone stops at its next step
            if isinstance(error, NodeFailed):
                error.also = [other for other in self.broken.values() if other is not error]
                error.kept = self._made(decode)
            raise
        finally:
            self.seconds = time.perf_counter() - started
            self.report.flush()
            self.runtime.settle(self.report)
        return self._made(decode)

    @property
    def failed(self) -> NodeFailed | None:
        """The first node that failed, if one did."""
        return next(iter(self.broken.values()), None)

    def _made(self, decode: bool) -> dict[str, Any]:
        """The targets that have a value."""
        values = {name: self._value(link) for name, link in self.targets.items() if self.state[link.producer] == HAVE}
        return {name: value if type(value) is Encoded and not decode else decoded(value) for name, value in values.items()}

    # ── keys ────────────────────────────────────────────────────────────────────────────────────

    def _need(self, targets: set[int]) -> None:
        """Key the targets: now if nothing late is above them, else when what is late has arrived."""
        identities, unkeyed = self.identities, self.unkeyed
        fresh = [i for i in targets if identities[i] is None and i not in unkeyed]
        seen = set(fresh)
        for i in fresh:  # grows: ancestors through inputs that are always fetched
            for producer in self._above(i):
                if identities[producer] is None and producer not in seen and producer not in unkeyed:
                    seen.add(producer)
                    fresh.append(producer)
        for i in fresh:
            unkeyed[i] = sum(identities[producer] is None for producer in self._above(i))
            if not unkeyed[i]:
                self.keyable.append(i)
        self._ask([i for i in targets if identities[i] is not None])

    def _above(self, i: int) -> tuple[int, ...]:
        """The nodes that must be identified before a node can be keyed or, being late, run."""
        return self.program.producers[i] if self.program.late[i] else self.program.above.get(i, self.program.producers[i])

    def _settle(self) -> None:
        """Key the nodes whose producers are all identified; ask for the late ones and the wanted ones."""
        program, identities = self.program, self.identities
        asked, keyed = [], []
        while self.keyable:
            i = self.keyable.popleft()
            if program.late[i]:
                asked.append(i)
                continue
            identities[i] = program.key(i, identities, self.digests)
            keyed.append(identities[i])
            if i in self.wanted:
                asked.append(i)
            self._identified(i)
        if keyed and self.on_disk is not None:
            self.on_disk |= self.disk.contains_many(keyed)
        if asked:
            self._ask(asked)

    def _identified(self, i: int) -> None:
        """Its followers are one step closer to their keys; switches that stand for it take over its identity."""
        unkeyed = self.unkeyed
        identified = [i]
        for i in identified:  # grows: a switch may stand for a switch, thousands of times
            for follower in dict.fromkeys(self.program.followers[i]):
                left = unkeyed.get(follower, 0)
                if left and i in self._above(follower):
                    unkeyed[follower] = left - 1
                    if left == 1:
                        self.keyable.append(follower)
            identified += filter(self._adopt, self.adopters.pop(i, ()))

    # ── asking ──────────────────────────────────────────────────────────────────────────────────

    def _ask(self, nodes: list[int]) -> None:
        """Look nodes up, backwards: a hit ends the walk, a miss asks for its producers and waits for them."""
        state, values, identities = self.state, self.values, self.identities
        get, producers, branch, twin = self.runtime.memory.get, self.program.producers, self.branch, self.twin
        stack, missed = list(nodes), []
        while stack:
            i = stack.pop()
            if state[i]:
                continue
            key = identities[i]
            if type(key) is bytes:
                entry = get(key)
                if entry is MISSING:
                    entry = self._from_disk(key)
                if entry is not None:
                    values[i], state[i] = entry, HAVE
                    if self.listening:
                        self.report.finished(self.program.names[i], cached=True)
                    continue
                first = self.by_key.setdefault(key, i)
                if first != i:
                    if state[first] == NEW:
                        self.by_key[key] = i
                    else:
                        twin[i] = first
            state[i] = ASKED
            missed.append(i)
            stack.extend(self._sources(i) if branch or twin else producers[i])
        self._wait(missed)

    def _wait(self, missed: list[int]) -> None:
        state, uses, consumers = self.state, self.uses, self.consumers
        producers, special = self.program.producers, bool(self.branch or self.twin)
        if self.broken:
            self._reconsider()
        for i in missed:
            left = 0
            for producer in self._sources(i) if special else producers[i]:
                uses[producer] += 1
                if state[producer] != HAVE:
                    left += 1
                    if producer in consumers:
                        consumers[producer].append(i)
                    else:
                        consumers[producer] = [i]
            self.waiting[i] = left
            if not left:
                self.ready.append(i)
        if missed and self.listening:
            self.report.send("planned", total=len(missed))

    def _sources(self, i: int) -> tuple[int, ...]:
        """The nodes whose values a node needs to have its own."""
        if i in self.branch:
            return self.branch[i][1]
        return (self.twin[i],) if i in self.twin else self.program.producers[i]

    def _from_disk(self, key: bytes) -> tuple | None:
        """An entry of the disk tier, or None. After the first miss all keys known are looked up at once, later ones as they are made."""
        disk = self.disk
        if disk is None or (self.on_disk is not None and key not in self.on_disk):
            return None
        entry = disk.get_encoded(key) if self.worker.remote else disk.get(key)
        if entry is not None and self.worker.remote and not all(map(known, entry)):
            entry = None  # what could not be decoded there is a miss here
        if entry is None:
            if self.on_disk is None:
                self.on_disk = disk.contains_many([k for k in self.identities if type(k) is bytes])
            return None
        entry = tuple(entry)
        self.from_disk += 1
        self.runtime.memory.put(key, entry)
        return entry

    # ── running ─────────────────────────────────────────────────────────────────────────────────

    def _loop(self) -> None:
        ready, inbox = self.ready, self.inbox
        while True:
            if self.cancelled:
                raise Cancelled
            if self.keyable:
                self._settle()
            elif ready:
                i = ready.popleft()
                if self.broken and i not in self._hopeful():
                    self.idle.append(i)
                    continue
                self._start(i)
                if self.outstanding and not inbox.empty():
                    self._receive(inbox.get())
            elif self.outstanding and not (self.broken and self.outstanding.isdisjoint(self._hopeful())):
                self._receive(inbox.get())
            else:
                return

    def _start(self, i: int) -> None:
        program, runtime = self.program, self.runtime
        if i in self.branch:
            wire, producers = self.branch[i]
            self._have(i, (self._value(wire),))
            self._done_with(producers)
            return
        if i in self.twin:
            first = self.twin.pop(i)
            self._have(i, self.values[first])
            self._done_with((first,))
            return
        self.state[i] = RUNNING
        if program.late[i]:
            self._start_late(i)
            return
        key = self.identities[i]
        flight = runtime.join(key, self, i)
        if flight is None:  # another run computes it right now; its result comes to the inbox
            self.outstanding.add(i)
            return
        entry = runtime.memory.get(key)
        if entry is not MISSING:  # another run finished it after this one had asked
            runtime.land(key, entry, None, 0.0, self)
            self._have(i, entry)
            self._done_with(program.producers[i])
            return
        spec = program.specs[i]
        if i in program.frames:
            self._go_round(i, key, flight)
            return
        if spec.lane != "inline" or self.worker.remote:
            self._submit(i, key, flight)
            return
        started = time.perf_counter()
        try:
            if program.operations[i].torch:
                set_threads(runtime.threads)
            outputs = call(spec, self._kwargs(i), context(self, i) if spec.context else None)
        except BaseException as error:
            runtime.land(key, None, error if isinstance(error, Exception) else Cancelled(), 0.0, self)
            return self._fail(i, error)
        seconds = time.perf_counter() - started
        runtime.memory.put(key, outputs)
        runtime.land(key, outputs, None, seconds, self)
        self._computed(i, outputs, seconds)

    def _submit(self, i: int, key: bytes | None, flight: list) -> None:
        self.outstanding.add(i)
        if self.listening and self.program.specs[i].lane != "inline":
            self.report.running(self.program.names[i])
        self.worker.submit(task(self, i, key, flight))

    def _go_round(self, i: int, key: bytes | None, flight: list) -> None:
        from .rounds import Rounds

        self.outstanding.add(i)
        if self.listening:
            self.report.running(self.program.names[i])
        self.rounds[i] = Rounds(self, i, lambda: all(run.cancelled for run, _ in flight), finisher(self, i, key))
        self.rounds[i].start()

    def _start_late(self, i: int) -> None:
        """Switches choose and makers of handles run here, while planning; other late nodes go to their lane."""
        spec = self.program.specs[i]
        if i in self.program.frames:
            self._go_round(i, None, [(self, i)])
            return
        here = spec.makes_handles or spec.lazy or (spec.lane == "inline" and not self.worker.remote)
        if not here:
            self._submit(i, None, [(self, i)])
            return
        kwargs = {name: decoded(value) for name, value in self._kwargs(i).items()}
        try:
            if spec.lazy:
                kwargs.update((port.name, Branch(port.name)) for port in spec.inputs.values() if port.lazy)
                chosen = spec.function(**kwargs)
                if not isinstance(chosen, Branch):
                    raise TypeError("a node with lazy inputs must return one of them")
            else:
                outputs = call(spec, kwargs, context(self, i) if spec.context else None)
        except BaseException as error:
            return self._fail(i, error)
        if spec.lazy:
            self._take(i, chosen.port)
        else:
            self._computed(i, outputs, 0.0)

    def _take(self, i: int, port: str) -> None:
        """A switch has chosen: from here on it stands for what is wired to that input."""
        program = self.program
        wire = next((wire for name, wire in program.dynamic[i] if name == port), None)
        self._done_with(program.producers[i])
        made_by = tuple(dict.fromkeys(leaf.producer for leaf in flat(wire) if type(leaf) is Link)) if wire else ()
        if made_by:
            self.branch[i], self.state[i] = (wire, made_by), NEW
            missing = {producer for producer in made_by if self.identities[producer] is None}
            for producer in missing:
                self.adopters.setdefault(producer, []).append(i)
            if missing:
                self._need(missing)
            elif self._adopt(i):
                self._identified(i)
            return
        value = program.static[i].get(port, program.specs[i].inputs[port].default) if wire is None else self._value(wire)
        self.identities[i] = dict.fromkeys(program.operations[i].records.values(), VALUE + digest(value))
        self._identified(i)
        self._have(i, (value,))

    def _adopt(self, i: int) -> bool:
        """Give a switch the identity of the branch it took, and fetch its value if it is itself wanted. Whether it has one now."""
        program = self.program
        wire, producers = self.branch[i]
        if any(self.identities[producer] is None for producer in producers):
            return False  # a list is known when its last item is
        piece = program.wire_record(wire, self.identities, self.digests)
        self.identities[i] = dict.fromkeys(program.operations[i].records.values(), piece)
        if i in self.wanted:
            self._ask([i])
        return True

    def _kwargs(self, i: int) -> dict[str, Any]:
        program, values = self.program, self.values
        kwargs = dict(program.static[i])
        for name, producer, position in program.args[i]:
            kwargs[name] = values[producer][position]
        for name, wire in program.dynamic[i]:
            if not program.specs[i].inputs[name].lazy:
                value = self._value(wire)
                if value is not _ABSENT:
                    kwargs[name] = value
        return kwargs

    def _value(self, wire: Wire) -> Any:
        if type(wire) is Input:
            return self.given.get(wire, _ABSENT)
        if type(wire) is Const:
            return wire.value
        if type(wire) is Link:
            return self.values[wire.producer][self.program.operations[wire.producer].positions[wire.output]]
        return [self._value(item) for item in wire.items]

    def _receive(self, message: tuple | None) -> None:
        """A result from a lane, or from another run that computed the same key."""
        if message is None:
            return
        i, outputs, error, seconds, digests = message
        self.outstanding.discard(i)
        self.rounds.pop(i, None)
        if isinstance(error, Cancelled) and not self.cancelled:
            self.state[i] = ASKED  # the run that computed it was cancelled; this one was not
            self.ready.append(i)
        elif error is not None:
            self._fail(i, error)
        else:
            self._computed(i, outputs, seconds, digests)

    def _computed(self, i: int, outputs: tuple, seconds: float, digests: list[bytes] | None = None) -> None:
        program = self.program
        if program.late[i]:
            records = program.operations[i].records.values()
            self.identities[i] = {r: VALUE + d for r, d in zip(records, digests or map(content, outputs))}
            self.executed += not program.specs[i].makes_handles and i not in program.frames
            self._identified(i)
        else:
            self.executed += i not in program.frames
            whole = not self.worker.remote or all(type(value) is Encoded for value in outputs)  # of a frame some may be what no codec knows
            if self.disk is not None and whole and (seconds > KEEP_SECONDS or i in self.wanted):
                ingredients = program.ingredients(i, self.identities, self.digests, self.given)
                stored = list(outputs) if self.worker.remote else outputs  # a list says that they are encoded
                self.disk.put(self.identities[i], stored, seconds, program.specs[i].op, ingredients)
        self._have(i, outputs, seconds)
        self._done_with(program.producers[i])

    def _have(self, i: int, outputs: tuple, seconds: float = 0.0) -> None:
        self.values[i], self.state[i] = outputs, HAVE
        if self.listening:
            self.report.finished(self.program.names[i], seconds=seconds)
        self._notify(i)

    def _notify(self, i: int) -> None:
        waiting = self.waiting
        for consumer in self.consumers.pop(i, ()):
            waiting[consumer] -= 1
            if not waiting[consumer]:
                self.ready.append(consumer)

    def _done_with(self, producers: tuple[int, ...]) -> None:
        """Let go of values nobody in this run waits for any more; if a later stage asks again, they are looked up."""
        uses = self.uses
        for i in producers:
            uses[i] -= 1
            if not uses[i] and self.state[i] == HAVE and i not in self.wanted and not self.program.late[i]:
                self.values[i], self.state[i] = None, NEW

    def _fail(self, i: int, error: BaseException) -> None:
        """A node failed: what does not need it goes on, unless its worker is lost."""
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise error
        if isinstance(error, Cancelled):
            raise Cancelled from error
        name, op = self.program.names[i], self.program.specs[i].op
        if isinstance(error, NodeFailed):  # another run's, of the same key, or a node's inside a frame
            failed = NodeFailed(name + error.within, error.op if error.within else op, error.message)
        else:
            failed = NodeFailed(name, op, explain(error))
        failed.__cause__ = error
        self.state[i], self.broken[i] = BROKEN, failed
        self._reconsider()
        self.report.send("broken", node=failed.node, text=failed.message, error=failed)
        if failed.worker_lost:
            raise failed

    def _reconsider(self) -> None:
        """What was of no use may be so now, and the other way round."""
        self.hopeful = None
        self.ready.extend(self.idle)
        self.idle.clear()

    def _hopeful(self) -> set[int]:
        if self.hopeful is None:
            self.hopeful = hopeful(self)
        return self.hopeful


_ABSENT = object()

"""A program: a checked graph made ready to run many times.

Everything that does not depend on a run is computed once here: arguments, the constant parts of keys, who is late.
A key is h(operation, then per port in order of names: its record, and either VALUE + digest or UPSTREAM + key + output).
Keys of nodes without a late ancestor are remembered between runs, so a changed input costs only what it affects.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from ..catalog import NodeSpec
from ..graph.check import Checked
from ..graph.frames import Frame
from ..graph.problems import brief, shorten
from ..graph.wiring import Const, Input, Link, Wire, flat
from ..store.keys import SIZE, UPSTREAM, VALUE, digest, h, operation, port, record
from .inside import Inside
from .workers.base import code_of, uses_torch

# What a node is known by: its key; or, for a late node, by output record what followers put into their keys.
Identity = bytes | dict[bytes, bytes]


class Operation:
    """What all nodes of one op share. ports: sorted by name, with record and the bytes of the default."""

    __slots__ = ("spec", "head", "ports", "late", "records", "positions", "code", "torch")

    def __init__(self, spec: NodeSpec, numeric: str):
        self.spec = spec
        self.code = code_of(spec)
        self.torch = uses_torch(spec)
        libraries = self.code.libraries
        # Only what computes with torch depends on the device, the threads and the speed mode.
        self.head = operation(spec.op, spec.version, self.code.digest, numeric if self.torch else "", libraries)
        self.ports = []
        for name in sorted(spec.inputs):
            declared = spec.inputs[name]
            default = b"" if declared.required else port(name) + VALUE + digest(declared.default)
            self.ports.append((name, port(name), default))
        self.late = spec.late or not self.code.known
        self.records = {name: record(b"o", name.encode()) for name in spec.outputs}
        self.positions = {name: position for position, name in enumerate(spec.outputs)}


class Program:
    """numeric: the numeric class the keys hold for."""

    def __init__(self, checked: Checked, numeric: str):
        wiring = checked.wiring
        self.checked, self.numeric = checked, numeric
        self.names, self.specs = wiring.names, wiring.specs
        self.followers = list(wiring.followers) if wiring.frames else wiring.followers
        self.order, self.wires = wiring.order, wiring.wires
        count = len(self.names)
        self.position = [count] * count
        for place, i in enumerate(self.order):
            self.position[i] = place
        operations: dict[int, Operation] = {}
        self.operations: list[Operation | None] = [None] * count
        self.parts: list[tuple] = [()] * count  # (constant bytes, source, output record) in port order, then the tail
        self.tails: list[bytes] = [b""] * count
        self.args: list[tuple] = [()] * count  # (port, producer, output position)
        self.static: list[dict[str, Any]] = [{}] * count
        self.dynamic: list[tuple] = [()] * count  # (port, wire) for graph inputs and lists
        self.producers: list[tuple[int, ...]] = [()] * count  # of inputs that are fetched always
        self.late = bytearray(count)
        self.stable = bytearray(count)  # no late ancestor: the key is known before anything runs
        self.fed: dict[Input, int] = {}  # wires from the graph's inputs, and the nodes they lead to
        self.frames: dict[int, Inside] = {}  # by exit
        self.above: dict[int, tuple[int, ...]] = {}  # of exits: the nodes whose keys are in theirs; others have those of their producers
        for i in self.order:
            spec = self.specs[i]
            if spec is None:
                continue
            shared = operations.get(id(spec))
            if shared is None:
                shared = operations[id(spec)] = Operation(spec, numeric)
            self.operations[i] = shared
            self._compile(i, shared, wiring.wires[i])
            if i in wiring.frames:
                self._enclose(i, *wiring.frames[i])
        self._lock = threading.Lock()
        self._digests: dict[Input, bytes] = {}
        self._keys: list[Identity | None] | None = None

    def _compile(self, i: int, shared: Operation, wires: dict[str, Wire]) -> None:
        constant, parts, args, dynamic, producers = shared.head, [], [], [], []
        static = self.checked.consts[i]
        stable = not shared.late
        inputs = shared.spec.inputs
        for name, port_record, default in shared.ports:
            wire = wires.get(name)
            kind = type(wire)
            if kind is Link:
                producer, maker = wire.producer, self.operations[wire.producer]
                if maker is None:
                    continue  # an unknown op: such a node is never run
                if inputs[name].lazy:
                    dynamic.append((name, wire))
                    continue
                parts.append((constant + port_record, producer, maker.records[wire.output]))
                constant = b""
                args.append((name, producer, maker.positions[wire.output]))
                producers.append(producer)
                stable = stable and self.stable[producer]
            elif kind is Const:
                if name in static:
                    constant += port_record + VALUE + digest(static[name])
            elif wire is None:
                constant += default
            else:
                dynamic.append((name, wire))
                parts.append((constant + port_record, wire, b""))
                constant = b""
                for leaf in flat(wire):
                    if type(leaf) is Link and not inputs[name].lazy:
                        producers.append(leaf.producer)
                        stable = stable and self.stable[leaf.producer]
                    elif type(leaf) is Input:
                        self.fed[leaf] = i
        self.parts[i], self.tails[i] = tuple(parts), constant
        self.args[i], self.static[i], self.dynamic[i] = tuple(args), static, tuple(dynamic)
        self.producers[i] = tuple(producers) if len(producers) < 2 else tuple(dict.fromkeys(producers))
        self.late[i] = shared.late
        self.stable[i] = stable

    def _enclose(self, i: int, entry: int, frame: Frame) -> None:
        """Make a node the exit of a frame: it fetches what the nodes inside need from outside, and runs them itself."""
        inside, outside = self.checked.wiring.between(entry, i)
        self.frames[i] = Inside(self, frame, i, entry, inside, outside)
        self.above[i] = self.producers[i]
        self.args[i], self.dynamic[i] = (), ()
        self.producers[i] = tuple(dict.fromkeys((*self.producers[entry], *outside)))
        for producer in self.producers[i]:
            self.followers[producer] = [*self.followers[producer], i]
        # What is late inside has no key before it runs, once a round; then the exit is known by what it made.
        self.late[i] = any(self.late[one] for one in inside)
        self.stable[i] = self.stable[i] and not self.late[i]

    def identities(self, values: Mapping[Input, Any]) -> tuple[list[Identity | None], dict[Input, bytes]]:
        """Keys of every stable node for these graph inputs, None for the rest; and the digests of the inputs.

        Only what hangs on an input that changed since the last call is computed again.
        """
        digests = {wire: digest(values[wire]) for wire in self.fed if wire in values}
        with self._lock:
            if self._keys is None:
                self._keys = keys = [None] * len(self.names)
                affected = self.order
            else:
                keys, old = self._keys, self._digests
                affected = self._affected({i for wire, i in self.fed.items() if digests.get(wire) != old.get(wire)})
            self._digests = digests
            stable = self.stable
            for i in affected:
                if stable[i]:
                    keys[i] = self.key(i, keys, digests)
            return keys.copy(), digests

    def _affected(self, roots: set[int]) -> list[int]:
        seen, stack = set(roots), list(roots)
        while stack:
            for follower in self.followers[stack.pop()]:
                if follower not in seen:
                    seen.add(follower)
                    stack.append(follower)
        return sorted(seen, key=self.position.__getitem__)

    def key(self, i: int, identities: list, digests: Mapping[Input, bytes]) -> bytes:
        """The key of a node whose producers are all identified."""
        pieces = []
        for constant, source, output in self.parts[i]:
            if type(source) is int:
                identity = identities[source]
                if type(identity) is bytes:
                    pieces.append(constant + UPSTREAM + identity + output)
                else:
                    pieces.append(constant + identity[output])
            else:
                pieces.append(constant + self.wire_record(source, identities, digests))
        pieces.append(self.tails[i])
        return blake2b(b"".join(pieces), digest_size=SIZE).digest()

    def wire_record(self, wire: Wire, identities: list, digests: Mapping) -> bytes:
        """What a wire adds to its reader's key, after the port's record."""
        if type(wire) is Input:
            found = digests.get(wire)
            return VALUE + found if found is not None else b"?"
        if type(wire) is Const:
            return VALUE + digest(wire.value)
        if type(wire) is Link:
            return self.piece(wire, identities)
        items = [self.wire_record(item, identities, digests) for item in wire.items]
        return record(b"l", b"".join(items))

    def piece(self, link: Link, identities: list) -> bytes:
        """What a link adds to its reader's key, after the port's record."""
        identity = identities[link.producer]
        output = self.operations[link.producer].records[link.output]
        return UPSTREAM + identity + output if type(identity) is bytes else identity[output]

    def ingredients(self, i: int, identities: list, digests: Mapping, given: Mapping[Input, Any]) -> dict[str, Any]:
        """A node's key, taken apart for `why`: by port a short text and a digest; plus code, version, libraries."""
        shared, wires = self.operations[i], self.wires[i]
        found: dict[str, Any] = {
            "version": shared.spec.version, "code": shared.code.digest.hex(),
            "numeric": self.numeric if shared.torch else "", "libraries": shared.code.libraries, "ports": {},
        }  # fmt: skip
        for name in sorted(shared.spec.inputs):
            wire = wires.get(name)
            if wire is None:
                value = shared.spec.inputs[name].default
                found["ports"][name] = [short(value), h(VALUE, digest(value)).hex()]
            elif type(wire) is Const:
                value = self.static[i].get(name, wire.value)
                found["ports"][name] = [short(value), h(VALUE, digest(value)).hex()]
            else:
                text = short(given.get(wire)) if type(wire) is Input else self._source(wire)
                found["ports"][name] = [text, h(self.wire_record(wire, identities, digests)).hex()]
        return found

    def _source(self, wire: Wire) -> str:
        if type(wire) is Link:
            return f"from {self.names[wire.producer]}.{wire.output}"
        return f"a list of {len(wire.items)}"


def short(value: Any) -> str:
    """A value in at most 60 characters."""
    if type(value) is int:
        return brief(value)
    return shorten(" ".join(str(value).split()) if getattr(value, "is_socket", None) is True else repr(value))

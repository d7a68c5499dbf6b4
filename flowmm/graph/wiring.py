"""Wiring: a document resolved into node types and wires, in topological order.

Nothing here knows values or types; everything that can be wrong with names, links and order is found here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..catalog import NodeSpec, Port, UnknownOp, find
from ..sockets.types import ListOf
from .coerce import Folder
from .document import Document, NodeDoc
from .frames import Frame
from .lower import Lowered, Placed
from .problems import Problem, listed, meant

_NOBODY: list[int] = []
SCALARS = (str, int, float, bool, type(None))
MOST_GUESSED = 20  # mistakes of one graph for which it is guessed what was meant


class Const:
    """A literal in the file. folder: where its paths lead, if it comes out of another file than the graph's."""

    __slots__ = ("folder", "value")

    def __init__(self, value: Any, folder: Folder | None = None):
        self.value = value
        self.folder = folder


class Input:
    """A wire from the graph's own input; each has a value of its own, since ports may want the input in other forms."""

    __slots__ = ("name",)

    def __init__(self, name: str):
        self.name = name


class Link:
    """A wire from a node's output. producer: its index."""

    __slots__ = ("producer", "output")

    def __init__(self, producer: int, output: str):
        self.producer = producer
        self.output = output


class Many:
    """A list of wires."""

    __slots__ = ("items",)

    def __init__(self, items: list):
        self.items = items


Wire = Const | Input | Link | Many


@dataclass(slots=True)
class Wiring:
    """names, specs, wires: by node index, in the document's order; a spec is None where the op is unknown.
    order: indices, producers first; nodes on a cycle are missing. followers: who reads a node, once a wire. unknown: why an op could not be found, by index.
    said: (node, port) of which it was told already what is wrong. behind: by node, others that should have given it something. frames: by index of its exit, the index of its entry and the frame."""

    document: Document
    names: list[str] = field(default_factory=list)
    index: dict[str, int] = field(default_factory=dict)
    specs: list[NodeSpec | None] = field(default_factory=list)
    wires: list[dict[str, Wire]] = field(default_factory=list)
    outputs: dict[str, Link] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)
    followers: list[list[int]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unknown: dict[int, str] = field(default_factory=dict)
    said: set[tuple[str, str]] = field(default_factory=set)
    behind: dict[str, list[str]] = field(default_factory=dict)
    frames: dict[int, tuple[int, Frame]] = field(default_factory=dict)

    def links(self, index: int) -> list[tuple[str, Link]]:
        """Every link into a node, through lists too."""
        found = []
        for port, wire in self.wires[index].items():
            if type(wire) is Link:
                found.append((port, wire))
            elif type(wire) is Many:
                found.extend((port, link) for link in flat(wire) if type(link) is Link)
        return found

    def ancestors(self, targets: list[int]) -> set[int]:
        seen = set(targets)
        stack = list(targets)
        while stack:
            for _, link in self.links(stack.pop()):
                if link.producer not in seen:
                    seen.add(link.producer)
                    stack.append(link.producer)
        return seen


    def between(self, entry: int, exit_: int) -> tuple[list[int], list[int]]:
        """The nodes of a frame that its exit needs, and those outside that they read; both without the entry."""
        prefix = f"{self.names[exit_]}/"
        inside, outside, stack = {exit_}, {}, [exit_]
        while stack:
            for _, link in self.links(stack.pop()):
                one = link.producer
                if one == entry or one in inside:
                    continue
                if self.names[one].startswith(prefix):
                    inside.add(one)
                    stack.append(one)
                else:
                    outside[one] = None
        inside.discard(exit_)
        return sorted(inside), list(outside)


def flat(wire: Wire) -> list[Wire]:
    """The leaves of a wire: lists opened up."""
    leaves, stack = [], [wire]
    while stack:
        item = stack.pop()
        if type(item) is Many:
            stack.extend(reversed(item.items))
        else:
            leaves.append(item)
    return leaves


def leaf_ports(wire: Wire, port: Port) -> list[tuple[Wire, Port]]:
    """The leaves of a wire with the port each would need on its own: inside a list, one of the list's item type."""
    leaves, stack = [], [(wire, port)]
    while stack:
        item, wanted = stack.pop()
        if type(item) is Many:
            types = [t.item for t in getattr(wanted.type, "members", (wanted.type,)) if isinstance(t, ListOf)]
            wanted = Port(port.name, types[0]) if types else wanted
            stack.extend((child, wanted) for child in reversed(item.items))
        else:
            leaves.append((item, wanted))
    return leaves


def wire(lowered: Lowered) -> Wiring:
    """Resolve every name of a document of plain nodes. Never raises: what is wrong is in `problems` and `unknown`."""
    document = lowered.document
    wiring = Wiring(document, problems=list(lowered.problems), said=set(lowered.excused), behind=lowered.behind)
    wiring.names = list(document.nodes)
    wiring.index = {name: i for i, name in enumerate(wiring.names)}
    for frame in lowered.frames.values():
        if frame.name in wiring.index and frame.entry in wiring.index:
            entry = wiring.index[frame.entry]
            wiring.frames[wiring.index[frame.name]] = entry, frame
            wiring.names[entry] = frame.name  # what is wrong at the entry is wrong with the frame
    found: dict[str, NodeSpec | str] = {}
    for i, (name, node) in enumerate(document.nodes.items()):
        if name in lowered.specs:
            wiring.specs.append(lowered.specs[name])
            continue
        if node.op not in found:
            try:
                found[node.op] = find(node.op)
            except UnknownOp as error:
                found[node.op] = str(error)
        spec = found[node.op]
        if isinstance(spec, str):
            wiring.unknown[i] = spec
        wiring.specs.append(None if isinstance(spec, str) else spec)
    for i, node in enumerate(document.nodes.values()):
        wiring.wires.append(_node_wires(wiring, i, node))
    for name, output in document.outputs.items():
        link = _reference(wiring, "", name, output.source)
        if type(link) is Link:
            wiring.outputs[name] = link
        elif link is not None:
            wiring.problems.append(Problem("output-is-input", f"the output `{name}` is an input of the graph", fix="Wire a node's output to it."))
    _sort(wiring)
    wiring.said.update((problem.node, problem.port) for problem in wiring.problems)
    return wiring


def _node_wires(wiring: Wiring, index: int, node: NodeDoc) -> dict[str, Wire]:
    name, spec = wiring.names[index], wiring.specs[index]
    wires: dict[str, Wire] = {}
    for port, value in node.inputs.items():
        if spec is not None and port not in spec.inputs:
            fix = _meant(wiring, port, spec.inputs, f"Its inputs are {listed(spec.inputs)}.")
            wiring.problems.append(Problem("no-such-port", f"`{spec.op}` has no input `{port}`", name, port, fix=fix))
            continue
        wire = _value(wiring, name, port, value)
        if wire is not None:
            wires[port] = wire
    return wires


def _value(wiring: Wiring, node: str, port: str, value: Any) -> Wire | None:
    """What a value in the file means; None if it is wrong (and said so). Depth was bounded when reading."""
    kind = type(value)
    if kind is dict and len(value) == 1:
        (key, inner), = value.items()
        if key == "from" and type(inner) is str:
            return _reference(wiring, node, port, inner)
        if key == "value":
            return Const(inner)
        if key == "list" and type(inner) is list:
            items = [_value(wiring, node, port, item) for item in inner]
            return None if None in items else Many(items)
    elif kind in SCALARS:
        return Const(value)
    elif kind is Placed:
        made = _value(wiring, node, port, value.value)
        return Const(made.value, value.folder) if type(made) is Const else made
    shown = repr(value)[:60]
    fix = 'Write a scalar, {"from": "node.port"}, {"list": [...]} or {"value": ...}.'
    wiring.problems.append(Problem("bad-value", f"{shown} is no value", node, port, got=shown, fix=fix))
    return None


def _reference(wiring: Wiring, node: str, port: str, text: str) -> Link | Input | None:
    source, _, output = text.partition(".")
    producer = wiring.index.get(source)
    if producer is not None:
        spec = wiring.specs[producer]
        if spec is None or output in spec.outputs:
            return Link(producer, output)
        fix = _meant(wiring, output, spec.outputs, f"Its outputs are {listed(spec.outputs)}.", f"{source}.")
        problem = Problem("no-such-output", f"`{source}` has no output `{output}`", node, port, got=text, fix=fix)
    elif source == "input":
        if output in wiring.document.inputs:
            return Input(output)
        fix = _meant(wiring, output, wiring.document.inputs, "Add it to `inputs`.", "input.")
        problem = Problem("no-such-input", f"the graph has no input `{output}`", node, port, got=text, fix=fix)
    else:
        fix = _meant(wiring, source, wiring.index, "Wire it to a node that exists, or remove it.", after=f".{output}")
        problem = Problem("dangling", f"it is wired to `{text}`, but there is no node `{source}`", node, port, got=text, fix=fix)
    wiring.problems.append(problem)
    return None


def _meant(wiring: Wiring, name: str, names: Iterable[str], otherwise: str, before: str = "", after: str = "") -> str:
    """What to do; a graph in which everything is wrong is not worth the time of guessing."""
    return meant(name, names, otherwise, before, after) if len(wiring.problems) < MOST_GUESSED else otherwise


def _sort(wiring: Wiring) -> None:
    """Kahn's algorithm: linear, iterative, and independent of the order of the document's nodes."""
    count = len(wiring.names)
    waiting = [0] * count
    followers: list[list[int]] = [_NOBODY] * count  # shared, so that a leaf costs no list
    for i, wires in enumerate(wiring.wires):
        for wire in wires.values():
            for link in (wire,) if type(wire) is Link else flat(wire) if type(wire) is Many else ():
                if type(link) is Link:
                    waiting[i] += 1
                    following = followers[link.producer]
                    if following is _NOBODY:
                        followers[link.producer] = [i]
                    else:
                        following.append(i)
    order = [i for i in range(count) if not waiting[i]]
    for i in order:  # grows while it is walked
        for follower in followers[i]:
            waiting[follower] -= 1
            if not waiting[follower]:
                order.append(follower)
    wiring.order, wiring.followers = order, followers
    if len(order) < count:
        wiring.problems += _cycles(wiring, waiting)


def _cycles(wiring: Wiring, waiting: list[int]) -> Iterator[Problem]:
    """Of all nodes that wait for each other name one cycle, so that a person can see it."""
    import networkx

    edges = [(link.producer, i) for i, left in enumerate(waiting) if left for _, link in wiring.links(i) if waiting[link.producer]]
    graph = networkx.DiGraph(edges)
    for knot in sorted(networkx.strongly_connected_components(graph), key=min):
        if len(knot) > 1 or graph.has_edge(*knot, *knot):
            cycle = [wiring.names[a] for a, _ in networkx.find_cycle(graph.subgraph(knot))]
            shown = " → ".join([*cycle[:8], "…" if len(cycle) > 8 else cycle[0]])
            yield Problem("cycle", f"these nodes wait for each other: {shown}", cycle[0], fix="Remove one of the wires.")

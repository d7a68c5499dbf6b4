"""What is called otherwise in another document: the same node type with the same wires, the same input of the same ports."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Hashable, Mapping
from typing import Any

from .document import Document, NodeDoc, dump, references, rewired
from .pieces import PREFIX

VALUES, WIRES, SHAPE = 2, 1, 0  # how much alike two nodes are: the same values and wires; the same wires; wires that may come from others renamed


class Renames:
    """By name in one document, the name in the other, of every node, input, output and definition that is in both."""

    def __init__(self, a: Document, b: Document):
        self.a, self.b = a, b
        self._readers, self._others = _Readers(a), _Readers(b)
        self.graphs = {name: name for name in a.graphs if name in b.graphs}
        self.nodes = {name: name for name in a.nodes if name in b.nodes}
        self.inputs = {name: name for name in a.inputs if name in b.inputs}
        self.outputs = {name: name for name in a.outputs if name in b.outputs}
        texts = {dump(one): name for name, one in b.graphs.items() if name not in self.graphs}
        for name, one in a.graphs.items():
            if name not in self.graphs and (other := texts.pop(dump(one), None)) is not None:
                self.graphs[name] = other
        while self._match(VALUES) or self._match_inputs() or self._match(WIRES) or self._match(SHAPE):
            pass
        free = {one.source: name for name, one in reversed(b.outputs.items()) if name not in self.outputs}
        for name, one in a.outputs.items():
            if name not in self.outputs and (other := free.pop(self.source(one.source), None)) is not None:
                self.outputs[name] = other

    # ── in names of the other ───────────────────────────────────────────────────────────────────

    def op(self, op: str) -> str:
        name = op.removeprefix(PREFIX)
        return PREFIX + self.graphs.get(name, name) if op.startswith(PREFIX) else op

    def source(self, source: str) -> str:
        node, _, port = source.partition(".")
        return f"input.{self.inputs.get(port, port)}" if node == "input" else f"{self.nodes.get(node, node)}.{port}"

    def value(self, value: Any) -> Any:
        return rewired(value, self.source)

    # ── finding them ────────────────────────────────────────────────────────────────────────────

    def _match(self, alike: int) -> bool:
        """Pair nodes of one type that are so much alike; of several the one that is read by the same. Whether any was."""
        taken, known = set(self.nodes.values()), set(self.inputs.values())
        free: dict[Hashable, list[str]] = defaultdict(list)
        for name, node in self.b.nodes.items():
            if name not in taken:
                free[_told(node.op, node, alike, lambda source: _blurred(source, taken, known) if alike == SHAPE else source)].append(name)
        matched = False
        for name, node in self.a.nodes.items() if free else ():
            if name in self.nodes:
                continue
            moved = (lambda source: self.source(_blurred(source, self.nodes, self.inputs))) if alike == SHAPE else self.source
            found = free.get(_told(self.op(node.op), node, alike, moved))
            if not found:
                continue
            readers = self._readers.of(name, self.nodes)
            best = max(found, key=lambda other: sum((readers & self._others.of(other)).values()))
            if alike != VALUES and not any(map(references, node.inputs.values())) and not readers & self._others.of(best):
                continue  # nothing but its type is the same
            self.nodes[name] = best
            found.remove(best)
            matched = True
            if alike == SHAPE:  # what is known now may tell the others more surely
                break
        return matched

    def _match_inputs(self) -> bool:
        gone = [name for name in self.a.inputs if name not in self.inputs]
        taken = set(self.inputs.values())
        free = [name for name in self.b.inputs if name not in taken]
        fed = {name: self._others.of(("input", name)) for name in free}
        matched = False
        for name in gone:
            feeds = self._readers.of(("input", name), self.nodes)
            other = next((one for one in free if feeds and fed[one] == feeds), None)
            if other is not None:
                self.inputs[name] = other
                free.remove(other)
                matched = True
        return matched


def _told(op: str, node: NodeDoc, alike: int, moved: Callable[[str], str]) -> Hashable:
    """What tells nodes apart, whatever they are called: type, and what is wired to them, and for VALUES what is written at them."""
    wires = tuple(sorted((port, moved(source)) for port, value in node.inputs.items() for source in references(value)))
    written = [(port, repr(value)) for port, value in node.inputs.items() if not references(value)] if alike == VALUES else []
    return op, wires, tuple(sorted(written))


def _blurred(source: str, nodes: Container[str], inputs: Container[str]) -> str:
    """A wire whose beginning is not known by name."""
    node, _, port = source.partition(".")
    if node == "input":
        return source if port in inputs else "input.?"
    return source if node in nodes else f"?.{port}"


class _Readers:
    """Who reads what of a document: by node, or by ("input", name), the ports that it is wired to; outputs of the graph as ports of nothing."""

    def __init__(self, document: Document):
        self.found: dict[Hashable, list[tuple[str, str]]] = defaultdict(list)
        wires = [(name, port, source) for name, node in document.nodes.items() for port, value in node.inputs.items() for source in references(value)]
        for reader, port, source in (*wires, *(("", name, one.source) for name, one in document.outputs.items())):
            node, _, output = source.partition(".")
            self.found[(node, output) if node == "input" else node].append((reader, port))

    def of(self, node: Hashable, names: Mapping[str, str] | None = None) -> Counter:
        """names: what readers are called."""
        return Counter(((names or {}).get(reader, reader), port) for reader, port in self.found.get(node, ()))

"""Pieces: graphs used as nodes. How a name finds one, and what types its inputs and outputs have."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from ..catalog import Port, known
from ..sockets.types import ListOf, Type, Union, assignable, has_variables
from .coerce import Folder
from .document import Document, InputDoc, NodeDoc, OutputDoc, is_name
from .migrate import migrated
from .problems import Problem, Unreadable, listed, shorten

PREFIX = "graph:"  # an op that begins so is a graph


@dataclass(frozen=True, slots=True)
class Found:
    """A saved graph. folder: where its own paths lead. identity: what tells it from all others, its file."""

    document: Document
    folder: Folder | None
    identity: str


# Gives the saved graph of a name, as a graph in this folder knows it. Raises Unreadable.
Finder = Callable[[str, Folder | None], Found]


class Piece:
    """A graph that may be used as a node. scope: by name, the definitions that its nodes may mean: its own, then those of the graphs around it.
    document: of the node versions installed here; problems: what could not be brought there."""

    __slots__ = ("document", "folder", "identity", "problems", "scope")

    def __init__(self, document: Document, folder: Folder | None, identity: str, around: dict[str, Piece]):
        self.document, self.problems = migrated(document)
        self.folder, self.identity = folder, identity
        self.scope = around
        if document.graphs:
            self.scope = dict(around)  # handed on before it is full, so that definitions may mean each other
            self.scope.update((name, Piece(inner, folder, f"{identity}#{name}", self.scope)) for name, inner in document.graphs.items())

    def find(self, op: str, finder: Finder | None) -> Piece:
        """The graph that an op stands for: a definition, else a saved one. Raises Unreadable."""
        name = op.removeprefix(PREFIX)
        if name in self.scope:
            return self.scope[name]
        if finder is None:
            fix = f"It defines {listed(self.scope)}." if self.scope else "Define it in `graphs`."
            raise Unreadable([Problem("no-graph", f"there is no graph `{shorten(name)}` here", fix=fix)])
        found = finder(name, self.folder)
        return Piece(found.document, found.folder, found.identity, {})

    @classmethod
    def of_node(cls, node: NodeDoc, inputs: Collection[str]) -> Piece:
        """A single node as a graph of these inputs."""
        name, spec = node.op.rpartition(".")[2].rpartition(":")[2], known(node.op)
        name = name if is_name(name) and name != "input" else "node"
        inputs = [port for port in dict.fromkeys(inputs) if spec is None or port in spec.inputs]
        made = node.model_copy(update={"each": [], "loop": None, "inputs": {port: {"from": f"input.{port}"} for port in inputs}})
        outputs = {output: OutputDoc(**{"from": f"{name}.{output}"}) for output in (spec.outputs if spec else ())}
        return cls(Document(inputs=dict.fromkeys(inputs, InputDoc()), nodes={name: made}, outputs=outputs), None, f"node {node.op}", {})

    def output_type(self, name: str, finder: Finder | None) -> Type | None:
        """The declared type of an output, however deep the node lies that makes it; None where that cannot be told."""
        piece, seen, lists = self, set(), 0
        while (piece.identity, name) not in seen:
            seen.add((piece.identity, name))
            output = piece.document.outputs.get(name)
            node, _, port = output.source.partition(".") if output else ("", "", "")
            made = piece.document.nodes.get(node)
            if made is None:
                return None
            lists += bool(made.each)
            if not made.op.startswith(PREFIX):
                spec = known(made.op)
                return _listed(spec.outputs[port].type, lists) if spec and port in spec.outputs else None
            try:
                piece, name = piece.find(made.op, finder), port
            except Unreadable:
                return None
        return None

    def input_ports(self, name: str, finder: Finder | None) -> Iterator[Port]:
        """The ports that an input feeds, however deep they lie."""
        seen, stack = {(self.identity, name)}, [(self, name, 0)]
        while stack:
            piece, name, lists = stack.pop()
            wanted = {"from": f"input.{name}"}
            for node in piece.document.nodes.values():
                ports = {port: lists + (port in node.each) for port, value in node.inputs.items() if value == wanted}
                if ports and node.op.startswith(PREFIX):
                    try:
                        inner = piece.find(node.op, finder)
                    except Unreadable:
                        continue
                    fresh = [(inner, port, deep) for port, deep in ports.items() if (inner.identity, port) not in seen]
                    seen.update((inner.identity, port) for port in ports)
                    stack += fresh
                elif ports and (spec := known(node.op)) is not None:
                    for port, deep in ports.items():
                        if port in spec.inputs:
                            yield replace(spec.inputs[port], type=_listed(spec.inputs[port].type, deep))


def _listed(type_: Type, times: int) -> Type:
    for _ in range(times):
        type_ = ListOf(type_)
    return type_


def narrowest(ports: Iterable[Port]) -> Port | None:
    """The port among these that takes the least; None where there is none, or where it has a type variable or does not agree with the others."""
    best = None
    for port in ports:
        if has_variables(port.type):
            return None
        if best is None or assignable(port.type, best.type):
            best = port
        elif not assignable(best.type, port.type):
            return None
    return best


def holders(name: str) -> Iterator[str]:
    """The name of a node in an opened graph, and those of the nodes it lies in, outwards."""
    while name:
        yield name
        name = name.rpartition("/")[0]


def same(one: Type, other: Type) -> bool:
    """Whether a value of one type may be handed on as the other: the same kind, whatever spaces, and with or without nothing."""
    return _kind(one) == _kind(other)


def _kind(type_: Type) -> Any:
    members = [str(member) for member in type_.members if str(member) != "None"] if isinstance(type_, Union) else [str(type_)]
    return [member.partition("[")[0] if not member.startswith("list") else member for member in members]

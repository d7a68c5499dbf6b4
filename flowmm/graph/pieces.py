"""Pieces: graphs used as nodes. How a name finds one, and what types its inputs and outputs have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..catalog import NodeSpec, UnknownOp, find
from ..sockets.types import Type, Union
from .coerce import Folder
from .document import Document
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
    """A graph that may be used as a node. scope: by name, the definitions that its nodes may mean: its own, then those of the graphs around it."""

    __slots__ = ("document", "folder", "identity", "scope")

    def __init__(self, document: Document, folder: Folder | None, identity: str, around: dict[str, Piece]):
        self.document, self.folder, self.identity = document, folder, identity
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

    def output_type(self, name: str, finder: Finder | None) -> Type | None:
        """The declared type of an output, however deep the node lies that makes it; None where that cannot be told."""
        piece, seen = self, set()
        while (piece.identity, name) not in seen:
            seen.add((piece.identity, name))
            output = piece.document.outputs.get(name)
            node, _, port = output.source.partition(".") if output else ("", "", "")
            made = piece.document.nodes.get(node)
            if made is None:
                return None
            if not made.op.startswith(PREFIX):
                spec = spec_of(made.op)
                return spec.outputs[port].type if spec and port in spec.outputs else None
            try:
                piece, name = piece.find(made.op, finder), port
            except Unreadable:
                return None
        return None

    def input_types(self, name: str, finder: Finder | None) -> Iterator[Type]:
        """The declared types of the ports that an input feeds, however deep they lie."""
        seen, stack = {(self.identity, name)}, [(self, name)]
        while stack:
            piece, name = stack.pop()
            wanted = {"from": f"input.{name}"}
            for node in piece.document.nodes.values():
                ports = [port for port, value in node.inputs.items() if value == wanted]
                if ports and node.op.startswith(PREFIX):
                    try:
                        inner = piece.find(node.op, finder)
                    except Unreadable:
                        continue
                    fresh = [(inner, port) for port in ports if (inner.identity, port) not in seen]
                    seen.update((inner.identity, port) for port in ports)
                    stack += fresh
                elif ports and (spec := spec_of(node.op)) is not None:
                    yield from (spec.inputs[port].type for port in ports if port in spec.inputs)


def holders(name: str) -> Iterator[str]:
    """The name of a node in an opened graph, and those of the nodes it lies in, outwards."""
    while name:
        yield name
        name = name.rpartition("/")[0]


def spec_of(op: str) -> NodeSpec | None:
    """The node type of an op, None where no installed pack has it."""
    try:
        return find(op)
    except UnknownOp:
        return None


def same(one: Type, other: Type) -> bool:
    """Whether a value of one type may be handed on as the other: the same kind, whatever spaces, and with or without nothing."""
    return _kind(one) == _kind(other)


def _kind(type_: Type) -> Any:
    members = [str(member) for member in type_.members if str(member) != "None"] if isinstance(type_, Union) else [str(type_)]
    return [member.partition("[")[0] if not member.startswith("list") else member for member in members]

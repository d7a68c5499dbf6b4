"""A graph as a Python script that a person likes to read: its nodes called by name one after another, its pieces as functions.

It runs without flowmm's scheduler and cache, and gives the same.
"""

from __future__ import annotations

import keyword
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__, sockets
from ..catalog import find
from ..catalog.packs import BUILTIN, packs
from ..graph.check import UNSET
from ..graph.lower import Lowered, Opening
from ..graph.pieces import PREFIX, Finder, Piece
from ..graph.problems import GraphError, Problem, shorten
from ..graph.signature import Parameter, parameters
from ..graph.surface import framed, piece_type
from ..graph.wiring import Wiring, wire
from .command import python_type
from .export_body import function, is_switch
from .export_text import WIDTH, Names, Values, call, filled, quoted
from .targets import targets

if TYPE_CHECKING:
    from ..graph.document import NodeDoc
    from .graph import Graph

OWN = (  # what a script uses or names itself
    "range", "zip", "str", "int", "float", "bool", "list", "dict", "object", "print", "vars",
    "accept", "argparse", "itertools", "shipped", "write", "Path", "HERE", "Literal",
)  # fmt: skip

HEAD = """Written by flowmm {version} from the graph {name}. It calls the graph's nodes one after another, on the CPU, \
without flowmm's scheduler and cache, and gives the same."""


def export(graph: Graph, out: Path | None = None) -> str:
    """The script. out: where it will lie, so that files are named from there. Raises GraphError for a graph that cannot run."""
    from .find import piece

    errors = graph.check().errors()
    if errors:
        raise GraphError(errors)
    targets(graph, None)
    return _Script(graph, piece, out).text()


class Body:
    """A graph as a function. pieces: by node, the graph that it stands for. declared: its inputs; given: what they are called."""

    def __init__(self, piece: Piece, finder: Finder):
        self.piece, self.name = piece, ""
        closed = _Closed(piece, finder)
        self.lowered: Lowered = closed.whole()
        self.pieces = closed.pieces
        self.wiring: Wiring = wire(self.lowered)
        problems = [problem for problem in self.wiring.problems if problem.level == "error"]
        if problems:
            raise GraphError(problems)
        self.declared: dict[str, Parameter] = parameters(self.wiring)
        self.given: dict[str, str] = {}

    def node(self, i: int) -> NodeDoc:
        return self.lowered.document.nodes[self.wiring.names[i]]


class _Closed(Opening):
    """A piece as plain nodes, pieces and frames that stay closed. Where something is muted, pieces are opened up: it may reach into them."""

    def __init__(self, piece: Piece, finder: Finder):
        super().__init__(piece, finder)
        self.pieces: dict[str, Piece] = {}
        self.muted = _mutes(piece, finder)

    def _open(self, around: Any, name: str, node: NodeDoc, inputs: dict[str, Any]) -> None:
        is_frame = bool(node.each) or node.loop is not None
        if self.muted and not is_frame:
            super()._open(around, name, node, inputs)
            return
        piece = self._piece(around, name, node, inputs)
        if piece is None:
            return
        is_graph = node.op.startswith(PREFIX)
        spec = piece_type(node.op, piece, self.finder) if is_graph else find(node.op)
        self.lowered.specs[name] = framed(spec, node) if is_frame else spec
        self.nodes[name] = node.model_copy(update={"inputs": inputs})
        if is_graph:
            self.pieces[name] = piece
        if is_graph and self.muted:
            self._lessen(name, node, piece)

    def _lessen(self, name: str, node: NodeDoc, piece: Piece) -> None:
        """Leave out what a frame does not give, as something in it is muted; the frame itself where its rounds depend on that."""
        missing = _Closed(piece, self.finder).whole().missing
        carried = {*node.loop.carry.values(), node.loop.until} if node.loop is not None else set()
        if missing.keys() & carried or missing.keys() >= piece.document.outputs.keys():
            self.off[name] = next(iter(missing.values()), "")
        self.lowered.gone.update((f"{name}.{output}", muted) for output, muted in missing.items())


def _mutes(piece: Piece, finder: Finder) -> bool:
    """Whether a node is muted in a piece, or in one that it uses."""
    seen, stack = set(), [piece]
    while stack:
        one = stack.pop()
        if one.identity in seen:
            continue
        seen.add(one.identity)
        for node in one.document.nodes.values():
            if node.mode == "mute":
                return True
            if node.op.startswith(PREFIX) and not node.mode:
                stack.append(one.find(node.op, finder))
    return False


class _Script:
    def __init__(self, graph: Graph, finder: Finder, out: Path | None):
        self.graph, self.finder = graph, finder
        self.names = Names({*keyword.kwlist, *keyword.softkwlist, *OWN, *sockets.__all__})
        self.values = Values(out)
        self.bodies: dict[str, Body] = {}
        self.rooms: dict[str, str] = {}  # by import statement, what it binds
        self.top = self._collect(Piece(graph.document, graph.folder, graph.identity, {}), graph.name)

    def _collect(self, piece: Piece, name: str) -> Body:
        """A body and those of all pieces in it, first those that others use."""
        body = self.bodies[piece.identity] = Body(piece, self.finder)
        for i in range(len(body.wiring.names)):
            inner = body.pieces.get(body.wiring.names[i])
            if inner is not None and inner.identity not in self.bodies:
                self._collect(inner, body.node(i).op.removeprefix(PREFIX))
            elif inner is None and not is_switch(body, i):
                self._room(body.node(i).op)
        del self.bodies[piece.identity]
        self.bodies[piece.identity] = body
        body.name = self.names.new(identifier(name) or "graph")
        return body

    def _room(self, op: str) -> str:
        """What a node type is called in the script."""
        pack, _, path = op.rpartition(":")
        module, _, function = path.rpartition(".")
        if pack == "local":
            if module == "__main__":
                message = f"`{shorten(op)}` is a node of a notebook or prompt, which a script cannot import"
                raise GraphError([Problem("local-node", message, fix="Move it into a module, or into a pack: `flowmm new-pack NAME`.")])
            statement, bound = f"import {module}", module
            self.names.take(module.partition(".")[0])
        else:
            package = packs()[pack or BUILTIN].package
            statement = next((one for one in self.rooms if one.startswith(f"from {package} import {module}") and one.split()[3] == module), "")
            if not statement:
                bound = self.names.new(module)
                statement = f"from {package} import {module}" + (f" as {bound}" if bound != module else "")
                self.rooms[statement] = bound
            bound = self.rooms[statement]
        self.rooms[statement] = bound
        return f"{bound}.{function}"

    def text(self) -> str:
        functions = [function(body, self._room, self.bodies, self.names, self.values) for body in self.bodies.values()]
        main = self._main()
        head = [f'"""{_safe(self.graph.title)}', "", *textwrap.wrap(HEAD.format(version=__version__, name=_safe(self.graph.name)), WIDTH), '"""']
        parts = ["\n".join(head), "from __future__ import annotations", self._imports()]
        if self.values.here:
            parts.append("HERE = Path(__file__).resolve().parent")
        return "\n\n".join(parts) + "\n\n\n" + "\n\n\n".join([*functions, main]) + "\n"

    def _imports(self) -> str:
        standard = ["import argparse", *(["import itertools"] if self.values.itertools else []), "from pathlib import Path"]
        standard += ["from typing import Literal"] if self.values.literal else []
        local = sorted(one for one in self.rooms if one.startswith("import ") or not one.startswith("from flowmm."))
        merged: dict[str, list[str]] = {}
        for one in self.rooms:
            if one not in local:
                package, _, name = one.removeprefix("from ").partition(" import ")
                merged.setdefault(package, []).append(name)
        ours = [*(["from flowmm.face.find import shipped"] if self.values.shipped else []), "from flowmm.face.result import write"]
        ours += ["from flowmm.graph.coerce import accept"] if self.values.accept else []
        for cls in self.values.classes:
            known = getattr(sockets, cls.__name__, None) is cls
            merged.setdefault("flowmm.sockets" if known else cls.__module__, []).append(cls.__name__)
        ours += [_from(package, sorted(set(names))) for package, names in sorted(merged.items())]
        groups = ["\n".join(standard), "\n".join(local), "\n".join(sorted(ours, key=lambda line: line.split()[1]))]
        return "\n\n".join(filter(None, groups))

    def _main(self) -> str:
        lines = ['if __name__ == "__main__":', f"    parser = argparse.ArgumentParser(description={quoted(self.graph.title)})"]
        folder = "out" if "out" not in self.top.declared else "save_in"
        for name, parameter in self.top.declared.items():
            kind, several = python_type(parameter.type)
            settings = [quoted("--" + name.replace("_", "-"))]
            if self.top.given[name] != name:
                settings.append(f"dest={quoted(self.top.given[name])}")
            if kind is bool:
                settings.append("action=argparse.BooleanOptionalAction")
            elif kind is not str:
                settings.append(f"type={kind.__name__}")
            if several:
                settings.append('nargs="+"')
            if parameter.default is UNSET:
                settings.append("required=True")
            else:
                settings.append(f"default={self.values.default(parameter, self.top.piece.folder)}")
            if parameter.help:
                settings.append(f"help={quoted(parameter.help.replace('%', '%%'))}")
            lines.append(call("parser.add_argument", settings, "    "))
        lines += [
            f'    parser.add_argument("-o", "--{folder.replace("_", "-")}", type=Path, default=Path("out"), help="the folder for what comes out")',
            "    given = vars(parser.parse_args())", f'    folder = given.pop("{folder}")', "    folder.mkdir(parents=True, exist_ok=True)",
            f"    for name, value in {self.top.name}(**given).items():", "        for path in write(value, folder / name):", "            print(path)",
        ]  # fmt: skip
        return "\n".join(lines)


def _from(package: str, names: list[str]) -> str:
    line = f"from {package} import {', '.join(names)}"
    return line if len(line) <= WIDTH else f"from {package} import (\n{filled(names, '    ')}\n)"


def identifier(text: str) -> str:
    """A text as a name in Python."""
    made = re.sub(r"\W+", "_", text).strip("_").lower()
    return f"graph_{made}" if made[:1].isdigit() else made


def _safe(text: str) -> str:
    """A text that may stand in a docstring."""
    return "\n".join(textwrap.fill(line, WIDTH) for line in text.replace("\\", "\\\\").replace('"""', "'''").split("\n"))

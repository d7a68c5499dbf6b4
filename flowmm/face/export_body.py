"""One graph as one Python function: its nodes in order, each for once, frames as loops, a switch as an if."""

from __future__ import annotations

import heapq
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..graph.check import UNSET
from ..graph.document import words
from ..graph.wiring import Const, Input, Link, Many, Wire, leaf_ports
from ..sockets.types import Choice, ListOf, Plain, Type, Union, has_variables
from .export_text import WIDTH, Names, Values, call, filled, is_raw, quoted, without_none

if TYPE_CHECKING:
    from ..catalog import Port
    from .export import Body

SWITCH = "logic.switch"
Path_ = tuple[tuple[int, str], ...]  # the branches of switches that a node lies in, outermost first


def function(body: Body, room: Callable[[str], str], pieces: dict[str, Body], names: Names, values: Values) -> str:
    """The function's text. room: what a node type is called; pieces: other graphs by identity, those it uses written already; names: of the module."""
    return _Function(body, room, pieces, names.within(), values).text()


def is_switch(body: Body, i: int) -> bool:
    """Whether a node is written as an if."""
    node = body.node(i)
    return node.op == SWITCH and not node.each and node.loop is None


class _Function:
    def __init__(self, body: Body, room: Callable[[str], str], pieces: dict[str, Body], names: Names, values: Values):
        self.body, self.wiring, self.values = body, body.wiring, values
        self.room, self.pieces, self.names = room, pieces, names
        self.given = body.given = {name: names.new(name) for name in body.declared}
        self.needed = self.wiring.ancestors([link.producer for link in self.wiring.outputs.values()])
        self.order = self._ordered()
        self.variables = {i: names.new(self.wiring.names[i].replace("/", "_")) for i in self.order}
        self.paths = self._paths()
        self.kinds = self._kinds()

    # ── what comes when ─────────────────────────────────────────────────────────────────────────

    def _ordered(self) -> list[int]:
        """The nodes that are needed, producers first, else as the document has them."""
        sources = {i: {link.producer for _, link in self.wiring.links(i)} for i in self.needed}
        readers: dict[int, list[int]] = {}
        for i, above in sources.items():
            for one in above:
                readers.setdefault(one, []).append(i)
        ready, order = [i for i, above in sources.items() if not above], []
        heapq.heapify(ready)
        while ready:
            i = heapq.heappop(ready)
            order.append(i)
            for one in readers.get(i, ()):
                sources[one].discard(i)
                if not sources[one]:
                    heapq.heappush(ready, one)
        return order

    def _paths(self) -> dict[int, Path_]:
        """The branch in which each node runs: the innermost that all who read it lie in."""
        sites: dict[int, list[Path_]] = {i: [] for i in self.order}
        for link in self.wiring.outputs.values():
            sites[link.producer].append(())
        paths: dict[int, Path_] = {}
        for i in reversed(self.order):
            paths[i] = _common(sites[i])
            for port, link in self.wiring.links(i):
                lazy = is_switch(self.body, i) and port != "condition"
                sites[link.producer].append((*paths[i], (i, port)) if lazy else paths[i])
        return paths

    # ── text ────────────────────────────────────────────────────────────────────────────────────

    def text(self) -> str:
        outputs = [f"{quoted(name)}: {self._link(link)}" for name, link in self.wiring.outputs.items()]
        line = f"    return {{{', '.join(outputs)}}}"
        if len(line) > WIDTH:
            line = f"    return {{\n{filled(outputs, ' ' * 8)}\n    }}"
        return "\n".join([self._signature(), self._docstring(), *self._accepted(), *self._block((), "    "), line])

    def _signature(self) -> str:
        declared = sorted(self.body.declared.items(), key=lambda item: item[1].default is not UNSET)
        shown = []
        for name, parameter in declared:
            told = f"{self.given[name]}: {self._annotation(parameter.type)}"
            default = "" if parameter.default is UNSET else f" = {self.values.default(parameter, self.body.piece.folder)}"
            shown.append(told + default)
        return call(f"def {self.body.name}", shown, "", " -> dict[str, object]:", apart=True)

    def _annotation(self, type_: Type) -> str:
        """What may be given: a plain value as well as a socket's."""
        if has_variables(type_):
            return "object"
        members = type_.members if isinstance(type_, Union) else (type_,)
        members = dict.fromkeys(Plain(type(one.values[0])) if isinstance(one, Choice) else one for one in members)
        text = " | ".join(dict.fromkeys(map(self.values.hint, members)))
        plain = {"Text": "str | list[str]", "Seed": "int", "Image": "str | Path", "Mask": "str | Path"}
        more = dict.fromkeys(plain[kind] for one in members for kind in [self.values.hint(one.item if isinstance(one, ListOf) else one)] if kind in plain)
        return " | ".join([text, *more])

    def _docstring(self) -> str:
        document = self.body.piece.document
        about = (words(document.about) or words(document.title) or f"The graph {self.body.name}.").split("\n\n")[0]
        lines = textwrap.wrap(about, WIDTH - 8)
        for name, parameter in self.body.declared.items():
            told = f"{self.given[name]}: {parameter.type}" + (f". {parameter.help}" if parameter.help else "")
            wrapped = textwrap.wrap(told, WIDTH - 8, subsequent_indent="    ")
            lines += ["", *wrapped] if name == next(iter(self.body.declared)) else wrapped
        text = "\n    ".join(lines).replace("\\", "\\\\").replace('"""', "'''").replace("\n    \n", "\n\n")
        return f'    """{text}\n    """' if len(lines) > 1 else f'    """{text}"""'

    def _kinds(self) -> dict[str, Type | None]:
        """By input, the type that all who read it take it as; None where they differ. A piece takes things as they are."""
        kinds: dict[str, dict[str, Type]] = {name: {} for name in self.given}
        for i in self.order:
            for port, wire in self.wiring.wires[i].items():
                for leaf, wanted in leaf_ports(wire, self.wiring.specs[i].inputs[port]):
                    if type(leaf) is Input and self.wiring.names[i] not in self.body.pieces:
                        kinds[leaf.name][str(without_none(wanted.type))] = without_none(wanted.type)
        return {name: next(iter(found.values())) if len(found) == 1 else None for name, found in kinds.items()}

    def _accepted(self) -> list[str]:
        """Inputs as what reads them takes them."""
        lines = []
        for name, type_ in self.kinds.items():
            if type_ is not None and not is_raw(type_):
                whole = self.body.declared[name].type
                hint = whole if str(without_none(whole)) == str(type_) else type_
                lines.append(f"    {self.given[name]} = {self.values.taken(self.given[name], hint)}")
        return lines

    def _block(self, path: Path_, indent: str) -> list[str]:
        lines = []
        for i in self.order:
            if self.paths[i] == path:
                lines += self._statement(i, indent)
        return lines

    def _statement(self, i: int, indent: str) -> list[str]:
        if is_switch(self.body, i):
            return self._switch(i, indent)
        if self.body.node(i).loop is not None:
            return self._loop(i, indent)
        if self.body.node(i).each:
            return self._each(i, indent)
        return [call(f"{self.variables[i]} = {self._called(i)}", self._arguments(i, {}), indent)]

    def _switch(self, i: int, indent: str) -> list[str]:
        wires, inputs, variable = self.wiring.wires[i], self.wiring.specs[i].inputs, self.variables[i]
        lines = [f"{indent}if {self._wire(wires['condition'], inputs['condition'], i)}:"]
        for port in ("then", "otherwise"):
            lines += self._block((*self.paths[i], (i, port)), f"{indent}    ")
            lines.append(f"{indent}    {variable} = {self._wire(wires[port], inputs[port], i)}")
            lines += [f"{indent}else:"] if port == "then" else []
        return lines

    def _each(self, i: int, indent: str) -> list[str]:
        node, inner = self.body.node(i), self.names.within()
        lists, items = [], {}
        for port in dict.fromkeys(node.each):
            lists.append(self._wire(self.wiring.wires[i][port], self.wiring.specs[i].inputs[port], i))
            items[port] = inner.new(f"each_{port}" if port in inner.taken else port)
        over = ", ".join(items.values())
        if len(lists) > 1 and node.combine == "product":
            self.values.itertools = True
        many = f"itertools.product({', '.join(lists)})" if node.combine == "product" else f"zip({', '.join(lists)}, strict=True)"
        source = many if len(lists) > 1 else lists[0]
        made = f"{self._called(i)}({', '.join(self._arguments(i, items))})"
        line = f"{indent}{self.variables[i]} = [{made} for {over} in {source}]"
        if len(line) <= WIDTH:
            return [line]
        inside = f"{indent}    "
        return [f"{indent}{self.variables[i]} = [", call(self._called(i), self._arguments(i, items), inside), f"{inside}for {over} in {source}", f"{indent}]"]

    def _loop(self, i: int, indent: str) -> list[str]:
        loop, spec, wires = self.body.node(i).loop, self.wiring.specs[i], self.wiring.wires[i]
        state = {port: self.names.new(f"{self.variables[i]}_{port}" if port in self.names.taken else port) for port in loop.carry}
        lines = []
        for port, name in state.items():
            wire = wires.get(port)
            start = self._wire(wire, spec.inputs[port], i) if wire is not None else self._default(i, port)
            lines.append(f"{indent}{name} = {start}")
        lines.append(f"{indent}for _ in range({loop.most}):")
        lines.append(call(f"{self.variables[i]} = {self._called(i)}", self._arguments(i, state), f"{indent}    "))
        if loop.until:
            lines += [f"{indent}    if {self._link(Link(i, loop.until))}:", f"{indent}        break"]
        if state:
            made = ", ".join(self._link(Link(i, output)) for output in loop.carry.values())
            lines.append(f"{indent}    {', '.join(state.values())} = {made}")
        return lines

    def _default(self, i: int, port: str) -> str:
        """What a piece or node begins with if nothing is given."""
        piece = self.body.pieces.get(self.wiring.names[i])
        declared = self.wiring.specs[i].inputs[port]
        return self.values.literal_of(declared.default, declared, piece.folder if piece is not None else None)

    def _called(self, i: int) -> str:
        piece = self.body.pieces.get(self.wiring.names[i])
        return self.pieces[piece.identity].name if piece is not None else self.room(self.body.node(i).op)

    def _arguments(self, i: int, instead: dict[str, str]) -> list[str]:
        """What a node is called with: first what must be given, by place; the rest by name. instead: what stands for ports of a frame."""
        spec, wires, piece = self.wiring.specs[i], self.wiring.wires[i], self.body.pieces.get(self.wiring.names[i])
        found, order = [], spec.inputs
        given = self.pieces[piece.identity].given if piece is not None else {}
        if piece is None:
            signature = inspect.signature(spec.function).parameters
            order = {name: spec.inputs[name] for name in signature if name in spec.inputs}
            ordinary = {name for name, one in signature.items() if one.kind is one.POSITIONAL_OR_KEYWORD}
            context_first = spec.context is not None and list(signature)[0] == spec.context
        else:
            ordinary, context_first = set(), False
        by_place = not context_first
        for name, port in order.items():
            if name not in wires and name not in instead:
                by_place = False
                continue
            text = instead.get(name) or self._wire(wires[name], port, i)
            by_place = by_place and name in ordinary and (port.required or name in instead)
            found.append(text if by_place else f"{given.get(name, name)}={text}")
        return found

    # ── what is wired ───────────────────────────────────────────────────────────────────────────

    def _wire(self, wire: Wire, port: Port, i: int) -> str:
        if type(wire) is Link:
            return self._link(wire)
        if type(wire) is Const:
            return self.values.literal_of(wire.value, port, wire.folder or self.body.piece.folder)
        if type(wire) is Input:
            name = self.given[wire.name]
            converted = self.kinds[wire.name] is not None or self.wiring.names[i] in self.body.pieces or is_raw(port.type)
            return name if converted else self.values.taken(name, port.type)
        items = [self._wire(item, wanted, i) for item, wanted in _items(wire, port)]
        return f"[{', '.join(items)}]"

    def _link(self, link: Link) -> str:
        i, output = link.producer, link.output
        variable, spec = self.variables[i], self.wiring.specs[i]
        is_piece = self.wiring.names[i] in self.body.pieces
        pick: Callable[[str], Any] = (lambda one: f"{one}[{quoted(output)}]") if is_piece else (lambda one: f"{one}.{output}")
        if not is_piece and not spec.several:
            return variable
        return f"[{pick('one')} for one in {variable}]" if self.body.node(i).each else pick(variable)


def _items(wire: Many, port: Port) -> list[tuple[Wire, Port]]:
    """The items of a list with the port that each would need."""
    types = [member.item for member in getattr(port.type, "members", (port.type,)) if isinstance(member, ListOf)]
    return [(item, replace(port, type=types[0]) if types else port) for item in wire.items]


def _common(paths: list[Path_]) -> Path_:
    """What paths begin with in common."""
    if not paths:
        return ()
    first = min(paths, key=len)
    length = next((n for n in range(len(first), 0, -1) if all(path[:n] == first[:n] for path in paths)), 0)
    return first[:length]

"""The graph as a function: its named inputs with types, ranges and help, inferred from the ports they feed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..catalog import Port
from ..sockets import NotAccepted
from ..sockets.types import ListOf, Type, Var, assignable, has_variables
from .check import UNSET, input_value
from .coerce import Folder, coerce
from .document import words
from .problems import Problem
from .wiring import Input, Many, Wiring, flat


@dataclass(frozen=True, slots=True)
class Parameter:
    """One input of a graph. feeds: (node index, port) pairs. default: UNSET where one must be given."""

    name: str
    port: Port
    default: Any
    title: str
    feeds: tuple[tuple[int, str], ...]

    @property
    def type(self) -> Type:
        return self.port.type

    @property
    def help(self) -> str:
        return self.port.help


def parameters(wiring: Wiring, problems: list[Problem] | None = None) -> dict[str, Parameter]:
    """The graph's inputs in the document's order; contradictions between their ports go to `problems`."""
    ports: dict[str, list[tuple[int, Port]]] = {name: [] for name in wiring.document.inputs}
    for i, wires in enumerate(wiring.wires):
        spec = wiring.specs[i]
        for name, wire in wires.items():
            if spec is None or name not in spec.inputs:
                continue
            port = spec.inputs[name]
            if type(wire) is Input:
                ports[wire.name].append((i, port))
            elif type(wire) is Many:
                item = Port(name, port.type.item) if isinstance(port.type, ListOf) else port
                for leaf in flat(wire):
                    if type(leaf) is Input:
                        ports[leaf.name].append((i, item))
    found = {}
    for name, fed in ports.items():
        declared = wiring.document.inputs[name]
        default, _ = input_value(wiring, name, {})
        port = _meet(name, [port for _, port in fed], problems if problems is not None else [])
        help_ = words(declared.help) or port.help
        found[name] = Parameter(name, replace(port, name=name, help=help_), default, words(declared.title) or name,
                                tuple((i, port.name) for i, port in fed))  # fmt: skip
    return found


def _meet(name: str, ports: list[Port], problems: list[Problem]) -> Port:
    """The narrowest of the ports' types; ranges intersect."""
    if not ports:
        return Port(name, Var("anything"))
    best = ports[0]
    for port in ports[1:]:
        if has_variables(port.type) or assignable(best.type, port.type):
            keep, other = best, port
        elif has_variables(best.type) or assignable(port.type, best.type):
            keep, other = port, best
        else:
            message = f"the input `{name}` feeds `{best.name}`, which takes a {best.type}, and `{port.name}`, which takes a {port.type}"
            problems.append(Problem("input-of-two-types", message, fix="Use two inputs."))
            continue
        between = keep.between.meet(other.between) if keep.between and other.between else keep.between or other.between
        best = replace(keep, between=between, help=keep.help or other.help, multiline=keep.multiline or other.multiline)
    return best


def check_inputs(
    wiring: Wiring, given: Mapping[str, Any], folder: Folder | None, found: Mapping[str, Parameter]
) -> tuple[list[Problem], dict[tuple[int, str], Any]]:
    """Every graph input as each port it feeds wants it: the problems, and the values by (node, input name)."""
    problems: list[Problem] = []
    for name in given:
        if name not in found:
            problems.append(Problem("no-such-input", f"the graph has no input `{name}`", fix=f"Its inputs are {', '.join(found) or 'none'}."))
    values: dict[tuple[int, str], Any] = {}
    for name, parameter in found.items():
        value, trusted = input_value(wiring, name, given)
        if value is UNSET:
            continue
        for i, port_name in parameter.feeds:
            port = wiring.specs[i].inputs[port_name]
            if isinstance(port.type, ListOf) and any(type(w) is Input and w.name == name for w in _leaves(wiring, i, port_name)):
                port = Port(port_name, port.type.item)
            try:
                bounded = replace(port, between=parameter.port.between or port.between)
                values[i, name] = coerce(value, bounded, None if trusted else folder)
            except NotAccepted as error:
                where = f"{wiring.names[i]}.{port_name}"
                problems.append(Problem("bad-input", f"the input `{name}` (for `{where}`): {error}", got=repr(value)[:80],
                                        expected=str(port.type), fix="Give another value."))  # fmt: skip
                break
    return problems, values


def _leaves(wiring: Wiring, i: int, port: str) -> list:
    wire = wiring.wires[i].get(port)
    return flat(wire) if type(wire) is Many else []


def missing(found: Mapping[str, Parameter], wiring: Wiring, nodes: set[int], given: Mapping[str, Any]) -> list[Problem]:
    """Inputs without a value that some wanted output needs."""
    problems = []
    for name, parameter in found.items():
        value, _ = input_value(wiring, name, given)
        if value is UNSET and any(i in nodes for i, _ in parameter.feeds):
            problems.append(Problem("input-not-given", f"the input `{name}` needs a value", expected=str(parameter.type), fix=f"Give {name}=…"))
    return problems

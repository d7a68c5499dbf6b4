"""The graph as a function: its named inputs with types, ranges and help, inferred from the ports they feed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..catalog import Port
from ..sockets import NotAccepted
from ..sockets.types import Type, Var, assignable, has_variables
from .check import UNSET, input_value
from .coerce import Folder, coerce
from .document import words
from .problems import Problem, brief, listed
from .wiring import Input, Many, Wiring, leaf_ports


@dataclass(frozen=True, slots=True)
class Parameter:
    """One input of a graph. feeds: the wires from it, with node index and port. default: UNSET where one must be given."""

    name: str
    port: Port
    default: Any
    title: str
    feeds: tuple[tuple[int, Port, Input], ...]

    @property
    def type(self) -> Type:
        return self.port.type

    @property
    def help(self) -> str:
        return self.port.help


def parameters(wiring: Wiring, problems: list[Problem] | None = None) -> dict[str, Parameter]:
    """The graph's inputs in the document's order; contradictions between their ports go to `problems`."""
    feeds: dict[str, list[tuple[int, Port, Input]]] = {name: [] for name in wiring.document.inputs}
    for i, wires in enumerate(wiring.wires):
        spec = wiring.specs[i]
        for name, wire in wires.items():
            if spec is None or name not in spec.inputs:
                continue
            if type(wire) is Input:
                feeds[wire.name].append((i, spec.inputs[name], wire))
            elif type(wire) is Many:
                for leaf, port in leaf_ports(wire, spec.inputs[name]):
                    if type(leaf) is Input:
                        feeds[leaf.name].append((i, port, leaf))
    found = {}
    for name, fed in feeds.items():
        declared = wiring.document.inputs[name]
        default, _ = input_value(wiring, name, {})
        port = _meet(name, [port for _, port, _ in fed], problems if problems is not None else [])
        help_ = words(declared.help) or port.help
        found[name] = Parameter(name, replace(port, name=name, help=help_), default, words(declared.title) or name, tuple(fed))
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
) -> tuple[list[Problem], dict[Input, Any]]:
    """Every graph input as each port it feeds wants it: the problems, and the values by wire."""
    problems: list[Problem] = []
    for name in given:
        if name not in found:
            problems.append(Problem("no-such-input", f"the graph has no input `{name}`", fix=f"Its inputs are {listed(found)}."))
    values: dict[Input, Any] = {}
    for name, parameter in found.items():
        value, trusted = input_value(wiring, name, given)
        if value is UNSET:
            continue
        made: dict[tuple, Any] = {}  # by kind of port: a picture is opened once, not for each node that it feeds
        for i, port, wire in parameter.feeds:
            kind = id(port.type), port.source, id(port.between)
            try:
                if kind not in made:
                    bounded = replace(port, between=parameter.port.between or port.between)
                    made[kind] = coerce(value, bounded, None if trusted else folder)
                values[wire] = made[kind]
            except NotAccepted as error:
                where = f"{wiring.names[i]}.{port.name}"
                problems.append(Problem("bad-input", f"the input `{name}` (for `{where}`): {error}", "input", name, brief(value),
                                        expected=str(port.type), fix="Give another value."))  # fmt: skip
                break
    return problems, values


def missing(found: Mapping[str, Parameter], wiring: Wiring, nodes: set[int], given: Mapping[str, Any]) -> list[Problem]:
    """Inputs without a value that some wanted output needs."""
    problems = []
    for name, parameter in found.items():
        value, _ = input_value(wiring, name, given)
        if value is UNSET and any(i in nodes for i, _, _ in parameter.feeds):
            problems.append(Problem("input-not-given", f"the input `{name}` needs a value", expected=str(parameter.type), fix=f"Give {name}=…"))
    return problems

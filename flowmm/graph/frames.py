"""Frames: a piece of a graph that runs once for each item of a list, or again and again until it is good enough.

Lowered, a frame is the nodes inside it between two nodes of its own: the entry, which stands for one item (or for the state of a loop), and
the exit, which stands for what all rounds made. Types and keys flow through them as through any node. The engine runs the exit by running
what lies between, once a round; the nodes inside are keyed by the items themselves, as if each had been run alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ..catalog import NodeSpec, Output, Port
from ..sockets.types import ListOf, Plain, Type, Var
from .document import InputDoc, NodeDoc
from .problems import Problem, listed, meant

COMBINE, MOST = "combine", "most"  # ports of an entry beside those of the frame, which are identifiers with a colon before them
ENTRY = "*"  # what an entry is called within its frame


@dataclass(frozen=True, slots=True)
class Frame:
    """name: of the node that is the frame; its exit has it too. each: ports that take a list. carry: of a loop, by port the output that is its
    next value. until: the output that ends it. most: rounds at most; 0 for a frame that is no loop."""

    name: str
    each: tuple[str, ...] = ()
    combine: str = "zip"
    carry: tuple[tuple[str, str], ...] = ()
    until: str = ""
    most: int = 0

    @property
    def entry(self) -> str:
        """The flat name of its entry."""
        return f"{self.name}/{ENTRY}"

    @property
    def entering(self) -> tuple[str, ...]:
        """The ports whose value differs from round to round."""
        return tuple(port for port, _ in self.carry) if self.most else self.each

    def can_lose(self, port: str) -> bool:
        """Whether the frame runs without what this port of its exit is given: an output that no round depends on."""
        return not port.startswith(":") and port != self.until and all(port != output for _, output in self.carry)


def frame_of(
    name: str, node: NodeDoc, declared: Mapping[str, InputDoc], outputs: Collection[str], inputs: Mapping[str, Any]
) -> tuple[Frame | None, list[Problem]]:
    """The frame that a node is, and what is wrong with it; None where it cannot be run at all. inputs: what it is given."""
    loop, problems = node.loop, []
    entering = list(loop.carry) if loop is not None else node.each
    problems += (no_such_port(name, node.op, port, declared) for port in entering if port not in declared)
    if loop is None:
        for port in (port for port in node.each if port in declared and port not in inputs):
            problems.append(Problem("missing-input", f"it runs once for each of `{port}`, but no list is given", name, port, fix="Give it a list."))
        lengths = {port: length for port in node.each if (length := _length(inputs.get(port))) is not None}
        if node.combine == "zip" and len(set(lengths.values())) > 1:
            told = ", ".join(f"`{port}` has {length}" for port, length in lengths.items())
            fix = "Make them equally long, or combine them as a product."
            problems.append(Problem("unequal-lists", f"lists that go side by side have different lengths: {told}", name, fix=fix))
        return (None if problems else Frame(name, tuple(dict.fromkeys(node.each)), node.combine)), problems
    if node.each:
        message = "it is to run once for each of a list and again and again, but one node does one of them"
        problems.append(Problem("each-and-loop", message, name, fix="Make it a loop inside a graph, and run that once for each."))
    if loop.most is None:
        problems.append(Problem("unbounded-loop", "it has no bound", name, fix='Say how many rounds at most: "most": 10.'))
    for port in (port for port in entering if port in declared and port not in inputs and "default" not in declared[port].model_fields_set):
        problems.append(Problem("missing-input", f"nothing is wired to `{port}`, which the loop begins with", name, port, fix="Wire a value to it."))
    for output in [*loop.carry.values(), *([loop.until] if loop.until else [])]:
        if output not in outputs:
            fix = meant(output, outputs, f"Its outputs are {listed(outputs)}.")
            problems.append(Problem("no-such-output", f"the loop is to read `{output}`, but there is no such output", name, got=output, fix=fix))
    return (None if problems else Frame(name, carry=tuple(loop.carry.items()), until=loop.until, most=loop.most)), problems


def no_such_port(name: str, op: str, port: str, declared: Collection[str]) -> Problem:
    fix = meant(port, declared, f"Its inputs are {listed(declared)}.")
    return Problem("no-such-port", f"`{op}` has no input `{port}`", name, port, fix=fix)


def _length(value: Any) -> int | None:
    """Of a list that is written down."""
    value = value.value if hasattr(value, "folder") else value
    if isinstance(value, dict) and len(value) == 1:
        inner = value.get("list", value.get("value"))
        return len(inner) if isinstance(inner, list) else None
    return None


def entry_spec(frame: Frame, ports: Mapping[str, Port | None]) -> NodeSpec:
    """The node type of an entry. ports: by name what the nodes inside want of it, None where they do not agree or say nothing."""
    types: dict[str, Type] = {name: Var(name) if ports.get(name) is None else ports[name].type for name in frame.entering}
    inputs = {name: Port(name, ListOf(type_), between=ports[name].between if ports.get(name) else None) for name, type_ in types.items()}
    if frame.most:
        inputs = {name: Port(name, type_, between=ports[name].between if ports.get(name) else None) for name, type_ in types.items()}
    setting = Port(f":{MOST}", Plain(int)) if frame.most else Port(f":{COMBINE}", Plain(str))
    return _spec("loop" if frame.most else "each", inputs | {setting.name: setting}, {name: Output(name, type_) for name, type_ in types.items()})


def exit_spec(frame: Frame, outputs: tuple[str, ...]) -> NodeSpec:
    """The node type of an exit: a list of what every round made; of a loop, what the last round made, its state of one type throughout."""
    made = {name: Var(name) for name in outputs}
    state = {f":{port}": Port(f":{port}", made[output]) for port, output in frame.carry if output in made}
    inputs = {name: Port(name, Plain(bool) if frame.most and name == frame.until else type_) for name, type_ in made.items()}
    types = {name: port.type if frame.most else ListOf(port.type) for name, port in inputs.items()}
    return _spec("until" if frame.most else "collect", state | inputs, {name: Output(name, type_) for name, type_ in types.items()})


def _spec(op: str, inputs: dict[str, Port], outputs: dict[str, Output]) -> NodeSpec:
    return NodeSpec(
        op=f"frame.{op}", version=1, title=op, help="", tags=(), inputs=inputs, outputs=outputs, function=_spec, context=None, pure=True,
        lane="inline", several=True, describe=None, spaces=None, reference="", module="",
    )  # fmt: skip

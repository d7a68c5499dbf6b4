"""What would mend a problem, as data that an editor applies as one edit: found by the same typing that found the problem."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from ..catalog import NodeSpec, Port, packs
from ..face.graph import Graph
from ..graph.check import UNSET, Checked, input_value
from ..graph.problems import Problem
from ..graph.wiring import Const, Input, Link, leaf_ports
from ..models import shelf
from ..sockets.types import Choice, Plain, Type, Union, Var, instantiate
from .asking import _below as below
from .fitting import fitting

MOST_MENDED = 12  # problems of a graph that are looked into
MOST_TRIED = 12  # node types that are tried between two ports, each by typing the graph with it
MOST_OFFERED = 3  # of one kind for one problem
MOST_COST = 20_000  # of typing the graph again for all of them; larger graphs are not
Repair = dict[str, Any]


@dataclass(slots=True)
class _Asked:
    graph: Graph
    inputs: Mapping[str, Any]
    checked: Checked
    left: int = MOST_COST

    def affordable(self, times: int = 1) -> bool:
        """Whether the graph may be typed so many times more."""
        self.left -= times * self.checked.cost
        return self.left >= 0

    def errors(self, graph: Graph) -> int:
        return sum(problem.level == "error" for problem in graph.outside.check(**self.inputs).problems)


def with_repairs(graph: Graph, inputs: Mapping[str, Any], problems: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Problems as JSON, each with `repairs` where there are some."""
    if not any(problem["code"] in _MEND for problem in problems):
        return problems
    outside = graph.outside
    asked, made, offered, left = _Asked(outside, inputs, outside.check(**inputs)), [], [], MOST_MENDED
    for problem in problems:
        mend, found = _MEND.get(problem["code"]), []
        if mend and left and "inside" not in problem:
            left -= 1
            found = [repair for repair in mend(asked, Problem(**problem)) if repair not in offered]  # one cure may be that of several problems
            offered += found
        made.append(problem | ({"repairs": found} if found else {}))
    return made


# ── a node between ──────────────────────────────────────────────────────────────────────────────


def _insert(asked: _Asked, problem: Problem) -> Iterator[Repair]:
    """Node types that make what is wanted of what came; each is tried in the graph itself, its other inputs wired to what fits there."""
    index = asked.checked.wiring.index.get(problem.node)
    spec = asked.checked.wiring.specs[index] if index is not None else None
    if spec is None or problem.port not in spec.inputs or not asked.affordable():
        return
    wire = asked.checked.wiring.wires[index].get(problem.port)
    before = asked.errors(asked.graph)
    for link, wanted in leaf_ports(wire, Port(problem.port, asked.checked.input_type(index, problem.port))) if wire else ():
        if type(link) is not Link or asked.checked.bindings.conflict(asked.checked.output_type(link), wanted.type) is None:
            continue
        offered = 0
        for repair in _between(asked.checked, index, problem.port, link, wanted.type):
            if not asked.affordable():
                return
            if asked.errors(_inserted(asked.graph, repair)) < before:
                yield repair
                offered += 1
                if offered == MOST_OFFERED:
                    break


def _between(checked: Checked, index: int, port: str, link: Link, wanted: Type) -> list[Repair]:
    came, source = checked.output_type(link), f"{checked.wiring.names[link.producer]}.{link.output}"
    found: list[tuple[tuple, Repair]] = []
    for spec in packs.all_specs():
        for taken, given in _ways(checked, spec, came, wanted):
            wires = _others(checked, spec, taken, index, link.producer)
            if wires is None:
                continue
            repair = {
                "kind": "insert", "op": spec.op, "version": spec.version, "input": taken, "output": given, "wires": wires, "from": source,
                "node": checked.wiring.names[index], "port": port, "words": _each(spec.title, {"en": "Insert “{}”", "zh": "插入“{}”"}),
            }  # fmt: skip
            optional = not spec.inputs[taken].required
            found.append(((len(wires), optional, _distance(spec, checked, index, link.producer)), repair))
    return [repair for _, repair in sorted(found, key=lambda one: one[0])[:MOST_TRIED]]


def _ways(checked: Checked, spec: NodeSpec, came: Type, wanted: Type) -> Iterator[tuple[str, str]]:
    """The input that takes what came, with the output that gives what is wanted. What takes or gives anything converts nothing."""
    takes = [p.name for p in spec.inputs.values() if not isinstance(p.type, Var) and checked.bindings.conflict(came, instantiate(p.type, {})) is None]
    gives = [o.name for o in spec.outputs.values() if not isinstance(o.type, Var) and checked.bindings.conflict(instantiate(o.type, {}), wanted) is None]
    for taken in takes[:2]:
        for given in gives[:2]:
            yield taken, given


def _others(checked: Checked, spec: NodeSpec, taken: str, index: int, producer: int) -> dict[str, str] | None:
    """The other inputs that must be wired, each to the nearest output above that fits; None where one stays empty."""
    wiring, wires = checked.wiring, {}
    for port in spec.inputs.values():
        if port.name == taken or not port.required:
            continue
        for i in _nearest(checked, index, producer):
            fits = (o for o in wiring.specs[i].outputs if checked.bindings.conflict(checked.output_type(Link(i, o)), instantiate(port.type, {})) is None)
            output = next(fits, None)
            if output is not None:
                wires[port.name] = f"{wiring.names[i]}.{output}"
                break
        else:
            return None
    return wires


def _nearest(checked: Checked, index: int, producer: int) -> list[int]:
    """Nodes that may feed one between these two: what is above the producer, then what is above the target."""
    wiring = checked.wiring
    above = [*wiring.ancestors([producer]), *wiring.ancestors([index])]
    return [i for i in dict.fromkeys(above) if i != index and wiring.specs[i] is not None]


def _distance(spec: NodeSpec, checked: Checked, index: int, producer: int) -> int:
    """0 for a node type of the target's room, 1 for one of the source's, else 2."""
    room = spec.op.rpartition(".")[0]
    rooms = [one.op.rpartition(".")[0] if one else "" for one in (checked.wiring.specs[index], checked.wiring.specs[producer])]
    return rooms.index(room) if room in rooms else 2


def _inserted(graph: Graph, repair: Repair) -> Graph:
    """The graph with the node between, to be typed."""
    document = graph.document
    node = document.nodes[repair["node"]]
    between = {repair["input"]: {"from": repair["from"]}} | {port: {"from": source} for port, source in repair["wires"].items()}
    name = next(name for i in range(len(document.nodes) + 1) if (name := f"between_{i}") not in document.nodes)
    made = type(node).model_validate({"op": repair["op"], "version": repair["version"], "in": between})
    moved = _moved(node.inputs[repair["port"]], repair["from"], f"{name}.{repair['output']}")
    nodes = document.nodes | {name: made, repair["node"]: node.model_copy(update={"inputs": node.inputs | {repair["port"]: moved}})}
    return Graph(document.model_copy(update={"nodes": nodes}), path=graph.path, roots=graph.roots, trusting=graph.trusting)


def _moved(value: Any, source: str, to: str) -> Any:
    if isinstance(value, dict) and value.get("from") == source:
        return {"from": to}
    if isinstance(value, dict) and isinstance(value.get("list"), list):
        return {"list": [_moved(item, source, to) for item in value["list"]]}
    return value


# ── a wire, a value ─────────────────────────────────────────────────────────────────────────────


def _wire(asked: _Asked, problem: Problem) -> Iterator[Repair]:
    """Outputs that fit an empty port, the nearest first."""
    checked, wiring = asked.checked, asked.checked.wiring
    index = wiring.index[problem.node]
    wanted, hanging = checked.input_type(index, problem.port), below(asked.graph, index)
    offered = 0
    for i in reversed(wiring.order):
        spec = wiring.specs[i]
        if spec is None or i in hanging:
            continue
        for output in spec.outputs:
            if checked.bindings.conflict(checked.output_type(Link(i, output)), wanted) is None:
                source = f"{wiring.names[i]}.{output}"
                words = {"en": f"Wire {source} to it", "zh": f"接上 {source}"}
                yield {"kind": "wire", "from": source, "node": problem.node, "port": problem.port, "words": words}
                offered += 1
                if offered == MOST_OFFERED:
                    return


def _cut(asked: _Asked, problem: Problem) -> Iterator[Repair]:
    """What leads nowhere goes. node "": an output of the graph."""
    if problem.port:
        yield {"kind": "cut", "node": problem.node, "port": problem.port, "words": {"en": "Remove it", "zh": "删除它"}}


def _set(asked: _Asked, problem: Problem) -> Iterator[Repair]:
    """The nearest value that a port allows, and its default."""
    wiring = asked.checked.wiring
    index = wiring.index.get(problem.node)
    port = wiring.specs[index].inputs.get(problem.port) if index is not None else None
    wire = wiring.wires[index].get(problem.port) if port else None
    if type(wire) is not Const:
        return
    yield from _nearest_values(port, wire.value, lambda value: {"kind": "set", "node": problem.node, "port": problem.port, "value": value})
    if not port.required:
        yield {"kind": "reset", "node": problem.node, "port": problem.port, "words": {"en": "Back to the default", "zh": "恢复默认值"}}


def _set_input(asked: _Asked, problem: Problem) -> Iterator[Repair]:
    """The nearest value that the graph's input allows."""
    name = problem.port
    value, _ = input_value(asked.checked.wiring, name, asked.inputs)
    parameter = asked.graph.inputs[name]
    if value is not UNSET:
        yield from _nearest_values(parameter.port, value, lambda value: {"kind": "set", "node": "input", "port": name, "value": value})


def _nearest_values(port: Port, value: Any, repair: Callable[[Any], Repair]) -> Iterator[Repair]:
    members = port.type.members if isinstance(port.type, Union) else (port.type,)
    number = type(value) in (int, float)
    found = value
    if number and Plain(int) in members and Plain(float) not in members:
        found = round(value)
    if number and port.between is not None:
        low, high = port.between.low, port.between.high
        found = low if low is not None and found < low else high if high is not None and found > high else found
        found = int(found) if type(value) is int or Plain(float) not in members else found
    choices = [choice for member in members if isinstance(member, Choice) for choice in member.values]
    if choices and value not in choices:
        close = get_close_matches(str(value), list(map(str, choices)), 1, 0.5)
        found = next((choice for choice in choices if close and str(choice) == close[0]), value)
    if found != value:
        yield repair(found) | {"words": {"en": f"Set it to {found}", "zh": f"设为 {found}"}}


# ── a model ─────────────────────────────────────────────────────────────────────────────────────


def _model(asked: _Asked, problem: Problem) -> Iterator[Repair]:
    """Models that are here and fit."""
    wiring = asked.checked.wiring
    index = wiring.index.get(problem.node)
    spec = wiring.specs[index] if index is not None else None
    if spec is None:
        return
    for port in spec.inputs.values():
        wire = wiring.wires[index].get(port.name)
        if port.source and type(wire) in (Input, Const) and asked.affordable(len(shelf.entries())):
            node, name = ("input", wire.name) if type(wire) is Input else (problem.node, port.name)
            found = fitting(asked.graph, node, name, asked.inputs)
            names = [model["name"] for model in found["models"] if model["fits"] and model["name"] != (found["given"] or {}).get("source")]
            for source in names[:MOST_OFFERED]:
                yield {"kind": "set", "node": node, "port": name, "value": source, "words": {"en": f"Take {source}", "zh": f"改用 {source}"}}


def _each(title: Any, text: dict[str, str]) -> dict[str, str]:
    """The sentence in each language, with the title as that language has it."""
    titles = title if isinstance(title, dict) else {"en": title}
    return {language: sentence.format(titles.get(language) or titles.get("en") or next(iter(titles.values()), "")) for language, sentence in text.items()}


def _mismatch(asked: _Asked, problem: Problem) -> Iterator[Repair]:
    yield from _insert(asked, problem)
    if problem.port:
        yield {"kind": "cut", "node": problem.node, "port": problem.port, "words": {"en": "Remove the wire", "zh": "删除连线"}}


_MEND: dict[str, Callable[[_Asked, Problem], Iterator[Repair]]] = {
    "type-mismatch": _mismatch, "missing-input": _wire, "bad-literal": _set, "bad-input": _set_input, "dangling": _cut, "no-such-output": _cut,
    "no-such-input": _cut, "no-such-port": _cut, "unknown-space": _model, "unreadable-source": _model, "node-failed": _model,
    "missing-model": _model,
}  # fmt: skip

"""What can be known of a graph without running it: its problems and types, what fits where, what a run would do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..catalog import NodeSpec, known, packs
from ..catalog.catalogue import describe as node_type
from ..catalog.catalogue import type_json
from ..engine.forecast import forecast
from ..engine.runtime import Runtime
from ..face.graph import Graph
from ..face.requires import Named, named_models, opened
from ..face.tables import edges
from ..graph.check import UNSET, Checked, mismatch
from ..graph.describe import Described, describe
from ..graph.document import source_of, words
from ..graph.frames import ENTRY
from ..graph.pieces import holders
from ..graph.problems import Problem, listed
from ..graph.signature import check_inputs
from ..graph.wiring import Link, Many
from ..sockets.facts import UNKNOWN
from ..sockets.types import ListOf, Plain, Type, instantiate
from .refusals import Refused

MOST_PROBLEMS = 1_000  # of a graph that are told at once
MOST_RECHECKS, MOST_COST = 100, 20_000  # ports whose wire is taken away to see whether the new one would fit, and what that may cost in all


def check(graph: Graph, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Problems, typed edges with predicted shapes, the graph's inputs and outputs with their types, predicted memory in bytes, what is
    left out because something is muted."""
    checked, described = _typed(graph, inputs)
    return {
        "problems": [told(problem) for problem in (checked.problems + described.problems)[:MOST_PROBLEMS]], "edges": _edges(graph, checked, described),
        "types": {op: node_type(spec) for op, spec in graph.piece_types.items()},
        "inputs": {name: parameter(one) for name, one in graph.inputs.items()}, "outputs": outputs(graph, checked), "memory": _memory(described),
        "off": graph.lowered.silent(graph.document),
    }  # fmt: skip


def told(problem: Problem) -> dict[str, str]:
    """A problem of a node inside a piece is told at the piece, where it can be seen. inside: where in it."""
    node, _, inside = problem.node.partition("/")
    return problem.as_json() | ({"node": node, "inside": inside} if inside else {})


def _edges(graph: Graph, checked: Checked, described: Described) -> list[dict[str, Any]]:
    """The wires that are drawn; of one that comes out of a piece, what flows is known by the node in it that makes it."""
    outside = graph.outside
    if outside is graph:
        return edges(checked, described)
    seen, facts = outside.check(), {}
    for i, spec in enumerate(outside.wiring.specs):
        for name in spec.outputs if spec else ():
            led, _ = graph.lowered.lead({"from": f"{outside.wiring.names[i]}.{name}"})
            node, _, output = source_of(led).partition(".")
            if node in graph.wiring.index:
                facts[i, name] = described.facts.get((graph.wiring.index[node], output), UNKNOWN)
    return edges(seen, Described(facts, describe(seen, check_inputs(outside.wiring, {}, outside.folder, outside.inputs)[1]).given))


def _typed(graph: Graph, inputs: Mapping[str, Any]) -> tuple[Checked, Described]:
    checked = graph.check(**inputs)
    _, values = check_inputs(graph.wiring, inputs, graph.folder, graph.inputs)
    return checked, describe(checked, values)


def _memory(described: Described) -> dict[str, Any]:
    return {"peak": described.peak, "weights": described.weights, "at_least": described.at_least}


def parameter(one: Any) -> dict[str, Any]:
    """A graph's input as a form needs it."""
    port = one.port
    made = {"type": type_json(port.type), "shown": str(port.type), "title": one.title, "help": one.help, "required": one.default is UNSET}
    if not made["required"]:
        made["default"] = one.default
    if port.between:
        made["between"] = {name: value for name, value in (("low", port.between.low), ("high", port.between.high), ("step", port.between.step)) if value is not None}
    return made | {name: True for name in ("multiline", "source") if getattr(port, name)}


def outputs(graph: Graph, checked: Checked) -> dict[str, Any]:
    """The graph's outputs with their types."""
    found = {}
    for name, link in graph.wiring.outputs.items():
        type_ = checked.output_type(link)
        title = words(graph.document.outputs[name].title) or name
        found[name] = {"type": type_json(type_) if type_ else None, "shown": str(type_ or "?"), "title": title}
    return found


# ── what fits ───────────────────────────────────────────────────────────────────────────────────


def compatible(graph: Graph, node: str, port: str, side: str) -> dict[str, Any]:
    """What a wire from this port may lead to. side: "output" for a node's output or (node "input") a graph's input, else "input".

    ports: those already in the graph, each with whether it fits and why not. nodes: types that could be added, each with the
    ports that would fit.
    """
    graph = graph.outside
    checked = graph.check()
    if side == "output":
        type_, source = _source(graph, checked, node, port)
        return {"type": str(type_), "ports": list(_targets(graph, checked, type_, source)), "nodes": list(_new_targets(checked, type_))}
    index = _index(graph, node)
    spec = graph.wiring.specs[index]
    if spec is None or port not in spec.inputs:
        raise Refused(422, "no-such-port", f"the node `{node}` has no input `{port}`", f"Its inputs are {listed(spec.inputs) if spec else 'not known'}.")
    type_ = checked.input_type(index, port)
    return {"type": str(type_), "ports": list(_sources(graph, checked, index, port)), "nodes": list(_new_sources(checked, type_))}


def _index(graph: Graph, node: str) -> int:
    if node not in graph.wiring.index:
        raise Refused(422, "no-such-node", f"there is no node `{node}` in this graph", f"There are {listed(graph.wiring.names)}.")
    return graph.wiring.index[node]


def _source(graph: Graph, checked: Checked, node: str, port: str) -> tuple[Type, Link | None]:
    if node == "input":
        if port not in graph.inputs:
            raise Refused(422, "no-such-input", f"the graph has no input `{port}`", f"It has {listed(graph.inputs)}.")
        return graph.inputs[port].type, None
    index = _index(graph, node)
    spec = graph.wiring.specs[index]
    if spec is None or port not in spec.outputs:
        raise Refused(422, "no-such-output", f"the node `{node}` has no output `{port}`", f"Its outputs are {listed(spec.outputs) if spec else 'not known'}.")
    link = Link(index, port)
    return checked.output_type(link), link


def _targets(graph: Graph, checked: Checked, type_: Type, source: Link | None) -> Iterator[dict[str, Any]]:
    """Every input port of the graph's nodes: does this output fit, and why not."""
    wiring = graph.wiring
    above = wiring.ancestors([source.producer]) if source else set()
    rechecks = min(MOST_RECHECKS, MOST_COST // checked.cost)
    for i, spec in enumerate(wiring.specs):
        for port in spec.inputs.values() if spec else ():
            why = ""
            if i in above:
                why = f"`{wiring.names[i]}` is above it, so the wire would close a loop"
            else:
                conflict = checked.bindings.conflict(type_, checked.input_type(i, port.name))
                if conflict and port.name in wiring.wires[i] and rechecks:  # the wire that is there now may be what forbids it
                    rechecks -= 1
                    free = _without(graph, i, port.name)
                    conflict = free.bindings.conflict(free.output_type(source) if source else type_, free.input_type(i, port.name))
                item = _as_item(checked, i, port.name, type_, conflict)
                if conflict and not item:
                    why = _why(checked, i, port, source, type_, conflict)
                if item:
                    yield {"node": wiring.names[i], "port": port.name, "fits": True, "item": True}
                    continue
            yield {"node": wiring.names[i], "port": port.name, "fits": not why} | ({"why": why} if why else {})


def loops(graph: Graph, node: str) -> dict[str, Any]:
    """What a node that runs again and again may do. carry: by input, the outputs that may be its next value; until: outputs that may end it."""
    op = graph.document.nodes[node].op if node in graph.document.nodes else ""
    spec = graph.piece_types.get(op) or known(op)
    if spec is None:
        raise Refused(422, "no-such-node", f"there is no node `{node[:60]}` here whose type is known", f"There are {listed(graph.document.nodes)}.")
    fresh: dict[Any, Any] = {}
    inputs = {name: instantiate(port.type, fresh) for name, port in spec.inputs.items()}
    outputs = {name: instantiate(output.type, fresh) for name, output in spec.outputs.items()}
    fits = graph.outside.check().bindings.conflict
    carry = {port: [name for name, came in outputs.items() if fits(came, wanted) is None] for port, wanted in inputs.items()}
    return {"carry": {port: names for port, names in carry.items() if names}, "until": [name for name, came in outputs.items() if fits(came, Plain(bool)) is None]}


def _item(type_: Type | None) -> Type | None:
    """What one item of a list is, where a port takes a list."""
    return next((member.item for member in getattr(type_, "members", (type_,)) if isinstance(member, ListOf)), None)


def _as_item(checked: Checked, index: int, port: str, came: Type | None, conflict: Any) -> bool:
    """Whether a value goes into a port as one item of its list: where it does not fit as the whole, or a list is wired there already."""
    item = _item(checked.input_type(index, port))
    listed = isinstance(checked.wiring.wires[index].get(port), Many)
    return item is not None and came is not None and (conflict is not None or listed) and checked.bindings.conflict(came, item) is None


def _why(checked: Checked, i: int, port: Any, source: Link | None, type_: Type, conflict: Any) -> str:
    if source is not None:
        return mismatch(checked, i, port, source, conflict).message
    return conflict.reason or f"it is {checked.bindings.resolve(type_)}, but `{port.name}` wants {checked.input_type(i, port.name)}"


def _sources(graph: Graph, checked: Checked, index: int, port: str) -> Iterator[dict[str, Any]]:
    """Every output of the graph's nodes, and every input of the graph: may it be wired to this port, and why not."""
    wiring = graph.wiring
    below = _below(graph, index)
    declared = wiring.specs[index].inputs[port]
    free = _without(graph, index, port) if port in wiring.wires[index] else checked
    for i, spec in enumerate(wiring.specs):
        for output in spec.outputs if spec else ():
            why, link = "", Link(i, output)
            if i in below:
                why = f"`{wiring.names[i]}` is below it, so the wire would close a loop"
            else:
                conflict = free.bindings.conflict(free.output_type(link), free.input_type(index, port))
                if _as_item(checked, index, port, checked.output_type(link), conflict):
                    yield {"node": wiring.names[i], "port": output, "fits": True, "item": True}
                    continue
                why = mismatch(free, index, declared, link, conflict).message if conflict else ""
            yield {"node": wiring.names[i], "port": output, "fits": not why} | ({"why": why} if why else {})
    for name, one in graph.inputs.items():
        conflict = free.bindings.conflict(one.type, free.input_type(index, port)) if one.feeds else None
        if one.feeds and _as_item(checked, index, port, one.type, conflict):
            yield {"node": "input", "port": name, "fits": True, "item": True}
            continue
        yield {"node": "input", "port": name, "fits": conflict is None} | ({"why": f"it is {one.type}, but `{port}` wants {declared.type}"} if conflict else {})


def _without(graph: Graph, index: int, port: str) -> Checked:
    """The graph typed as it would be without what is wired to a port now."""
    name = graph.wiring.names[index]
    nodes = dict(graph.document.nodes)
    nodes[name] = nodes[name].model_copy(update={"inputs": {p: value for p, value in nodes[name].inputs.items() if p != port}})
    return Graph(graph.document.model_copy(update={"nodes": nodes}), path=graph.path, roots=graph.roots, trusting=graph.trusting).outside.check()


def _below(graph: Graph, index: int) -> set[int]:
    seen, stack = {index}, [index]
    while stack:
        for follower in graph.wiring.followers[stack.pop()]:
            if follower not in seen:
                seen.add(follower)
                stack.append(follower)
    return seen


def _new_targets(checked: Checked, type_: Type) -> Iterator[dict[str, Any]]:
    fits = checked.bindings.conflict
    for spec in packs.all_specs():
        types = {port.name: instantiate(port.type, {}) for port in spec.inputs.values()}
        whole = [name for name, wanted in types.items() if fits(type_, wanted) is None]
        items = [name for name, wanted in types.items() if name not in whole and (item := _item(wanted)) is not None and fits(type_, item) is None]
        if whole or items:
            yield _new(spec, whole + items, items)


def _new_sources(checked: Checked, type_: Type) -> Iterator[dict[str, Any]]:
    fits, item = checked.bindings.conflict, _item(type_)
    for spec in packs.all_specs():
        types = {output.name: instantiate(output.type, {}) for output in spec.outputs.values()}
        whole = [name for name, came in types.items() if fits(came, type_) is None]
        items = [name for name, came in types.items() if name not in whole and item is not None and fits(came, item) is None]
        if whole or items:
            yield _new(spec, whole + items, items)


def _new(spec: NodeSpec, ports: list[str], items: list[str]) -> dict[str, Any]:
    return {"op": spec.op, "version": spec.version, "title": words(spec.title), "ports": ports} | ({"items": items} if items else {})


# ── what a run would do ─────────────────────────────────────────────────────────────────────────


def plan(graph: Graph, inputs: Mapping[str, Any], targets: list[str] | None, runtime: Runtime) -> dict[str, Any]:
    """By node, those in pieces among them: cached, run, free (makers of handles, switches) or undecided (known once what is late has run);
    predicted memory; the models it names, and whether they are here. Raises GraphError."""
    run, _ = graph.prepare(inputs, only=targets, runtime=runtime)
    found = forecast(runtime, run.program, run.given, run.targets)
    checked, described = _typed(graph, inputs)
    nodes: dict[str, str] = {}
    for state in ("free", "cached", "undecided", "runs"):  # of a piece, what is most work among its nodes
        nodes |= {holder: state.removesuffix("s") for name in getattr(found, state) if not name.endswith(f"/{ENTRY}") for holder in holders(name)}
    problems = [Problem("node-failed", found.failed.message, found.failed.node)] if found.failed else []
    return {
        "nodes": nodes, "runs": len(found.runs), "cached": len(found.cached),
        "memory": _memory(described), "models": models(graph, inputs), "problems": [told(problem) for problem in problems],
    }  # fmt: skip


def models(graph: Graph, inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The models a graph names: source, where it is named, here or not, and if not what to do."""
    return [{"source": one.text, "ports": one.places, **here(one)} for one in named_models(graph, inputs)]


def here(model: Named) -> dict[str, Any]:
    """A model or a LoRA that can be opened; else why not."""
    try:
        opened(model.path)
    except ValueError as error:
        return {"here": False, "why": str(error)}
    return {"here": True}

"""Which of the models that are here fit an input: the graph is typed with each in turn, which reads config files only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..face.graph import Graph
from ..face.requires import Named
from ..graph.problems import Problem, listed
from ..graph.wiring import Const, Input
from ..models import shelf
from .asking import here
from .refusals import Refused


def fitting(graph: Graph, node: str, port: str, inputs: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The models for a graph's input (node "input") or for a port of a node.

    models: those that are here, the ones that fit first, each with why it does not. given: the model named there now, with whether
    it is here and if not what gets it; None if none is named. Raises Refused if there is no such input.
    """
    inputs, graph = inputs or {}, graph.outside
    value, fed = _now(graph, node, port, inputs)
    entries = [entry for entry in shelf.entries() if entry.kind != "unfinished"]
    found = [_problems(graph, node, port, inputs, entry.name) for entry in entries]
    shared = set.intersection(*({_said(one) for one in problems} for problems in found)) if found else set()  # not the model's doing
    models = []
    for entry, problems in zip(entries, found):
        own = [one for one in problems if _said(one) not in shared or one.node in fed and one.level == "unknown"]
        why = next((one.message for one in own if one.level == "error"), f"a {entry.cls or 'model like this'} does not have what is taken from it here")
        made = {"name": entry.name, "kind": entry.kind, "class": entry.cls, "bytes": entry.bytes, "licence": entry.licence, "fits": not own}
        models.append(made | ({"why": why} if own else {}))
    models.sort(key=lambda one: not one["fits"])
    return {"models": models, "given": {"source": value, **here(Named(value, graph.folder, []))} if isinstance(value, str) and value else None}


def _now(graph: Graph, node: str, port: str, inputs: Mapping[str, Any]) -> tuple[Any, set[str]]:
    """What is named there now, and the nodes that it reaches."""
    wiring = graph.wiring
    if node == "input":
        if port not in graph.inputs:
            raise Refused(422, "no-such-input", f"the graph has no input `{port}`", f"It has {listed(graph.inputs)}.")
        parameter = graph.inputs[port]
        return inputs.get(port, parameter.default), {wiring.names[i] for i, _, _ in parameter.feeds}
    spec = wiring.specs[wiring.index[node]] if node in wiring.index else None
    if spec is None or port not in spec.inputs or not spec.inputs[port].source:
        raise Refused(422, "no-such-port", f"`{node}.{port}` takes no model", "Ask for an input that does.")
    wire = wiring.wires[wiring.index[node]].get(port)
    if type(wire) is Input:
        raise Refused(422, "wired", f"`{node}.{port}` is wired to the input `{wire.name}`", "Ask for that input.")
    return wire.value if type(wire) is Const else None, {node}


def _problems(graph: Graph, node: str, port: str, inputs: Mapping[str, Any], name: str) -> list[Problem]:
    if node == "input":
        return _wrong(graph.check(**{**inputs, port: name}).problems)
    nodes = dict(graph.document.nodes)
    nodes[node] = nodes[node].model_copy(update={"inputs": {**nodes[node].inputs, port: name}})
    changed = Graph(graph.document.model_copy(update={"nodes": nodes}), path=graph.path, roots=graph.roots, trusting=graph.trusting)
    return _wrong(changed.check(**inputs).problems)


def _said(problem: Problem) -> tuple[str, str, str, str]:
    return problem.code, problem.node, problem.port, problem.message


def _wrong(problems: list[Problem]) -> list[Problem]:
    return [problem for problem in problems if problem.level != "warning"]

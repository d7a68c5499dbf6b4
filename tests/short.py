"""Documents in short, of small nodes."""

from __future__ import annotations

from flowmm import Graph
from flowmm.graph.document import of

OP = "local:small_nodes."


def doc(nodes, outputs=None, inputs=None, **more):
    """A document in short: {"a": ("add", {"a": 1}, "mute", {further fields})}, both of the latter if wanted; outputs by name."""
    made = {}
    for name, (op, given, *more_of_it) in nodes.items():
        made[name] = {"op": op if ":" in op or "." in op else OP + op, "in": given}
        for one in more_of_it:
            made[name] |= {"mode": one} if isinstance(one, str) else one
    raw = {"flowmm": 1, "nodes": made, "outputs": {name: {"from": source} for name, source in (outputs or {}).items()}}
    raw["inputs"] = {name: {} if value is ... else {"default": value} for name, value in (inputs or {}).items()}
    return raw | more


def graph(*args, **more) -> Graph:
    return Graph(of(doc(*args, **more)))


def wire(source):
    return {"from": source}


def problems(graph, **inputs):
    return [(one.code, one.node, one.port) for one in graph.check(**inputs).problems if one.level == "error"]

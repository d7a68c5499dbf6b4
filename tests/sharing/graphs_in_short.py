"""Documents in short."""

from __future__ import annotations

from flowmm import Graph
from flowmm.graph.document import of

OP = "local:sharing_nodes."


def doc(nodes, outputs=None, inputs=None, **more):
    """A document in short: {"a": ("add", {"a": 1}, {further fields})}; outputs by name."""
    made = {}
    for name, (op, given, *fields) in nodes.items():
        made[name] = {"op": op if ":" in op or "." in op else OP + op, "in": given} | (fields[0] if fields else {})
    raw = {"flowmm": 1, "nodes": made, "outputs": {name: {"from": source} for name, source in (outputs or {}).items()}}
    raw["inputs"] = {name: {} if value is ... else {"default": value} for name, value in (inputs or {}).items()}
    return raw | more


def graph(*args, **more) -> Graph:
    return Graph(of(doc(*args, **more)))


def wire(source):
    return {"from": source}

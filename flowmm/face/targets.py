"""What a run is to compute: outputs of the graph, nodes, or single edges."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..graph.document import source_of
from ..graph.lower import Nothing
from ..graph.problems import GraphError, Problem, listed, meant
from ..graph.wiring import Link

if TYPE_CHECKING:
    from .graph import Graph


def targets(graph: Graph, only: list[str] | None) -> dict[str, Link]:
    """By name the wires to fetch. only: outputs of the graph, nodes (all their outputs, as "node.output") and edges. Raises GraphError."""
    lowered, outputs = graph.lowered, graph.wiring.outputs
    wanted = None if only is None else list(_opened(graph, only))
    if any(lowered.missing.get(name) == "" for name in (lowered.missing if wanted is None else wanted)):
        raise GraphError(lowered.problems)
    for name in wanted or ():
        if name in lowered.missing:
            raise GraphError([Problem("muted", f"the output `{name}` cannot do without `{lowered.missing[name]}`, which is muted", fix="Turn it on again.")])
    if wanted is not None:
        found = {name: edge(graph, name) if "." in name else outputs.get(name) for name in wanted}
        return {name: link for name, link in found.items() if link is not None}
    if lowered.missing and not outputs:
        named = listed([f"`{name}`" for name in dict.fromkeys(lowered.missing.values())])
        raise GraphError([Problem("muted", f"every output needs what is muted: {named}", fix="Turn some of it on again.")])
    if not graph.document.outputs:
        raise GraphError([Problem("no-outputs", "the graph has no outputs, so there is nothing to run for", fix="Add one to `outputs`.")])
    return outputs


def edge(graph: Graph, name: str) -> Link:
    """The wire called "node.output". Raises GraphError."""
    led, _ = graph.lowered.lead({"from": name})
    if isinstance(led, Nothing) and led.muted:
        raise GraphError([Problem("muted", f"`{name}` cannot do without `{led.muted}`, which is muted", fix="Turn it on again.")])
    node, _, output = (source_of(led) or name).partition(".")
    index = graph.wiring.index.get(node)
    spec = graph.wiring.specs[index] if index is not None else None
    if spec is None or output not in spec.outputs:
        known = listed([f"{node}.{one}" for one in spec.outputs] if spec else graph.wiring.names)
        raise GraphError([Problem("no-such-edge", f"there is no `{name}` in this graph", fix=f"There is {known}.")])
    return Link(index, output)


def until(graph: Graph, node: str) -> list[str]:
    """What to ask for to compute a node and all that it needs: the graph's outputs that are made on the way, then the node. Raises GraphError."""
    links = [edge(graph, name) for name in _outputs(graph, node)]
    above = graph.wiring.ancestors([link.producer for link in links])
    return [*(name for name, link in graph.wiring.outputs.items() if link.producer in above), *_outputs(graph, node)]


def _opened(graph: Graph, only: list[str]) -> Iterable[str]:
    """Names of nodes replaced by their edges; an output of the graph comes before a node of its name."""
    for name in only:
        if "." in name or name in graph.document.outputs:
            yield name
        else:
            yield from _outputs(graph, name)


def _outputs(graph: Graph, node: str) -> list[str]:
    """The edges that leave a node. Raises GraphError."""
    index, lowered = graph.wiring.index.get(node), graph.lowered
    spec = graph.wiring.specs[index] if index is not None else None
    if muted := lowered.off.get(node):
        raise GraphError([Problem("muted", f"`{node}` cannot run: `{muted}` is muted", fix="Turn it on again.")])
    if node in lowered.off:
        raise GraphError(lowered.problems)
    if index is not None and spec is None:
        raise GraphError([Problem("unknown-op", graph.wiring.unknown[index], node, fix="Install the pack it comes from.")])
    found = list(spec.outputs if spec is not None else lowered.stand_ins.get(node, ()))
    if not found:
        outputs, nodes = graph.document.outputs, graph.document.nodes
        fix = meant(node, [*outputs, *nodes], f"Its outputs are {listed(outputs)}; its nodes are {listed(nodes)}.")
        raise GraphError([Problem("no-such-output", f"the graph has no output `{node[:200]}`, and no node of that name", fix=fix)])
    return [f"{node}.{output}" for output in found]

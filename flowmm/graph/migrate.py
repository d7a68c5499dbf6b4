"""Migrations: a graph that was made with older nodes becomes what it would be today. The file itself is left alone until it is edited."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from ..catalog import NodeSpec, known
from .document import Document, NodeDoc, rewired
from .problems import Problem, sentence


def upgraded(document: Document, only: Container[str] | None = None) -> tuple[Document, list[Problem]]:
    """What is written instead of a document once a person wants today's nodes in it, of some nodes only if asked, else in its definitions too."""
    made, problems = migrated(document, only)
    if only is not None or not document.graphs:
        return made, problems
    inner = {name: upgraded(one) for name, one in document.graphs.items()}
    told = [replace(problem, node=f"{name}/{problem.node}") for name, (_, found) in inner.items() for problem in found]
    return made.model_copy(update={"graphs": {name: one for name, (one, _) in inner.items()}}), problems + told


def migrated(document: Document, only: Container[str] | None = None) -> tuple[Document, list[Problem]]:
    """A document whose nodes are of the versions installed here, itself if they are already; and what could not be brought there.

    only: the nodes that are meant. Nodes of unknown types stay as they are.
    """
    specs = {op: known(op) for op in {node.op for node in document.nodes.values()}}
    meant = {name: node for name, node in document.nodes.items() if only is None or name in only}
    old = {name: node for name, node in meant.items() if (spec := specs[node.op]) is not None and node.version != spec.version}
    if not old:
        return document, []
    problems: list[Problem] = []
    nodes, renamed = dict(document.nodes), {}
    for name, node in old.items():
        nodes[name], outputs = _node(name, node, specs[node.op], problems)
        renamed |= {f"{name}.{before}": f"{name}.{after}" for before, after in outputs.items()}
    if renamed:
        now = lambda source: renamed.get(source, source)  # noqa: E731
        nodes = {name: node.model_copy(update={"inputs": {port: rewired(value, now) for port, value in node.inputs.items()}}) for name, node in nodes.items()}
    outputs = {name: one.model_copy(update={"source": renamed[one.source]}) if one.source in renamed else one for name, one in document.outputs.items()}
    return document.model_copy(update={"nodes": nodes, "outputs": outputs}), problems


def _node(name: str, node: NodeDoc, spec: NodeSpec, problems: list[Problem]) -> tuple[NodeDoc, dict[str, str]]:
    """The node as the newest version has it, and its outputs that were renamed on the way."""
    if node.version > spec.version:
        message = f"it was made with version {node.version} of `{spec.op}`; version {spec.version} is installed"
        problems.append(Problem("newer-node", message, name, got=str(node.version), expected=str(spec.version),
                                fix="Update the pack if it behaves otherwise than it should.", level="warning"))  # fmt: skip
        return node, {}
    inputs, renamed = dict(node.inputs), {}
    for version in range(max(node.version, 1), spec.version):
        step = spec.migrations.get(version)
        if step is None:
            continue  # what it is given means the same; only what it makes of it changed
        try:
            inputs = dict(step.inputs(dict(inputs)))
        except Exception as error:  # a pack's rule must not take the graph down
            message = f"it could not be brought from version {version} of `{spec.op}` to {version + 1}: {type(error).__name__}: {sentence(error)}"
            problems.append(Problem("migration-failed", message, name, fix="Look at its inputs; tell the pack's author.", level="warning"))
            continue
        renamed = {before: step.outputs.get(after, after) for before, after in renamed.items()} | {
            before: after for before, after in step.outputs.items() if before not in renamed.values()
        }
    return node.model_copy(update={"version": spec.version, "inputs": inputs}), renamed

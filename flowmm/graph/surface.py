"""The surface of a graph: its own nodes, with graphs used as nodes and frames as they look from outside. What an editor draws and wires."""

from __future__ import annotations

from dataclasses import replace

from ..catalog import NodeSpec, Output, Port, known
from ..catalog.spec import REQUIRED
from ..sockets.types import ListOf, Var
from .document import NodeDoc, words
from .lower import Lowered
from .pieces import PREFIX, Finder, Piece, narrowest
from .problems import Unreadable


def surface(piece: Piece, finder: Finder | None) -> Lowered:
    """The document as it stands, with a node type for each node that has none of its own. Ready to be wired."""
    types = piece_types(piece, finder)
    specs = {}
    for name, node in piece.document.nodes.items():
        spec = types.get(node.op) if node.op.startswith(PREFIX) else None
        if node.each or node.loop is not None:
            spec = spec or known(node.op)
            spec = spec and framed(spec, node)
        if spec is not None:
            specs[name] = spec
    return Lowered(piece.document, specs=specs)


def piece_types(piece: Piece, finder: Finder | None) -> dict[str, NodeSpec]:
    """By op, the node types of the graphs that a graph uses as nodes; those that cannot be found are left out."""
    found = {}
    for op in dict.fromkeys(node.op for node in piece.document.nodes.values() if node.op.startswith(PREFIX)):
        try:
            found[op] = piece_type(op, piece.find(op, finder), finder)
        except Unreadable:
            continue
    return found


def piece_type(op: str, piece: Piece, finder: Finder | None) -> NodeSpec:
    """A graph as a node type: its inputs typed by what they feed, its outputs by what makes them."""
    document = piece.document
    inputs, outputs = {}, {}
    for name, declared in document.inputs.items():
        port = narrowest(piece.input_ports(name, finder)) or Port(name, Var(name))
        default = declared.default if "default" in declared.model_fields_set else REQUIRED
        inputs[name] = replace(port, name=name, default=default, help=words(declared.help) or port.help, title=declared.title, lazy=False)
    for name in document.outputs:
        type_ = piece.output_type(name, finder)
        outputs[name] = Output(name, type_ if type_ is not None else Var(name))
    name = op.removeprefix(PREFIX)
    return NodeSpec(
        op=op, version=1, title=document.title or name, help=document.about, tags=tuple(document.tags), inputs=inputs, outputs=outputs,
        function=piece_type, context=None, pure=True, lane="inline", several=True, describe=None, spaces=None, reference="", module="",
    )  # fmt: skip


def framed(spec: NodeSpec, node: NodeDoc) -> NodeSpec:
    """The type of a node that runs once for each of a list: it takes and gives lists. A loop takes and gives what one round does."""
    if node.loop is not None:
        return spec
    inputs = {name: replace(port, type=ListOf(port.type), default=REQUIRED) if name in node.each else port for name, port in spec.inputs.items()}
    outputs = {name: replace(output, type=ListOf(output.type)) for name, output in spec.outputs.items()}
    return replace(spec, inputs=inputs, outputs=outputs, lazy=False, late=False, generic=False, classes=(), describe=None, spaces=None)



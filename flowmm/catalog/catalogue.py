"""The catalogue: every node type as JSON, for the editor, `flowmm nodes` and other programs."""

from __future__ import annotations

from typing import Any

from ..sockets.handles import Handle
from ..sockets.types import Choice, ListOf, Plain, Socket, Type, Union, Var
from . import packs
from .spec import NodeSpec, Port


def catalogue() -> dict[str, Any]:
    """All node types and the packs they come from; built without torch."""
    return {"nodes": {spec.op: describe(spec) for spec in packs.all_specs()}, "packs": list_packs()}


def list_packs() -> list[dict[str, Any]]:
    return [
        {"name": p.name, "package": p.package, "distribution": p.distribution, "version": p.version, "errors": p.errors}
        for p in packs.packs().values()
    ]


def describe(spec: NodeSpec) -> dict[str, Any]:
    """One node type: help, inputs with types, ranges and defaults, outputs, source."""
    return {
        "op": spec.op, "version": spec.version, "title": spec.title, "help": spec.help, "tags": list(spec.tags),
        "reference": spec.reference, "module": spec.module, "pure": spec.pure, "lane": spec.lane,
        "inputs": {name: _port(port) for name, port in spec.inputs.items()},
        "outputs": {o.name: {"type": type_json(o.type), "shown": str(o.type), "help": o.help} for o in spec.outputs.values()},
    }  # fmt: skip


def _port(port: Port) -> dict[str, Any]:
    result: dict[str, Any] = {"type": type_json(port.type), "shown": str(port.type), "help": port.help}
    if not port.required:
        result["default"] = port.default
    if port.between:
        bounds = {"low": port.between.low, "high": port.between.high, "step": port.between.step}
        result["between"] = {name: value for name, value in bounds.items() if value is not None}
    if port.multiline:
        result["multiline"] = True
    if port.source:
        result["source"] = True
    if port.lazy:
        result["lazy"] = True
    if port.title:
        result["title"] = port.title
    return result


def type_json(type_: Type) -> dict[str, Any]:
    """A type as data; the inverse is never needed, since Python alone decides what fits."""
    if isinstance(type_, Plain):
        return {"kind": "plain", "name": str(type_)}
    if isinstance(type_, Choice):
        return {"kind": "choice", "values": list(type_.values)}
    if isinstance(type_, Socket):
        made = {"kind": "socket", "name": type_.cls.socket_name, "args": [type_json(arg) for arg in type_.args], "colour": type_.cls.colour}
        return made | ({"handle": True} if issubclass(type_.cls, Handle) else {})
    if isinstance(type_, ListOf):
        return {"kind": "list", "item": type_json(type_.item)}
    if isinstance(type_, Union):
        return {"kind": "union", "members": [type_json(member) for member in type_.members]}
    if isinstance(type_, Var):
        return {"kind": "variable", "name": type_.label}
    return {"kind": "space", "space": type_.kind, "facts": dict(type_.facts)}

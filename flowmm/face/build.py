"""Wires in code: what a node call returns while a graph is being built."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any


@dataclass(frozen=True, slots=True)
class Wired:
    """One output of a node, or an input of the graph ("input")."""

    node: str
    output: str


class Wires:
    """The outputs of a node that has several: by name, or unpacked in order."""

    def __init__(self, wires: dict[str, Wired]):
        self._wires = wires

    def __getattr__(self, name: str) -> Wired:
        try:
            return self._wires[name]
        except KeyError:
            raise AttributeError(f"there is no output {name!r}; there are {', '.join(self._wires)}") from None

    def __iter__(self) -> Iterator[Wired]:
        return iter(self._wires.values())


def written(value: Any) -> Any:
    """A value as the document writes it."""
    if isinstance(value, Wired):
        return {"from": f"{value.node}.{value.output}"}
    if isinstance(value, Wires):
        raise TypeError(f"a node with several outputs was given whole; choose one of {', '.join(value._wires)}")
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, (list, tuple)):
        if _holds_wire(value):
            return {"list": [written(item) for item in value]}
        return {"value": list(value)}
    if isinstance(value, dict):
        return {"value": value}
    raise TypeError(f"a {type(value).__name__} cannot be written into a graph; make it an input, and give it when running")


def _holds_wire(value: Any) -> bool:
    return isinstance(value, (Wired, Wires)) or (isinstance(value, (list, tuple)) and any(map(_holds_wire, value)))

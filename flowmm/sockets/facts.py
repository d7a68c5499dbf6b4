"""Facts: what is known of a value before it exists. Shape, dtype, and so bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ITEMSIZE = {
    "uint8": 1, "int8": 1, "bool": 1, "float16": 2, "bfloat16": 2, "int16": 2,
    "float32": 4, "int32": 4, "float64": 8, "int64": 8,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fact:
    """shape: sizes, None where unknown. dtype: a numpy or torch name. count: how many such values a list holds."""

    shape: tuple[int | None, ...] | None = None
    dtype: str | None = None
    count: int | None = 1
    weights: int = 0  # bytes of weights behind a handle

    @property
    def bytes(self) -> int | None:
        """Bytes the value takes, or None while a size is unknown."""
        if self.shape is None or None in self.shape or self.dtype not in ITEMSIZE or self.count is None:
            return None
        total = ITEMSIZE[self.dtype] * self.count
        for size in self.shape:
            total *= size
        return total


UNKNOWN = Fact()


@dataclass(frozen=True, slots=True)
class Known:
    """What a describe rule is given: `facts` of the wired inputs by port, `values` of the plain ones,
    `spaces` the known spaces by variable name.

    A rule returns one Fact, or a dict of Facts by output; what it cannot know it leaves out.
    """

    facts: dict[str, Fact] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    spaces: dict[str, Any] = field(default_factory=dict)

    def batch(self, port: str) -> int | None:
        shape = self.facts.get(port, UNKNOWN).shape
        return shape[0] if shape else None

    def shape(self, port: str, rank: int) -> tuple[int | None, ...]:
        """The shape at a port, or `rank` unknowns."""
        shape = self.facts.get(port, UNKNOWN).shape
        return shape if shape and len(shape) == rank else (None,) * rank

    def dtype(self, port: str) -> str | None:
        return self.facts.get(port, UNKNOWN).dtype

    def space(self, name: str, fact: str) -> Any:
        """One fact of a known space, or None."""
        space = self.spaces.get(name)
        return dict(space.facts).get(fact) if space is not None else None


def times(*sizes: int | None) -> int | None:
    """A product that is unknown when a factor is."""
    total = 1
    for size in sizes:
        if size is None:
            return None
        total *= size
    return total

"""Nodes for tests of the faces: small, and free of torch."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy

from flowmm.catalog import Context, node
from flowmm.sockets import Between, Help, Image, Score, Seed, Text

RAN: list[str] = []


@node(version=1)
def noise(seed: Seed, size: Annotated[int, Between(1, 64), Help("Side in pixels.")] = 8) -> Image:
    """Random pixels. Returns uint8 [1, 3, size, size]."""
    RAN.append("noise")
    return Image(numpy.random.default_rng(seed.value).integers(0, 255, (1, 3, size, size)).astype("uint8"))


@node(version=1)
def invert(image: Image) -> Image:
    """255 minus every pixel."""
    RAN.append("invert")
    return Image(255 - image.pixels)


@node(version=1)
def count(text: Text, kind: Literal["words", "letters"] = "words", out: float = 1.0) -> Score:
    """How long each text is, times `out`."""
    values = [[len(line.split() if kind == "words" else line) * out] for line in text]
    return Score(numpy.array(values, "float32"), text.lines, (kind,))


@node(version=1, lane="cpu")
def steps(total: int, context: Context) -> int:
    """Reports progress, and can be cancelled."""
    RAN.append("steps")
    for i in range(total):
        context.progress(i + 1, total)
    return total


@node(version=1)
def fails(x: int) -> int:
    """Always raises."""
    raise ValueError(f"x is {x}, which is never right")

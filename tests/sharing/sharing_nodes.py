"""Small nodes with plain arithmetic, that say when they ran."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import numpy

from flowmm import Context, node
from flowmm.sockets import Between, Image, Seed, Text

RAN: list[str] = []


class Both(NamedTuple):
    sum: int
    product: int


@node(version=1)
def add(a: int, b: Annotated[int, Between(-1000, 1000)] = 1) -> int:
    RAN.append(f"add {a} {b}")
    return a + b


@node(version=1)
def both(a: int, b: int) -> Both:
    return Both(a + b, a * b)


@node(version=1)
def total(items: list[int]) -> int:
    return sum(items)


@node(version=1)
def longer(text: Text, than: int) -> bool:
    return len(text.lines[0]) > than


@node(version=1)
def above(number: int, limit: int) -> bool:
    return number >= limit


@node(version=1)
def shout(text: Text, mark: Literal["!", "?"] = "!") -> Text:
    RAN.append("shout")
    return Text(tuple(line.upper() + mark for line in text))


@node(version=1)
def noise(seed: Seed, size: int, context: Context) -> Image:
    context.progress(1, 1)
    return Image(numpy.random.default_rng(seed.value).integers(0, 255, (1, 3, size, size)).astype("uint8"))


@node(version=1)
def invert(image: Image) -> Image:
    return Image(255 - image.pixels)


@node(version=1)
def height(image: Image) -> int:
    return image.height

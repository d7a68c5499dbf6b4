"""Small nodes with plain arithmetic, that say when they ran."""

from __future__ import annotations

import threading
from typing import Annotated, Literal, NamedTuple

import numpy

from flowmm import Context, node
from flowmm.sockets import Between, Image, Seed, Text

RAN: list[str] = []
ENTERED, GATE = threading.Event(), threading.Event()


class Both(NamedTuple):
    sum: int
    product: int


@node(version=1)
def add(a: int, b: int = 1) -> int:
    RAN.append(f"add {a} {b}")
    return a + b


@node(version=1)
def both(a: int, b: int) -> Both:
    return Both(a + b, a * b)


@node(version=1)
def total(items: list[int]) -> int:
    return sum(items)


@node(version=1)
def glued(words: list[str]) -> str:
    return "".join(words)


@node(version=1)
def counted(of: Annotated[int | list[int], Between(0, 9)]) -> int:
    return len(of) if isinstance(of, list) else 1


@node(version=1)
def write(number: int, sign: str = "#") -> str:
    return sign * number


@node(version=1)
def label(text: str, number: int | None = None) -> str:
    return f"{text}:{number}"


@node(version=1)
def shout(text: Text, mark: Literal["!", "?"] = "!") -> Text:
    RAN.append("shout")
    return Text(tuple(line.upper() + mark for line in text))


@node(version=1)
def longer(text: Text, than: int) -> bool:
    return len(text.lines[0]) > than


@node(version=1)
def noise(seed: Seed, size: int, context: Context) -> Image:
    context.progress(1, 1)
    return Image(numpy.random.default_rng(seed.value).integers(0, 255, (1, 3, size, size)).astype("uint8"))


@node(version=1)
def invert(image: Image, strength: float = 1.0) -> Image:
    RAN.append("invert")
    return Image(255 - image.pixels)


@node(version=1)
def height(image: Image) -> int:
    return image.height


@node(version=1)
def numbers(upto: int) -> list[int]:
    return list(range(upto))


@node(version=1)
def reciprocal(of: int) -> float:
    return 1 / of


@node(version=1)
def above(a: int, than: int) -> bool:
    return a > than


@node(version=1)
def steps(count: int, context: Context) -> int:
    for step in range(count):
        context.progress(step, count)
    context.progress(count, count)
    return count


@node(version=1, lane="cpu")
def wait(count: int) -> int:
    ENTERED.set()
    GATE.wait(30)
    return count

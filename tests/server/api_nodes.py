"""Nodes that need no torch, for the tests of the running server: every kind of value, waiting, failing, previews."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, NamedTuple

from flowmm import Context, node
from flowmm.sockets import Between, Image, Labels, Mask, Score, Seed, T, Text


class Kinds(NamedTuple):
    whole: int
    huge: int
    number: float
    flag: bool
    text: str
    numbers: list[int]
    texts: Text
    seed: Seed
    score: Score
    labels: Labels
    image: Image
    batch: Image
    floats: Image
    mask: Mask
    pictures: list[Image]


@node(version=1)
def add(a: int, b: int = 1) -> int:
    return a + b


@node(version=1)
def total(numbers: list[int]) -> int:
    return sum(numbers)


@node(version=1)
def shout(text: str) -> str:
    """In capital letters."""
    return text.upper()


@node(version=1)
def same(value: T) -> T:
    return value


@node(version=1)
def scaled(a: Annotated[int, Between(0, 10)]) -> int:
    return a * 100


class Multiplied(NamedTuple):
    product: int


@node(version=2)
def multiplied(number: int, factor: int = 1) -> Multiplied:
    """A number, some times."""
    return Multiplied(number * factor)


@multiplied.migrate(1, result="product")  # version 1 took `times` and gave `result`
def _(inputs):
    return {("factor" if port == "times" else port): value for port, value in inputs.items()}


@node(version=1)
def paint(seed: int, size: int = 8) -> Image:
    import numpy

    return Image(numpy.random.default_rng(seed).integers(0, 256, (1, 3, size, size), "uint8"))


@node(version=1)
def mean(image: Image) -> float:
    return float(image.as_float().mean())


@node(version=1)
def dtype(image: Image) -> str:
    return f"{image.pixels.dtype} {list(image.pixels.shape)}"


@node(version=1)
def covered(mask: Mask) -> float:
    return float(mask.as_float().mean())


@node(version=1)
def mirrored(image: Image) -> Image:
    import numpy

    return Image(numpy.ascontiguousarray(image.pixels[..., ::-1]))


@node(version=1)
def sizes(images: list[Image]) -> list[int]:
    return [image.width * 1000 + image.height for image in images]


@node(version=1)
def shown(image: Image | list[Image]) -> list[int]:
    """How many pictures each value of a list is, or the one that is none."""
    return [len(one) for one in (image if isinstance(image, list) else [image])]


@node(version=1)
def glued(words: list[str]) -> str:
    return "+".join(words)


@node(version=1)
def lengths(text: Text) -> list[int]:
    return [len(line) for line in text]


@node(version=1)
def kinds(seed: int) -> Kinds:
    """One value of every kind a host knows."""
    import numpy

    random = numpy.random.default_rng(seed)
    table = random.normal(size=(2, 3)).astype("float32")
    pixels = random.integers(0, 256, (3, 3, 5, 7), "uint8")
    return Kinds(
        seed, 2**200 + seed, seed / 7, seed % 2 == 0, f"{seed} ü 文字", [seed, 2, 3], Text(("one", "two")), Seed(seed),
        Score(table, ("a", "b"), ("x", "y", "z")), Labels((("cat", "dog"),), numpy.array([[0.75, 0.25]], "float32")), Image(pixels[:1]), Image(pixels),
        Image(random.random((1, 3, 4, 4)).astype("float32")), Mask(pixels[:1, :1]), [Image(pixels[:1]), Image(pixels[1:, :, :2])],
    )  # fmt: skip


@node(version=1)
def picky(a: int) -> int:
    raise ValueError(f"{a} is not a number this node likes")


@node(version=1)
def not_seven(a: int) -> int:
    if a == 7:
        raise ValueError("it is seven")
    return a


@node(version=1, lane="cpu")
def wait_for(began: str, end: str, context: Context, number: int = 0) -> int:
    """Writes one file and waits for another."""
    Path(began).touch()
    while not Path(end).exists():
        time.sleep(0.01)
        context.check()
    return number


@node(version=1, lane="cpu")
def write(words: list[str], context: Context) -> str:
    """A text that grows, each word a preview."""
    for i in range(len(words)):
        time.sleep(0.06)  # longer than two previews may follow each other
        context.progress(i + 1, len(words) + 1, lambda i=i: Text((" ".join(words[: i + 1]),)))
    return " ".join(words)


@node(version=1, lane="cpu")
def sketch(steps: int, context: Context) -> Image:
    """A picture that comes out of the noise, each step a preview."""
    import numpy

    for step in range(steps):
        time.sleep(0.06)
        context.progress(step + 1, steps + 1, lambda step=step: Image(numpy.full((1, 3, 600, 900), step, "uint8")))
    return Image(numpy.full((1, 3, 4, 4), steps, "uint8"))

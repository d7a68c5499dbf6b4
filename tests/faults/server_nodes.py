"""Nodes for a server under load: they take steps, give large values, fail, linger, and write down that they ran."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import numpy

from flowmm import Context, node
from flowmm.sockets import Image, Text


@node(version=1, lane="cpu")
def steps(seed: int, context: Context, count: int = 5, pause: float = 0.002) -> int:
    for step in range(count):
        time.sleep(pause)
        context.progress(step + 1, count)
    return seed * 7 + count


@node(version=1, lane="cpu")
def previews(seed: int, context: Context, count: int = 100, pause: float = 0.06) -> int:
    """Noise at every step, so that no preview is small."""
    dice = numpy.random.default_rng(seed)
    for step in range(count):
        time.sleep(pause)
        context.progress(step + 1, count, lambda: Image(dice.integers(0, 255, (1, 3, 128, 128)).astype("uint8")))
    return seed


def text_of(seed: int) -> str:
    return f"{seed} and so on, " * 8000


@node(version=1)
def large(seed: int) -> Text:
    """More than 64 KB, which no cache keeps in a database."""
    return Text((text_of(seed),))


@node(version=1)
def picture(seed: int, side: int = 128) -> Image:
    return Image(numpy.random.default_rng(seed).integers(0, 255, (1, 3, side, side)).astype("uint8"))


@node(version=1)
def odd(seed: int) -> int:
    raise ValueError(f"{seed} is not a number this node likes")


@node(version=1, lane="cpu")
def linger(seed: int, context: Context, seconds: float = 0.2) -> int:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.005)
        context.check()
    return seed * 3


@node(version=1)
def brightness(image: Image, seed: int) -> int:
    return int(image.pixels.sum()) + seed


@node(version=1)
def write_down(path: str, line: str) -> str:
    """One line more in a file each time it runs."""
    with open(path, "a") as file:
        file.write(f"{line}\n")
    return line


@node(version=1, lane="cpu")
def slow(seed: int, began: str) -> int:
    """Takes so long that its value is worth keeping on the disk."""
    time.sleep(0.05)
    Path(began).touch()
    return seed + 1


@node(version=1)
def killed(seed: int) -> int:
    """As the system does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(20)
    return seed


@node(version=1, lazy=("yes", "no"))
def leaving_switch(yes: int = 1, no: int = 2) -> int:
    """Switches run in the server's own process."""
    sys.exit(3)

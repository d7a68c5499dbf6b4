"""Nodes that tell what ran, wait to be let go, and fail; for the scenarios of the engine."""

from __future__ import annotations

import threading
import time
import weakref
from pathlib import Path
from typing import NamedTuple

from flowmm import Context, node
from flowmm.catalog import Cancelled
from flowmm.sockets import Image, Latent, NotAccepted, Score, T, Text

RAN: list[str] = []  # every call of a node that counts, in order
BOX: dict[str, object] = {}  # what the world outside holds right now, for impure nodes
STARTED: dict[str, threading.Event] = {}
GATES: dict[str, threading.Event] = {}
ALIVE: list[weakref.ref] = []


def gate(name: str) -> tuple[threading.Event, threading.Event]:
    """For `gated`: set when the node has begun, and to be set to let it go."""
    STARTED[name], GATES[name] = threading.Event(), threading.Event()
    return STARTED[name], GATES[name]


def until(condition) -> None:
    """Wait for something that happens in another thread or process."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)


class Divided(NamedTuple):
    quotient: int
    rest: int


@node(version=1)
def add(a: int, b: int = 1) -> int:
    RAN.append("add")
    return a + b


@node(version=1)
def half(a: float) -> float:
    RAN.append("half")
    return a / 2


@node(version=1)
def divide(a: int, by: int = 10) -> Divided:
    RAN.append("divide")
    return Divided(*divmod(a, by))


@node(version=1)
def total(numbers: list[int]) -> int:
    RAN.append("total")
    return sum(numbers)


@node(version=1)
def total_deep(rows: list[list[int]]) -> int:
    RAN.append("total_deep")
    return sum(map(sum, rows)) * 100 + len(rows)


@node(version=1)
def maybe_total(numbers: list[int] | None = None) -> int:
    return sum(numbers or [])


@node(version=1)
def shout(text: str) -> str:
    RAN.append(f"shout {text}")
    return text.upper()


@node(version=1)
def both(whole: int, number: float) -> str:
    return f"{whole!r} {number!r}"


@node(version=1)
def shown(value: bool | int | float | str) -> str:
    return repr(value)


@node(version=1, lazy=("yes", "no"))
def choose(flag: bool, yes: T, no: T) -> T:
    return yes if flag else no


@node(version=1, pure=False)
def look(at: str) -> str:
    RAN.append(f"look {at}")
    return BOX[at]


@node(version=1, pure=False)
def is_open(at: str) -> bool:
    return BOX[at] == "open"


@node(version=1, lazy=("yes",))
def choose_badly(flag: bool, yes: int) -> int:
    return 3


@node(version=1, pure=False)
def trim(text: str) -> str:
    RAN.append("trim")
    return text.strip()


@node(version=1, pure=False)
def listing(folder: str, pattern: str = "*") -> list[str]:
    RAN.append(f"listing {pattern}")
    return sorted(path.name for path in Path(folder).glob(pattern))


@node(version=1)
def joined(lines: list[str]) -> str:
    RAN.append("joined")
    return "+".join(lines)


@node(version=1)
def odd_one(a: int) -> int:
    RAN.append("odd_one")
    raise ValueError(f"{a} is not a number this node likes")


@node(version=1, lane="cpu")
def gated(name: str, a: int, context: Context) -> int:
    RAN.append(f"gated {name}")
    STARTED[name].set()
    while not GATES[name].wait(0.005):
        context.check()
    return a * 2


@node(version=1, lane="cpu")
def gated_failure(name: str) -> int:
    STARTED[name].set()
    GATES[name].wait(10)
    raise ValueError(f"{name} from the start")


@node(version=1, lane="files")
def meet(barrier: str, a: int) -> int:
    """Returns only once all who meet at the barrier are here at the same time."""
    BOX[barrier].wait()
    return a


@node(version=1, lane="cpu")
def steps(count: int, context: Context, pause: float = 0.0) -> int:
    import numpy

    for step in range(count):
        time.sleep(pause)
        context.progress(step + 1, count, lambda: Image(numpy.zeros((1, 3, 4, 4), "uint8")))
    return count


@node(version=1, lane="cpu")
def steps_until_cancelled(marker: str, context: Context) -> int:
    """Writes the marker when it begins, and again when it was cancelled."""
    Path(marker).write_text("began")
    try:
        while True:
            time.sleep(0.01)
            context.progress(1, 1000)
    except Cancelled:
        Path(marker).write_text("cancelled")
        raise


@node(version=1)
def big(size: int) -> Score:
    import numpy

    return _watched(Score(numpy.full((size, 1), 1.0)))


@node(version=1)
def bigger(score: Score) -> Score:
    return _watched(Score(score.values + 1))


@node(version=1)
def sum_of(score: Score) -> float:
    return float(score.values.sum())


def _watched(score: Score) -> Score:
    ALIVE.append(weakref.ref(score))
    RAN.append(f"alive {sum(ref() is not None for ref in ALIVE)}")
    return score


@node(version=1)
def words(text: Text) -> list[str]:
    return str(text).split()


@node(version=1)
def refuse(text: str) -> str:
    raise NotAccepted(f"a colour is wanted, not {text!r}")


@node(version=1)
def look_up(text: str) -> str:
    return {}[text]


@node(version=1)
def run_out(text: str) -> str:
    raise MemoryError


@node(version=1)
def lie(text: str) -> Text:
    return text


@node(version=1)
def odd_text(text: str) -> str:
    raise RuntimeError(f"two\n  lines about {text}")


class Sealed(Text):
    """A text that no codec knows."""


@node(version=1)
def secretive(text: str) -> Text:
    return Sealed((text,))


@node(version=1)
def noise(seed: int) -> Latent:
    import torch

    return Latent(torch.randn((1, 4, 64, 64), generator=torch.Generator().manual_seed(seed)))


@node(version=1)
def doubled(latent: Latent) -> Latent:
    return Latent((latent.values * 2).to(latent.values.dtype))


@node(version=1)
def threads_inline(a: int) -> int:
    import torch

    return torch.get_num_threads()


@node(version=1, lane="cpu")
def threads_of_lane(a: int) -> int:
    import torch

    return torch.get_num_threads()


@node(version=1)
def mean_of(latent: Latent) -> float:
    return float(latent.values.double().mean())

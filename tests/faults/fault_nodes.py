"""Nodes that take their process down, or never end."""

from __future__ import annotations

import os
import time
from pathlib import Path

from flowmm import Context, node


@node(version=1)
def add(a: int, b: int = 1) -> int:
    return a + b


@node(version=1, lane="cpu")
def wait_for(began: str, end: str, context: Context, number: int = 0) -> int:
    """Writes one file and waits for another."""
    Path(began).write_text(str(os.getpid()))
    while not Path(end).exists():
        time.sleep(0.01)
        context.check()
    return number


@node(version=1, lane="cpu")
def hang(began: str) -> int:
    """Never looks whether it was cancelled."""
    Path(began).touch()
    while True:
        time.sleep(1)


@node(version=1)
def die(signal: int) -> int:
    os.kill(os.getpid(), signal)
    time.sleep(20)  # another thread may be the one that gets the signal
    return 0


@node(version=1)
def leave(status: int) -> int:
    os._exit(status)


@node(version=1)
def first(numbers: list[int]) -> int:
    return numbers[0] if numbers else 0

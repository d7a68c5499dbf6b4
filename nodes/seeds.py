"""Seeds: where drawing goes on, and how many it starts from."""

from __future__ import annotations

from typing import Annotated

from flowmm.catalog import node
from flowmm.sockets import Between, Fact, Help, Known, Seed
from flowmm.sockets.values import LARGEST_SEED


@node(version=1, title={"en": "Next seed", "zh": "下一个种子"}, tags=("logic",))
def next(seed: Seed, *, by: Annotated[int, Between(1, 1_000_000), Help("How far on; a batch of so many draws from those between")] = 1) -> Seed:
    """The seed that follows, for another try in a loop.

    seed: 0…2⁵³−1. Returns seed + by; after the largest comes 0.

    Reference: none, the seeds of a batch are counted in the same way.
    """
    return _after(seed, by)


@node(version=1, title={"en": "Several seeds", "zh": "多个种子"}, tags=("logic",))
def several(seed: Seed, *, count: Annotated[int, Between(1, 1000), Help("Seeds made")] = 4) -> list[Seed]:
    """Seeds in a row, for a node that runs once for each.

    seed: the first. Returns seed, seed + 1 … as many as `count`: those that a batch of so many would draw from.

    Reference: Python's range.
    """
    return [_after(seed, by) for by in range(count)]


@several.describe
def _(known: Known) -> Fact:
    return Fact(count=known.values.get("count"))


def _after(seed: Seed, by: int) -> Seed:
    return Seed((seed.value + by) % (LARGEST_SEED + 1))

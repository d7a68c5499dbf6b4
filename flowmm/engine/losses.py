"""What a failed node takes along: what needs it is given up, and what only that needed is not computed any more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .run import Run


def hopeful(run: Run) -> set[int]:
    """The nodes that something wanted, and not given up, can still come of."""
    lost = _lost(run)
    found = [i for i in run.wanted if i not in lost]
    seen = set(found)
    for i in found:  # grows: what they wait for, backwards
        for producer in _awaited(run, i):
            if producer not in seen:
                seen.add(producer)
                found.append(producer)
    return seen


def _lost(run: Run) -> set[int]:
    """The broken nodes, and those that will have neither value nor key without one of them."""
    found = list(run.broken)
    seen = set(found)
    for i in found:  # grows: what waits for them, forwards
        waiting = list(run.consumers.get(i, ()))
        if run.identities[i] is None:
            waiting += (follower for follower in run.program.followers[i] if run.unkeyed.get(follower) and i in run._above(follower))
            waiting += run.adopters.get(i, ())
        for follower in waiting:
            if follower not in seen:
                seen.add(follower)
                found.append(follower)
    return seen


def _awaited(run: Run, i: int) -> Iterable[int]:
    """The nodes whose values, or keys, a node waits for now."""
    if run.waiting[i]:
        return run._sources(i)
    if i in run.branch:
        return run.branch[i][1]
    return run._above(i) if run.unkeyed.get(i) else ()

"""Logic: choosing between branches, of which only the chosen one runs; counting rounds."""

from __future__ import annotations

from typing import Annotated

from flowmm.catalog import node
from flowmm.sockets import Help, T


@node(version=1, title={"en": "Reroute", "zh": "转接"}, tags=("logic",), hands_on=True)
def reroute(value: T) -> T:
    """A bend in a wire. It costs nothing: graphs are run without it.

    Returns what it is given.

    Reference: none, for the eye only.
    """
    return value


@node(version=1, title={"en": "Constant", "zh": "常量"}, tags=("logic",), hands_on=True)
def constant(value: T) -> T:
    """A value that several nodes read: a number, a text, yes or no. It costs nothing: graphs are run as if it were written at each of them.

    Returns the value.

    Reference: none, the engine leaves it out.
    """
    return value


@node(version=1, title={"en": "Switch", "zh": "条件选择"}, tags=("logic",), lazy=("then", "otherwise"))
def switch(condition: bool, then: T, otherwise: T) -> T:
    """One of two values; whatever makes the other one does not run.

    Returns `then` if the condition holds, else `otherwise`.

    Reference: Python's conditional expression.
    """
    return then if condition else otherwise


@node(version=1, title={"en": "Count", "zh": "计数"}, tags=("logic",))
def count(so_far: Annotated[int, Help("How many there were before")] = 0) -> int:
    """One more than before: carried by a loop, the number of its rounds.

    Returns so_far + 1.

    Reference: Python itertools.count.
    """
    return so_far + 1

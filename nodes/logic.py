"""Logic: choosing between branches, of which only the chosen one runs."""

from __future__ import annotations

from flowmm.catalog import node
from flowmm.sockets import T


@node(version=1, title={"en": "Switch", "zh": "条件选择"}, tags=("logic",), lazy=("then", "otherwise"))
def switch(condition: bool, then: T, otherwise: T) -> T:
    """One of two values; whatever makes the other one does not run.

    Returns `then` if the condition holds, else `otherwise`.

    Reference: Python's conditional expression.
    """
    return then if condition else otherwise

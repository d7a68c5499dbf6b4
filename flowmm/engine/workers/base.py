"""What a worker is: it runs node functions on its lanes, one device a worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ...catalog import Context, NodeSpec


class NodeFailed(RuntimeError):
    """A node raised, or its worker died. The message names the node and says what happened, in one sentence."""

    def __init__(self, node: str, op: str, message: str):
        self.node, self.op, self.message = node, op, message
        super().__init__(f"{node} ({op}): {message}")


class WorkerLost(RuntimeError):
    """The worker's process ended while it held a task."""


@dataclass(slots=True, eq=False)
class Task:
    """One node to run. done(outputs, error, seconds) is called exactly once, from any thread.

    names: by port, what the content of an input is known by (for a list of wires a list of names, None where there
    is no name), so that a worker process that still holds the value need not be sent it again. key: of the outputs;
    None for a late node, whose outputs are then given their digests by the worker that made them, if it is another
    process. watched: whether anyone looks at progress and previews.
    """

    spec: NodeSpec
    kwargs: dict[str, Any]
    key: bytes | None
    names: dict[str, Any]
    node: str
    report: Callable[[int, int, Any], None]
    cancelled: Callable[[], bool]
    priority: Callable[[], int]
    done: Callable[[tuple | None, BaseException | None, float], None]
    watched: bool = True
    digests: list[bytes] | None = None


class Worker(Protocol):
    """remote: values come back encoded, and only pure nodes are sent."""

    device: str
    remote: bool

    def submit(self, task: Task) -> None: ...

    def close(self) -> None: ...


def call(spec: NodeSpec, kwargs: dict[str, Any], context: Context | None) -> tuple:
    """Run a node's function; its outputs as a tuple, their classes checked against the signature."""
    if spec.context is not None:
        kwargs[spec.context] = context
    result = spec.function(**kwargs)
    outputs = tuple(result) if spec.several else (result,)
    for value, expected, name in zip(outputs, spec.classes, spec.outputs):
        if expected is not None and not isinstance(value, expected):
            raise TypeError(f"its output `{name}` is a {type(value).__name__}, not a {expected.__name__}, as it declares")
    return outputs

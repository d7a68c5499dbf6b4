"""What a worker is: it runs node functions on its lanes, one device a worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from ...catalog import Context, NodeSpec
from ...catalog.code import Code, of_function, of_module

TORCH = frozenset(("torch", "torchvision", "torchaudio", "transformers", "diffusers", "accelerate", "peft", "timm", "open_clip"))


class NodeFailed(RuntimeError):
    """A node raised, or its worker died. The message names the node and says what happened, in one sentence.

    within: of a node inside a frame, its round and place in it, as "[3]/paint". also: other nodes of the same run that failed. kept: the
    outputs that needed none of them, by name; result: the same as a Result, where a graph was run.
    """

    within = ""

    def __init__(self, node: str, op: str, message: str):
        self.node, self.op, self.message = node, op, message
        self.also: list[NodeFailed] = []
        self.kept: dict[str, Any] = {}
        self.result: Any = None
        super().__init__(f"{node} ({op}): {message}")

    @property
    def worker_lost(self) -> bool:
        """Whether the worker died of it, or with it."""
        cause: BaseException | None = self
        while cause is not None and not isinstance(cause, WorkerLost):
            cause = cause.__cause__
        return cause is not None


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


@lru_cache(4096)
def code_of(spec: NodeSpec) -> Code:
    """The code a node runs: its module's, or for a node of a notebook or prompt its function's. As it was when first asked for."""
    found = of_module(spec.module)
    return found if found.known else of_function(spec.function)


@lru_cache(4096)
def uses_torch(spec: NodeSpec) -> bool:
    """Whether a node computes with torch, so that device, threads and speed mode decide its last bits."""
    return not TORCH.isdisjoint(code_of(spec).libraries)


def set_threads(threads: int) -> None:
    """The numeric class promises a thread count; torch keeps one for each thread, and a node may have set another."""
    import torch

    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


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

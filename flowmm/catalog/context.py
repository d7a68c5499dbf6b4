"""Context: what a node may ask of the run it is part of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Cancelled(Exception):
    """The run was cancelled; raised inside a node at its next step."""


class Context:
    """Injected into a node's parameter annotated `Context`; never part of a key.

    device: the device name the node runs on ("cpu", "cuda:0"). dtype: of the weights its models are built in. Outside a run a node gets a plain Context,
    so calling a node function directly just works.
    """

    def __init__(
        self,
        node: str = "",
        device: str = "cpu",
        report: Callable[[int, int, Any], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        secrets: Callable[[str], str | None] | None = None,
        dtype: str = "float32",
    ):
        self.node = node
        self.device = device
        self._report = report
        self._cancelled = cancelled
        self._secrets = secrets
        self.dtype = dtype

    def check(self) -> None:
        """Raise Cancelled if the run was cancelled."""
        if self._cancelled is not None and self._cancelled():
            raise Cancelled(self.node)

    def progress(self, done: int, total: int, preview: Any = None) -> None:
        """Say that `done` of `total` steps are done; also a point where cancelling takes effect.

        preview: a function without arguments that makes an Image or a Text, called only when someone is looking.
        """
        self.check()
        if self._report is not None:
            self._report(done, total, preview)

    def load(self, handle: Any) -> Any:
        """The module (or tokenizer, processor, scheduler) a handle stands for, on this node's device."""
        from ..models.residency import residency

        return residency(self.device, self.dtype).load(handle)

    def generators(self, seed: int, batch: int) -> list:
        """One CPU torch.Generator an item: item i draws from seed + i, alone or in company."""
        import torch

        return [torch.Generator("cpu").manual_seed(seed + i) for i in range(batch)]

    def secret(self, name: str) -> str:
        """A secret by name, from the environment of the person who runs; never written to a graph, key or log."""
        value = self._secrets(name) if self._secrets else None
        if value is None:
            raise KeyError(f"the secret {name!r} is not set")
        return value

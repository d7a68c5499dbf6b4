"""Residency: which components are on a device now, and who leaves when it is full.

A component is known by fingerprint, part, family and patches, whichever node asked. Nobody changes a loaded module,
so sharing one is safe. The least recently used leaves first; on a GPU it moves to host memory, on the CPU it is let go.
"""

from __future__ import annotations

import dataclasses
import gc
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..machine import device_memory
from ..sockets import Handle
from ..sockets.facts import ITEMSIZE
from .families import build
from .source import SourceError, component_of

SHARE = 0.6  # of the device's memory that weights may take
LOADS: Counter[str] = Counter()  # weights read from disk in this process, by family

Identity = tuple[str, str, str, Any]
_building = threading.RLock()  # the libraries' loaders change global state while they run


class OutOfMemory(MemoryError):
    """A component does not fit, even alone; the message says how much it needs."""


@dataclass(slots=True)
class _Resident:
    thing: Any
    bytes: int
    pins: int = 0
    base: _Resident | None = None  # what a patched module shares its weights with


class Residency:
    """The components on one device, in one dtype. loaded: how many times weights were read from disk for it."""

    def __init__(self, device: str, budget: int | None = None, dtype: str = "float32"):
        self.device, self.dtype = device, dtype
        self.loaded = 0
        self._budget = budget
        self._here: OrderedDict[Identity, _Resident] = OrderedDict()
        self._host: OrderedDict[Identity, _Resident] = OrderedDict()  # moved out of a GPU
        self._lock = threading.RLock()

    @property
    def budget(self) -> int:
        """Bytes of weights kept on the device."""
        if self._budget is None:
            self._budget = int(device_memory(self.device) * SHARE)
        return self._budget

    @property
    def bytes(self) -> int:
        """Bytes of weights on the device now."""
        return sum(resident.bytes for resident in self._here.values())

    def is_resident(self, handle: Handle) -> bool:
        """Whether using the handle needs no loading and no moving."""
        return _identity(handle) in self._here

    def load(self, handle: Handle) -> Any:
        """The module (or tokenizer, processor, schedule config) a handle stands for, shared by everyone who asks.

        Raises SourceError when the weights are gone or have changed, OutOfMemory when they do not fit.
        """
        return self._resident(handle).thing

    @contextmanager
    def pinned(self, handle: Handle) -> Iterator[Any]:
        """Like load; until the block ends nothing else pushes it out."""
        with self._lock:
            resident = self._resident(handle)
            resident.pins += 1
        try:
            yield resident.thing
        finally:
            with self._lock:
                resident.pins -= 1

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._here.clear()
            self._host.clear()
        gc.collect()

    def _resident(self, handle: Handle) -> _Resident:
        identity = _identity(handle)
        with self._lock:
            if handle.layout == "live":  # its owner keeps it, or lets it go
                return self._bring(handle, identity)
            if identity not in self._here:
                self._here[identity] = self._bring(handle, identity)
            self._here.move_to_end(identity)
            return self._here[identity]

    def _bring(self, handle: Handle, identity: Identity) -> _Resident:
        if not handle.has_weights:
            with _building:
                return _Resident(build(handle), 0)
        if handle.patches:
            return self._patch(handle)
        part = component_of(handle)
        if part.fingerprint != handle.fingerprint:  # else its results would be cached under the old weights' key
            raise SourceError(f"{part} changed after the run began; run again")
        if part.layout == "live":
            return _Resident(build(handle), 0)
        needed = part.weights.loaded_bytes * ITEMSIZE[self.dtype] // ITEMSIZE["float32"]
        self._make_room(needed)
        for last in (False, True):
            try:
                return _Resident(self._fetch(handle, identity), needed)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                if last:
                    free = device_memory(self.device) / 2**30
                    raise OutOfMemory(f"{part} needs {needed / 2**30:.2f} GB on {self.device}, which has {free:.1f} GB and could not "
                                      "make room: close other programs or take a smaller model") from error  # fmt: skip
            self._make_room(self.budget)
        raise AssertionError("unreachable")

    def _patch(self, handle: Handle) -> _Resident:
        """A module that shares its weights with the unpatched one, which stays as long as this does."""
        from .patches import apply, size

        base = self._resident(dataclasses.replace(handle, patches=()))
        base.pins += 1
        try:
            self._make_room(size(handle.patches))
            with _building:
                return _Resident(apply(base.thing, handle), size(handle.patches), base=base)
        except BaseException:
            base.pins -= 1
            raise

    def _fetch(self, handle: Handle, identity: Identity) -> Any:
        resident = self._host.pop(identity, None)
        if resident is None:
            with _building:
                module = build(handle, self.dtype)
            self.loaded += 1
            LOADS[handle.family] += 1
        else:
            module = resident.thing
        return module if self.device == "cpu" else module.to(self.device)

    def _make_room(self, needed: int) -> None:
        """Move out the least recently used until `needed` more bytes fit the budget, or only pinned ones are left."""
        leaving = [identity for identity, resident in self._here.items() if resident.bytes and not resident.pins]
        moved = False
        while leaving and self.bytes + needed > self.budget:
            identity = leaving.pop(0)
            resident = self._here.pop(identity)
            moved = True
            if resident.base is not None:
                resident.base.pins -= 1
            elif self.device != "cpu":
                self._host[identity] = _Resident(resident.thing.to("cpu"), resident.bytes)
        while sum(resident.bytes for resident in self._host.values()) > device_memory("cpu") * SHARE:
            self._host.popitem(last=False)
        if moved:
            gc.collect()
            if self.device.startswith("cuda"):
                import torch

                torch.cuda.empty_cache()


def _identity(handle: Handle) -> Identity:
    return handle.fingerprint, handle.component, handle.family, handle.patches


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch or Python says that memory ran out."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text


_residencies: dict[tuple[str, str], Residency] = {}
_lock = threading.Lock()


def residency(device: str, dtype: str = "float32") -> Residency:
    """The residency of a device and a dtype in this process."""
    with _lock:
        if (device, dtype) not in _residencies:
            _residencies[device, dtype] = Residency(device, dtype=dtype)
        return _residencies[device, dtype]


@contextmanager
def using(context: Any, handle: Handle) -> Iterator[Any]:
    """For nodes: what a handle stands for, on the node's device, without gradients, and not pushed out meanwhile."""
    import torch

    with residency(context.device, context.dtype).pinned(handle) as thing, torch.no_grad():
        yield thing

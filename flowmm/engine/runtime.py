"""The runtime: what runs share. Tiers, single flight, the worker of a device, the numeric class."""

from __future__ import annotations

import re
import threading
from collections import deque
from functools import cache
from pathlib import Path
from typing import Any

from ..graph.problems import GraphError, Problem
from ..home import home
from ..machine import available_cores, device_model, total_memory
from ..store.codec import Unstorable, encode
from ..store.disk import BUDGET, DiskTier
from ..store.memory import MemoryTier
from .events import Reporter
from .workers.inline import InlineWorker

DTYPES = ("float32", "bfloat16", "float16")
MEMORY_SHARE = 0.25  # of the machine's memory, for cached values


class Runtime:
    """One device's worker and the cache in front of it.

    device: "cpu", "cuda" or "cuda:N". separate: run nodes in a process of their own, so that a crash there costs one
    run and this process never imports torch. cache: its folder, or None for memory only. threads: torch's threads
    for one operation; other counts give other last bits, so it is part of the numeric class, as is dtype: float32, bfloat16
    or float16, what the weights are computed in.
    """

    def __init__(
        self, device: str = "cpu", *, separate: bool = False, cache: Path | None | str = "", threads: int = 0, dtype: str = "float32",
        memory_budget: int = 0, disk_budget: int = BUDGET,
    ):  # fmt: skip
        if dtype not in DTYPES:
            raise GraphError([Problem("no-such-dtype", f"weights cannot be computed in `{dtype}`", fix=f"Give {', '.join(DTYPES)}.")])
        self.device, self.dtype = device, dtype
        self.threads = threads or available_cores()
        self.memory = MemoryTier(memory_budget or int(total_memory() * MEMORY_SHARE))
        self._notes: deque[str] = deque(maxlen=100)
        folder = home() / "cache" if cache == "" else cache
        self.disk = DiskTier(Path(folder), disk_budget, self._notes.append) if folder is not None else None
        self._flights: dict[bytes, list] = {}
        self._lock = threading.Lock()
        if separate:
            from .workers.process import ProcessWorker

            self.worker = ProcessWorker(device, self.threads, self._notes.append, dtype)
        else:
            self.worker = InlineWorker(device, self.threads, dtype)

    @property
    def numeric(self) -> str:
        """The numeric class: what decides the last bits of a float."""
        return f"{device_model(self.device)}/{self.dtype}/exact/{self.threads} threads"

    def join(self, key: bytes, run: Any, i: int) -> list | None:
        """Take a key on, or wait for who has it: the flight to land, or None if the result will come to run.inbox."""
        mine = [(run, i)]
        with self._lock:
            flight = self._flights.setdefault(key, mine)
            if flight is mine:
                return mine
            flight.append((run, i))
            return None

    def land(self, key: bytes, outputs: tuple | None, error: BaseException | None, seconds: float, owner: Any) -> None:
        """Hand a finished key to every run that waits for it, but not to the owner, who knows already."""
        with self._lock:
            flight = self._flights.pop(key)
        if owner is not None and len(flight) == 1:
            return
        for run, i in flight:
            if run is not owner:
                run.inbox.put((i, outputs, error, seconds, None))

    def to_host(self, outputs: tuple) -> tuple:
        """CPU copies for the tiers; on the CPU nothing moves."""
        if self.device == "cpu" or self.worker.remote:
            return outputs
        return tuple(map(on_host, outputs))

    def settle(self, report: Reporter) -> None:
        """End of a run: what it put on disk is there, and what went wrong on the way is said."""
        if self.disk is not None:
            self.disk.flush()
        while report.listener is not None and self._notes:  # else the next run that has a listener says it
            report.send("note", text=self._notes.popleft())

    def close(self) -> None:
        self.worker.close()
        if self.disk is not None:
            self.disk.close()


def on_host(value: Any) -> Any:
    """A copy in host memory; a value that no codec knows stays where it is."""
    try:
        return encode(value).decode()
    except Unstorable:
        return value


def default_runtime(device: str = "auto") -> Runtime:
    """The process's own runtime for a device, made on first use; its cache lies in the home folder."""
    return _default(choose_device(device), home())


@cache
def _default(device: str, folder: Path) -> Runtime:
    return Runtime(device, cache=folder / "cache")


def choose_device(wanted: str = "auto") -> str:
    """"auto" becomes the first GPU if the machine has one and torch is built for it, else the CPU; found without torch."""
    from importlib import metadata

    for_cpu = "+cpu" in metadata.version("torch")
    if wanted == "auto":
        return "cuda:0" if not for_cpu and list(Path("/proc/driver/nvidia/gpus").glob("*")) else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", wanted):
        raise GraphError([Problem("no-such-device", f"there is no device `{wanted}`", fix="Give cpu, cuda, cuda:1 … or auto.")])
    if wanted != "cpu" and for_cpu:
        raise GraphError([Problem("no-such-device", f"the installed torch is built without `{wanted}`", fix="Give cpu, or install a CUDA build of torch.")])
    return wanted

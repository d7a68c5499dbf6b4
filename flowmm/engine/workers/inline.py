"""The worker in this process: one thread for the device, pools for CPU work and for files."""

from __future__ import annotations

import itertools
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from ...catalog import Cancelled, Context
from ...machine import calm_threads
from ...sockets import Handle
from .base import Task, WorkerLost, call, set_threads, uses_torch

CLOSED = "the worker was closed before it could run this node"


class InlineWorker:
    """Runs tasks on lanes of threads. threads: how many torch may use for one operation; dtype: of the weights; both are part of the numeric class."""

    remote = False

    def __init__(self, device: str, threads: int, dtype: str = "float32"):
        calm_threads()
        self.device, self.threads, self.dtype = device, threads, dtype
        self._cpu = ThreadPoolExecutor(max(1, (os.cpu_count() or 1) - 1), "flowmm-cpu")
        self._files = ThreadPoolExecutor(8, "flowmm-files")
        self._queue: list[tuple[int, Task]] = []
        self._arrived = threading.Condition()
        self._count = itertools.count()
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, task: Task) -> None:
        lane = task.spec.lane
        if self._closed:
            task.done(None, WorkerLost(CLOSED), 0.0)
        elif lane == "device":
            with self._arrived:
                self._queue.append((next(self._count), task))
                if self._thread is None:
                    self._thread = threading.Thread(target=self._drain, name=f"flowmm-{self.device}", daemon=True)
                    self._thread.start()
                self._arrived.notify()
        else:
            (self._files if lane == "files" else self._cpu).submit(self._run, task)

    def close(self) -> None:
        with self._arrived:
            self._closed = True
            self._arrived.notify()
        self._cpu.shutdown(wait=False)
        self._files.shutdown(wait=False)

    def _drain(self) -> None:
        while True:
            with self._arrived:
                while not self._queue and not self._closed:
                    self._arrived.wait()
                if not self._queue:
                    return
                chosen = min(self._queue, key=self._rank)
                self._queue.remove(chosen)
            self._run(chosen[1])

    def _rank(self, item: tuple[int, Task]) -> tuple:
        """Higher priority first; then nodes whose model is on the device already; then first come."""
        from ...models.residency import residency

        place, task = item
        handles = [value for value in task.kwargs.values() if isinstance(value, Handle)]
        resident = all(residency(self.device, self.dtype).is_resident(handle) for handle in handles)
        return -task.priority(), not resident, place

    def _run(self, task: Task) -> None:
        started = time.perf_counter()
        try:
            if self._closed:
                raise WorkerLost(CLOSED)
            if task.cancelled():
                raise Cancelled(task.node)
            if uses_torch(task.spec):
                set_threads(self.threads)
            outputs = call(task.spec, task.kwargs, Context(task.node, self.device, task.report, task.cancelled, os.environ.get, self.dtype))
        except BaseException as error:  # whatever a node raises is its run's business, not this thread's
            task.done(None, error, time.perf_counter() - started)
        else:
            task.done(outputs, None, time.perf_counter() - started)

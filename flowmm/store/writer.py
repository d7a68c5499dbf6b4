"""The one thread of a process that writes to the disk tier, in batches.

What it cannot write it drops, telling each cause once: a cache must never fail a run.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import index as indexes
from . import objects
from .codec import Encoded
from .index import Index, NewRow

SMALL = 64 * 1024  # bytes: entries up to this size lie in the index, larger ones in a file each
LINGER = 0.02  # seconds the writer waits for company, unless someone waits for it
BATCH = 512  # entries a transaction
MOST_PENDING = 512 * 2**20  # bytes waiting to be written before a submitter waits too
STALE = 600.0  # seconds after which a temporary or unindexed file belongs to nobody alive
RETRY = 5.0  # seconds before a folder that could not be opened is tried again
DAY = 86400.0


@dataclass(slots=True)
class Report:
    """What verify or prune did. bytes: on disk, freed. orphans: files that no entry points to."""

    checked: int = 0
    damaged: int = 0
    orphans: int = 0
    evicted: int = 0
    bytes: int = 0


@dataclass(slots=True, eq=False)
class Put:
    key: bytes
    outputs: list[Encoded]
    size: int
    seconds: float
    op: str
    recipe: bytes


@dataclass(slots=True, eq=False)
class Forget:
    """Remove an entry found damaged, unless it was replaced since."""

    key: bytes
    created: float


@dataclass(slots=True, eq=False)
class Call:
    """Something else that only the writer may do."""

    action: Callable[[], Any]


Job = Put | Forget | Call


class Writer:
    """A queue and its thread, which starts with the first job. All methods up to `flush` are safe from any thread."""

    def __init__(self, folder: Path, budget: int, tell: Callable[[str, str], None]) -> None:
        """budget: bytes of entries. tell: given a cause and a sentence, from the writer's thread."""
        self.folder = folder
        self.path = folder / "index.sqlite"
        self.objects = folder / "objects"
        self.budget = budget
        self.pending: dict[bytes, Put] = {}  # what is not in the store yet, for readers
        self.hits: dict[bytes, int] = {}  # reads to note with the next batch
        self.dropped = 0  # entries that could not be written
        self._tell = tell
        self._index: Index | None = None
        self._retry_at = 0.0
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)  # something is queued, or someone waits for it
        self._done = threading.Condition(self._lock)  # a batch was finished
        self._queue: deque[Job] = deque()
        self._pending_bytes = 0
        self._accepted = self._finished = 0  # jobs, ever
        self._waiting = 0  # threads that wait for a batch
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, job: Job) -> bool:
        """Queue a job; False after close. Waits only while MOST_PENDING bytes are queued already."""
        with self._lock:
            while self._pending_bytes > MOST_PENDING and not self._closed:
                self._wait_for(self._finished + 1)
            if self._closed:
                return False
            self._enqueue(job)
            return True

    def do(self, action: Callable[[], Any]) -> None:
        """Run an action in the writer's thread, after all that was queued before, and wait for it."""
        self.submit(Call(action))
        self.flush()

    def flush(self) -> None:
        """Return when every job submitted before is done, or dropped."""
        with self._lock:
            if self.hits and not self._queue and not self._closed:
                self._enqueue(Call(lambda: None))  # a batch, which notes the hits
            self._wait_for(self._accepted)

    def close(self) -> None:
        """Finish what is queued and stop the thread."""
        self.flush()
        with self._lock:
            self._closed = True
            self._work.notify_all()
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def _enqueue(self, job: Job) -> None:
        if isinstance(job, Put):
            self.pending[job.key] = job
            self._pending_bytes += job.size
        self._queue.append(job)
        self._accepted += 1
        if self._thread is None:
            self._thread = threading.Thread(target=self._loop, name="flowmm-cache", daemon=True)
            self._thread.start()
        elif len(self._queue) == 1:
            self._work.notify_all()

    def _wait_for(self, count: int) -> None:
        self._waiting += 1
        self._work.notify_all()
        while self._finished < count:
            self._done.wait()
        self._waiting -= 1

    # What follows runs in the writer's thread alone

    def _loop(self) -> None:
        while True:
            with self._lock:
                while not self._queue and not self._closed:
                    self._work.wait()
                if not self._queue:
                    break
                if not self._waiting and not self._closed:
                    self._work.wait(LINGER)
                batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
            try:
                self._run(batch)
            except Exception as error:  # noqa: BLE001 - a bug must not hang everyone who waits for this thread
                self._lost(batch, error)
            with self._lock:
                self._finished += len(batch)
                for job in batch:
                    if isinstance(job, Put):
                        self._pending_bytes -= job.size
                        if self.pending.get(job.key) is job:
                            del self.pending[job.key]
                self._done.notify_all()
        self._close_index()

    def _run(self, batch: list[Job]) -> None:
        calls = [job for job in batch if isinstance(job, Call)]
        jobs = [job for job in batch if not isinstance(job, Call)]
        try:
            self._store(jobs)
        except indexes.FAILURES as error:
            self._close_index()
            if indexes.is_damage(error):
                self._again(jobs)
            else:
                self._lost(jobs, error)
        for call in calls:
            try:
                call.action()
            except indexes.FAILURES as error:
                self._close_index()
                self._lost([], error)

    def _again(self, jobs: list[Put | Forget]) -> None:
        try:
            self.recover()
            self._store(jobs)
        except indexes.FAILURES as error:
            self._close_index()
            self._lost(jobs, error)

    def _lost(self, jobs: list[Job], error: Exception) -> None:
        self.dropped += sum(isinstance(job, Put) for job in jobs)
        self._tell("write", f"Results cannot be kept in {self.folder} ({reason(error)}); the run goes on without.")

    def _store(self, jobs: list[Put | Forget]) -> None:
        if not jobs and not self.hits:
            return
        index = self.index()
        rows = {job.key: row for job in jobs if isinstance(job, Put) and (row := self._row(job)) is not None}
        hits, self.hits = self.hits, {}
        with index.transaction():
            gone = [job.key for job in jobs if isinstance(job, Forget) and index.remove(job.key, job.created)]
            index.touch(hits, time.time())
            index.add(list(rows.values()))
            evicted, _, _ = index.evict(self.budget)
        self._unlink([key for key in gone if key not in rows] + evicted)

    def _row(self, job: Put) -> NewRow | None:
        """The row of an entry, its file already written if it has one; None if the file cannot be."""
        pieces = objects.pack(job.key, job.outputs)
        size = sum(memoryview(piece).nbytes for piece in pieces)
        data = None
        if size <= SMALL:
            data = b"".join(pieces)
        else:
            try:
                objects.write(objects.name_of(self.objects, job.key), pieces)
            except OSError as error:
                self._lost([job], error)
                return None
        return NewRow(job.key, job.op, job.seconds, size + len(job.recipe), job.recipe, data)

    def evict(self, budget: int, report: Report) -> None:
        """Evict down to `budget` bytes and give the space back to the file system."""
        index = self.index()
        with index.transaction():
            files, report.evicted, report.bytes = index.evict(budget)
        self._unlink(files)
        index.shrink()

    def _unlink(self, keys: list[bytes]) -> None:
        for key in keys:
            with contextlib.suppress(OSError):
                objects.name_of(self.objects, key).unlink()

    def index(self) -> Index:
        """The open index, made where it is missing. Raises one of index.FAILURES."""
        if self._index is not None and not self._index.current():
            self._close_index()
        if self._index is None:
            if time.monotonic() < self._retry_at:
                raise OSError(errno.EAGAIN, "the last try failed")
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._index = Index(self.path, create=True)
            except indexes.FAILURES as error:
                if not indexes.is_damage(error):
                    self._retry_at = time.monotonic() + RETRY
                raise
            self._sweep_daily(self._index)
        return self._index

    def _close_index(self) -> None:
        if self._index is not None:
            self._index.close()
            self._index = None

    def recover(self) -> None:
        """Move an index that SQLite or we cannot read aside, unless another process already did."""
        self._close_index()
        with indexes.exclusive(self.path.with_suffix(".lock")):
            try:
                with contextlib.closing(Index(self.path, create=False)) as index:
                    if index.sound():
                        return
            except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
                if not indexes.is_damage(error):
                    raise
            aside = indexes.move_aside(self.path)
        self._tell("index", f"The cache's index was damaged, or no flowmm cache; it is now {aside}, and a new one was begun.")

    def _sweep_daily(self, index: Index) -> None:
        """Remove files nobody will finish or find: those of killed writers and of an index that was lost."""
        marker = self.folder / "swept"
        with contextlib.suppress(OSError):
            if time.time() - marker.stat().st_mtime < DAY:
                return
        self.sweep({key for key, in_file, _, _ in index.locations() if in_file}, Report())
        with contextlib.suppress(OSError):
            marker.touch()

    def sweep(self, known: set[bytes], report: Report) -> None:
        """Remove the files that belong to none of the known keys and that nobody can still be writing."""
        before = time.time() - STALE
        for path, key, size, modified in objects.walk(self.objects):
            if key not in known and modified < before:
                with contextlib.suppress(OSError):
                    path.unlink()
                    report.orphans += 1
                    report.bytes += size


def reason(error: Exception) -> str:
    """Why, in a few words."""
    words = os.strerror(error.errno).lower() if isinstance(error, OSError) and error.errno else str(error)
    return words or type(error).__name__

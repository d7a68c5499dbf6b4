"""The disk tier: results that outlive the process, shared safely by several.

`put` only queues; one writer thread stores in batches. Nothing here fails a run: what cannot be written is dropped,
what cannot be read is a miss, and each cause is told once, in a sentence.
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

import msgpack

from . import index as indexes
from . import objects
from .codec import Encoded, Undecodable, Unstorable, encode
from .index import Index, NewRow, Row
from .objects import Damaged

__all__ = ["DiskTier", "Report", "Row"]

SMALL = 64 * 1024  # bytes: entries up to this size lie in the index, larger ones in a file each
BUDGET = 10 * 2**30
LINGER = 0.02  # seconds the writer waits for company, unless someone waits for it
BATCH = 512  # entries a transaction
MOST_PENDING = 512 * 2**20  # bytes waiting to be written before `put` waits too
STALE = 600.0  # seconds after which a temporary or unindexed file belongs to nobody alive
RETRY = 5.0  # seconds before a folder that could not be opened is tried again


@dataclass(slots=True)
class Report:
    """What verify or prune did. bytes: on disk, freed. orphans: files that no entry points to."""

    checked: int = 0
    damaged: int = 0
    orphans: int = 0
    evicted: int = 0
    bytes: int = 0


@dataclass(slots=True, eq=False)
class _Put:
    key: bytes
    outputs: list[Encoded]
    size: int
    seconds: float
    op: str
    recipe: bytes


@dataclass(slots=True, eq=False)
class _Forget:
    """Remove an entry found damaged, unless it was replaced since."""

    key: bytes
    created: float


@dataclass(slots=True, eq=False)
class _Call:
    """Something only the writer may do, with the answer left in `result`."""

    action: Callable[[], Any]
    result: Any = None


class DiskTier:
    """Entries by key, in `folder`/v1, evicted when over budget by least seconds saved per byte, fading with age."""

    def __init__(self, folder: Path, budget: int = BUDGET, on_problem: Callable[[str], None] | None = None) -> None:
        """Touches nothing yet. budget: bytes of entries. on_problem: told each cause of trouble once, from any thread."""
        self.folder = Path(folder) / f"v{indexes.SCHEMA_VERSION}"
        self.budget = budget
        self._on_problem = on_problem
        self._told: set[str] = set()
        self._path = self.folder / "index.sqlite"
        self._objects = self.folder / "objects"
        self._reader: Index | None = None
        self._reading = threading.Lock()
        self._writer: Index | None = None
        self._retry_at = 0.0
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)  # something is queued, or someone waits for it
        self._done = threading.Condition(self._lock)  # a batch was finished
        self._queue: deque[_Put | _Forget | _Call] = deque()
        self._pending: dict[bytes, _Put] = {}
        self._pending_bytes = 0
        self._hits: dict[bytes, int] = {}
        self._accepted = self._finished = self._hurry = 0
        self._thread: threading.Thread | None = None
        self._closed = False
        self._damaged = self._dropped = 0

    # Reading

    def get(self, key: bytes) -> tuple | None:
        """A node's outputs, checked against their sha256; None if they are not here, damaged, or of another codec."""
        encoded = self.get_encoded(key)
        if encoded is None:
            return None
        try:
            return tuple([output.decode() for output in encoded])
        except Undecodable:
            return None

    def get_encoded(self, key: bytes) -> list[Encoded] | None:
        """As get, without decoding: to pass on to a worker process."""
        pending = self._pending.get(key)
        if pending is not None:
            return pending.outputs
        found = self._read(lambda index: index.get(key))
        if found is None:
            return None
        data, op, created = found
        try:
            if data is None:
                outputs = objects.read(objects.name_of(self._objects, key), key)
            else:
                outputs = objects.unpack(key, bytearray(data))  # writable, as a memory map's copy-on-write pages are
        except Undecodable:
            return None
        except FileNotFoundError:  # evicted by another process since
            self._submit(_Forget(key, created))
            return None
        except (Damaged, TypeError) as error:
            self._forget_damaged(key, created, op, str(error))
            return None
        except OSError as error:
            self._tell("read", f"The cache at {self.folder} cannot be read ({_reason(error)}); results are made again.")
            return None
        self._hits[key] = self._hits.get(key, 0) + 1
        return outputs

    def contains(self, key: bytes) -> bool:
        """Whether the index has the key. The entry may still turn out damaged: only get knows."""
        return key in self._pending or bool(self._read(lambda index: index.contains(key)))

    def similar(self, op: str, limit: int = 50) -> list[Row]:
        """The most recent entries of an op, newest first."""
        self.flush()
        return self._read(lambda index: index.rows(limit, op)) or []

    def ls(self, limit: int = 100) -> list[Row]:
        """The most recent entries, newest first."""
        self.flush()
        return self._read(lambda index: index.rows(limit)) or []

    def stats(self) -> dict[str, Any]:
        """entries, bytes, files and seconds_saved of the folder; damaged and dropped of this object; budget, folder."""
        self.flush()
        figures = self._read(lambda index: index.figures()) or {"entries": 0, "bytes": 0, "seconds_saved": 0.0, "files": 0}
        return {
            **figures, "budget": self.budget, "damaged": self._damaged, "dropped": self._dropped, "folder": str(self.folder),
        }  # fmt: skip

    def _read(self, query: Callable[[Index], Any]) -> Any:
        """The answer of the index, or None where there is none to ask."""
        with self._reading:
            try:
                if self._reader is not None and not self._reader.current():
                    self._close_reader()
                if self._reader is None:
                    if self._closed or not self._path.exists():
                        return None
                    self._reader = Index(self._path, create=False)
                return query(self._reader)
            except (sqlite3.Error, OSError) as error:
                self._close_reader()
        if _is_damage(error):
            self._submit(_Call(self._recover))
        elif "no such table" not in str(error):  # another process is just making it
            self._tell("read", f"The cache at {self.folder} cannot be read ({_reason(error)}); results are made again.")
        return None

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _forget_damaged(self, key: bytes, created: float, op: str, reason: str) -> None:
        self._damaged += 1
        self._tell("damaged", f"A cached result of `{op}` was damaged on disk ({reason}); it is removed and made again.")
        self._submit(_Forget(key, created))

    # Writing

    def put(
        self, key: bytes, outputs: tuple | list[Encoded], seconds: float, op: str, recipe: dict[str, Any]
    ) -> bool:
        """Queue an entry and return at once, unless half a gigabyte already waits; False if it cannot be stored.

        outputs: a node's values, or the same encoded. seconds: what making them took. recipe: plain data, kept for `why`.
        """
        try:
            encoded = outputs if isinstance(outputs, list) else [encode(value) for value in outputs]
        except Unstorable:
            return False
        size = sum(output.nbytes for output in encoded)
        if size > self.budget:
            return False
        packed = msgpack.packb(recipe, default=str, unicode_errors="surrogatepass")
        return self._submit(_Put(key, encoded, size, float(seconds), op, packed))

    def flush(self) -> None:
        """Return when everything put before is in the store, where a crash of this process cannot lose it."""
        with self._lock:
            if self._hits and not self._queue and not self._closed:
                self._enqueue(_Call(lambda: None))  # so that a batch is made, which notes the hits
            self._wait_for(self._accepted)

    def close(self) -> None:
        """Flush, stop the writer and close the files. Later puts are refused, later gets are misses."""
        self.flush()
        with self._lock:
            self._closed = True
            self._work.notify_all()
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
        with self._reading:
            self._close_reader()

    def verify(self) -> Report:
        """Check every entry; remove the damaged ones, and files that belong to no entry and are not being written."""
        report = Report()
        self.flush()
        known: set[bytes] = set()
        damaged: list[_Forget] = []
        for key, in_file, created, size in self._read(lambda index: list(index.locations())) or []:
            report.checked += 1
            if in_file:
                known.add(key)
            if not self._check(key):
                report.damaged += 1
                report.bytes += size
                damaged.append(_Forget(key, created))
        for job in damaged:
            self._submit(job)
        if self._path.exists():
            self._do(lambda: self._writer_index().recount())
        self._sweep(known, report)
        return report

    def prune(self, target_bytes: int) -> Report:
        """Evict what is least worth keeping until at most `target_bytes` are left, and give the space back."""
        report = Report()
        if self._path.exists():
            self.flush()
            self._do(lambda: self._evict(target_bytes, report, shrink=True))
        return report

    def _check(self, key: bytes) -> bool:
        found = self._read(lambda index: index.get(key))
        if found is None:
            return True  # evicted since
        try:
            if found[0] is None:
                objects.read(objects.name_of(self._objects, key), key)
            else:
                objects.unpack(key, found[0])
        except Undecodable:
            return True
        except (Damaged, TypeError, OSError):
            return False
        return True

    # The queue

    def _submit(self, job: _Put | _Forget | _Call) -> bool:
        with self._lock:
            while self._pending_bytes > MOST_PENDING and not self._closed:
                self._wait_for(self._finished + 1)
            if self._closed:
                return False
            self._enqueue(job)
            return True

    def _enqueue(self, job: _Put | _Forget | _Call) -> None:
        if isinstance(job, _Put):
            self._pending[job.key] = job
            self._pending_bytes += job.size
        self._queue.append(job)
        self._accepted += 1
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_loop, name="flowmm-cache", daemon=True)
            self._thread.start()
        elif len(self._queue) == 1:
            self._work.notify_all()

    def _wait_for(self, count: int) -> None:
        self._hurry += 1
        self._work.notify_all()
        while self._finished < count:
            self._done.wait()
        self._hurry -= 1

    def _do(self, action: Callable[[], Any]) -> None:
        self._submit(_Call(action))
        self.flush()

    def _write_loop(self) -> None:
        while True:
            with self._lock:
                while not self._queue and not self._closed:
                    self._work.wait()
                if not self._queue:
                    break
                if not self._hurry and not self._closed:
                    self._work.wait(LINGER)
                batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
            try:
                self._write(batch)
            except Exception as error:  # a bug must not hang everyone who waits for this thread
                self._tell("bug", f"The cache could not store results ({type(error).__name__}: {error}); the run goes on.")
            with self._lock:
                self._finished += len(batch)
                for job in batch:
                    if isinstance(job, _Put):
                        self._pending_bytes -= job.size
                        if self._pending.get(job.key) is job:
                            del self._pending[job.key]
                self._done.notify_all()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    # What only the writer thread does

    def _write(self, batch: list[_Put | _Forget | _Call]) -> None:
        for last_try in (False, True):
            try:
                self._store([job for job in batch if not isinstance(job, _Call)])
                break
            except (sqlite3.Error, OSError) as error:
                self._close_writer()
                if _is_damage(error) and not last_try:
                    with contextlib.suppress(sqlite3.Error, OSError):
                        self._recover()
                    continue
                self._dropped += sum(isinstance(job, _Put) for job in batch)
                self._tell("write", f"Results cannot be kept in {self.folder} ({_reason(error)}); the run goes on without.")
                break
        for job in batch:
            if isinstance(job, _Call):
                with contextlib.suppress(sqlite3.Error, OSError):
                    job.result = job.action()

    def _store(self, jobs: list[_Put | _Forget]) -> None:
        if not jobs and not self._hits:
            return
        index = self._writer_index()
        rows = {job.key: row for job in jobs if isinstance(job, _Put) and (row := self._row(job)) is not None}
        hits, self._hits = self._hits, {}
        with index.transaction():
            for job in jobs:
                if isinstance(job, _Forget):
                    index.remove(job.key, job.created)
            index.touch(hits, time.time())
            index.add(list(rows.values()))
            files, _, _ = index.evict(self.budget)
        self._unlink(files)

    def _row(self, job: _Put) -> NewRow | None:
        """The row of an entry, its file already written if it has one; None if the file cannot be."""
        pieces = objects.pack(job.key, job.outputs)
        size = sum(memoryview(piece).nbytes for piece in pieces)
        data = None
        if size <= SMALL:
            data = b"".join(pieces)
        else:
            try:
                objects.write(objects.name_of(self._objects, job.key), pieces)
            except OSError as error:
                self._dropped += 1
                self._tell("write", f"Results cannot be kept in {self.folder} ({_reason(error)}); the run goes on without.")
                return None
        return NewRow(job.key, job.op, job.seconds, size + len(job.recipe), job.recipe, data)

    def _evict(self, budget: int, report: Report, shrink: bool) -> None:
        index = self._writer_index()
        with index.transaction():
            files, report.evicted, report.bytes = index.evict(budget)
        self._unlink(files)
        if shrink:
            index.shrink()

    def _unlink(self, keys: list[bytes]) -> None:
        for key in keys:
            with contextlib.suppress(OSError):
                objects.name_of(self._objects, key).unlink()

    def _writer_index(self) -> Index:
        if self._writer is not None and not self._writer.current():
            self._close_writer()
        if self._writer is None:
            if time.monotonic() < self._retry_at:
                raise OSError(errno.EAGAIN, "the last try failed")
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._writer = Index(self._path, create=True)
            except (sqlite3.Error, OSError) as error:
                if not _is_damage(error):
                    self._retry_at = time.monotonic() + RETRY
                raise
            self._sweep({key for key, in_file, _, _ in self._writer.locations() if in_file}, Report())
        return self._writer

    def _close_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _recover(self) -> None:
        """Move an index that SQLite or we cannot read aside, unless another process already did."""
        self._close_writer()
        with indexes.exclusive(self._path.with_suffix(".lock")):
            try:
                index = Index(self._path, create=False)
                sound = index.sound()
                index.close()
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                sound = False
            if sound:
                return
            aside = indexes.move_aside(self._path)
        self._tell("index", f"The cache's index was damaged or is no flowmm cache; it was renamed to {aside.name} and a new one begun.")

    def _sweep(self, known: set[bytes], report: Report) -> None:
        """Remove files nobody will finish or find: those of killed writers and of an index that was lost."""
        before = time.time() - STALE
        for path, key, size, modified in objects.walk(self._objects):
            if key not in known and modified < before:
                with contextlib.suppress(OSError):
                    path.unlink()
                    report.orphans += 1
                    report.bytes += size

    def _tell(self, cause: str, sentence: str) -> None:
        if cause not in self._told:
            self._told.add(cause)
            if self._on_problem is not None:
                self._on_problem(sentence)


def _is_damage(error: Exception) -> bool:
    return isinstance(error, indexes.Alien) or getattr(error, "sqlite_errorcode", 0) & 0xFF in indexes.DAMAGE


def _reason(error: Exception) -> str:
    return (os.strerror(error.errno).lower() if isinstance(error, OSError) and error.errno else str(error)) or type(error).__name__

"""The disk tier: results that outlive the process, shared safely by several.

`put` only queues; one writer thread stores in batches. Nothing here fails a run: what cannot be written is dropped,
what cannot be read is a miss, and each cause is told once, in a sentence.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack

from . import index as indexes
from . import objects
from .codec import Encoded, Undecodable, Unstorable, encode
from .index import Index, Row
from .objects import Damaged
from .writer import Call, Forget, Put, Report, Writer, reason

__all__ = ["BUDGET", "DiskTier", "Report", "Row"]

BUDGET = 10 * 2**30


class DiskTier:
    """Entries by key, in `folder`/v1, evicted when over budget by least seconds saved per byte, fading with age."""

    def __init__(self, folder: Path, budget: int = BUDGET, on_problem: Callable[[str], None] | None = None) -> None:
        """Touches nothing yet. budget: bytes of entries. on_problem: told each cause of trouble once, from any thread."""
        self.folder = Path(folder) / f"v{indexes.SCHEMA_VERSION}"
        self.budget = budget
        self._writer = Writer(self.folder, budget, self._tell)
        self._on_problem = on_problem
        self._told: set[str] = set()
        self._damaged = 0
        self._reader: Index | None = None
        self._reading = threading.Lock()
        self._closed = False

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
        pending = self._writer.pending.get(key)
        if pending is not None:
            return pending.outputs
        found = self._read(lambda index: index.get(key))
        if found is None:
            return None
        data, op, created = found
        try:
            outputs = self._load(key, data)
        except Undecodable:
            return None
        except FileNotFoundError:  # evicted by another process since, or removed by hand
            self._writer.submit(Forget(key, created))
            return None
        except Damaged as error:
            self._damaged += 1
            self._tell("damaged", f"A cached result of `{op}` was damaged on disk ({error}); it is removed and made again.")
            self._writer.submit(Forget(key, created))
            return None
        except OSError as error:
            self._unreadable(error)
            return None
        hits = self._writer.hits
        hits[key] = hits.get(key, 0) + 1
        return outputs

    def contains(self, key: bytes) -> bool:
        """Whether the index has the key. The entry may still turn out damaged: only get knows."""
        return key in self._writer.pending or bool(self._read(lambda index: index.contains(key)))

    def contains_many(self, keys: list[bytes]) -> set[bytes]:
        """Those of the keys the index has; one query for hundreds of keys."""
        pending = self._writer.pending
        return {key for key in keys if key in pending} | (self._read(lambda index: index.contains_many(keys)) or set())

    def put(self, key: bytes, outputs: tuple | list[Encoded], seconds: float, op: str, recipe: dict[str, Any]) -> bool:
        """Queue an entry and return at once, unless half a gigabyte already waits; False if it cannot be stored.

        outputs: a node's values, or a list of the same encoded. Their memory must not change any more.
        seconds: what making them took. recipe: plain data, kept for `flowmm why`.
        """
        try:
            encoded = outputs if isinstance(outputs, list) else [encode(value) for value in outputs]
        except Unstorable:
            return False
        size = sum(output.nbytes for output in encoded)
        if size > self.budget:
            return False
        seconds = float(seconds) if math.isfinite(seconds) and seconds > 0 else 0.0
        return self._writer.submit(Put(key, encoded, size, seconds, op, _packed(recipe)))

    def flush(self) -> None:
        """Return when everything put before is in the store, where a crash of this process cannot lose it."""
        self._writer.flush()

    def close(self) -> None:
        """Flush, stop the writer and close the files. Later puts are refused, later gets are misses."""
        self._writer.close()
        with self._reading:
            self._closed = True
            self._close_reader()

    def similar(self, op: str, limit: int = 50) -> list[Row]:
        """The most recent entries of an op, newest first."""
        self.flush()
        return self._read(lambda index: index.rows(limit, op)) or []

    def ls(self, limit: int = 100) -> list[Row]:
        """The most recent entries, newest first."""
        self.flush()
        return self._read(lambda index: index.rows(limit)) or []

    def stats(self) -> dict[str, Any]:
        """entries, bytes, files and seconds_saved of the folder; damaged and dropped by this object; budget, folder."""
        self.flush()
        nothing = {"entries": 0, "bytes": 0, "seconds_saved": 0.0, "files": 0}
        figures = self._read(lambda index: index.figures()) or nothing
        own = {"budget": self.budget, "damaged": self._damaged, "dropped": self._writer.dropped, "folder": str(self.folder)}
        return figures | own

    def verify(self) -> Report:
        """Check every entry; remove the damaged ones, and files that belong to no entry and are not being written."""
        report = Report()
        self.flush()
        known: set[bytes] = set()
        for key, in_file, created, size in self._read(lambda index: list(index.locations())) or []:
            report.checked += 1
            if in_file:
                known.add(key)
            if not self._sound(key):
                report.damaged += 1
                report.bytes += size
                self._writer.submit(Forget(key, created))
        if os.path.exists(self._writer.path):
            self._writer.do(lambda: self._writer.index().recount())
        self._writer.sweep(known, report)
        return report

    def prune(self, target_bytes: int) -> Report:
        """Evict what is least worth keeping until at most `target_bytes` are left, and give the space back."""
        report = Report()
        if os.path.exists(self._writer.path):
            self._writer.do(lambda: self._writer.evict(target_bytes, report))
        return report

    def _load(self, key: bytes, data: Any) -> list[Encoded]:
        """The outputs in a row's content or in the entry's file. Raises Damaged, Undecodable, OSError."""
        if data is None:
            return objects.read(objects.name_of(self._writer.objects, key), key)
        if not isinstance(data, bytes):
            raise Damaged("its row cannot be read")
        return objects.unpack(key, bytearray(data))  # writable, as a memory map's copy-on-write pages are

    def _sound(self, key: bytes) -> bool:
        found = self._read(lambda index: index.get(key))
        try:
            if found is not None:  # else it was evicted since
                self._load(key, found[0])
        except Undecodable:
            return True
        except (Damaged, OSError):
            return False
        return True

    def _read(self, query: Callable[[Index], Any]) -> Any:
        """The answer of the index, or None where there is none to ask."""
        with self._reading:
            try:
                if self._reader is not None and not self._reader.current():
                    self._close_reader()
                if self._reader is None:
                    if self._closed or not os.path.exists(self._writer.path):
                        return None
                    self._reader = Index(self._writer.path, create=False)
                return query(self._reader)
            except indexes.FAILURES as caught:
                error = caught
                self._close_reader()
        if indexes.is_damage(error):
            self._writer.submit(Call(self._writer.recover))
        elif "no such table" not in str(error):  # else another process is just making it
            self._unreadable(error)
        return None

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _unreadable(self, error: Exception) -> None:
        self._tell("read", f"The cache in {self.folder} cannot be read ({reason(error)}); results are made again.")

    def _tell(self, cause: str, sentence: str) -> None:
        if cause not in self._told:
            self._told.add(cause)
            if self._on_problem is not None:
                with contextlib.suppress(Exception):  # a listener's failure must not cost the writer its thread
                    self._on_problem(sentence)


def _packed(recipe: dict[str, Any]) -> bytes:
    """A recipe only explains; what cannot be written of it must not cost the entry."""
    try:
        return msgpack.packb(recipe, default=str, unicode_errors="surrogatepass")
    except (ValueError, TypeError, OverflowError, RecursionError):
        return msgpack.packb({})

"""The index of the disk tier: one SQLite file that any number of processes share.

Small entries lie in it whole; of large ones it holds the row, and a file holds the content. A Python thread that
calls SQLite gives up the interpreter once a statement and may wait 5 ms to have it back, so rows go in many a statement.
"""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack

SCHEMA_VERSION = 1
APPLICATION = 0x666C6F77  # "flow": what tells our file from another program's
BUSY_SECONDS = 10.0  # how long to wait for another process's transaction
DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
NO_RIGHTS = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
FAILURES = (sqlite3.Error, OSError, UnicodeDecodeError)  # the last where a damaged name stands in SQLite's own message

# An entry's rank is ln(seconds saved per byte) + last use / FADING: unused for one FADING, an entry counts e times less.
# It only compares entries with each other, so it never has to be written again as time passes.
FADING = 3 * 86400.0
ROW_BYTES = 512  # what the row itself takes, about

# data is null where the entry has a file of its own; it is last, so that reading the rest never touches it.
_SCHEMA = (
    """CREATE TABLE entry (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, op TEXT NOT NULL, seconds REAL NOT NULL, bytes INTEGER NOT NULL,
    created REAL NOT NULL, used REAL NOT NULL, hits INTEGER NOT NULL, rank REAL NOT NULL, recipe BLOB NOT NULL, data BLOB
)""",
    "CREATE INDEX by_rank ON entry (rank)",
    "CREATE INDEX by_op ON entry (op, created)",
    "CREATE TABLE total (entries INTEGER NOT NULL, bytes INTEGER NOT NULL)",
    """CREATE TRIGGER added AFTER INSERT ON entry BEGIN
    UPDATE total SET entries = entries + 1, bytes = bytes + new.bytes; END""",
    """CREATE TRIGGER removed AFTER DELETE ON entry BEGIN
    UPDATE total SET entries = entries - 1, bytes = bytes - old.bytes; END""",
    """CREATE TRIGGER changed AFTER UPDATE OF bytes ON entry BEGIN
    UPDATE total SET bytes = bytes + new.bytes - old.bytes; END""",
)
_CREATE = f"""
PRAGMA auto_vacuum = incremental;
PRAGMA journal_mode = wal;
BEGIN IMMEDIATE;
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {SCHEMA_VERSION};
{"; ".join(_SCHEMA)};
INSERT INTO total VALUES (0, 0);
COMMIT;
"""

_COLUMNS = "key, op, seconds, bytes, created, used, hits, rank, recipe, data"
_UPSERT = (
    f"INSERT INTO entry ({_COLUMNS}) VALUES %s ON CONFLICT (key) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS.split(", ")[1:])
)
_TOUCH = (
    "UPDATE entry SET hits = hits + t.column2, rank = rank + (?1 - used) / ?2, used = ?1 "
    "FROM (VALUES %s) AS t WHERE entry.key = t.column1"
)
_CHUNKS = (64, 8, 1)  # rows a statement; few sizes, so that each is compiled once


class Alien(sqlite3.DatabaseError):
    """A SQLite file, but none of ours."""


@dataclass(frozen=True, slots=True)
class Row:
    """One entry as people see it. seconds: what the work took. bytes: on disk. created, used: Unix times."""

    key: bytes
    op: str
    recipe: dict[str, Any]
    seconds: float
    bytes: int
    created: float
    used: float
    hits: int


@dataclass(frozen=True, slots=True)
class NewRow:
    """An entry to write. recipe: msgpack. data: the content, or None where a file holds it."""

    key: bytes
    op: str
    seconds: float
    bytes: int
    recipe: bytes
    data: bytes | None


class Index:
    """One connection; not for two threads at once. Every method may raise one of FAILURES."""

    def __init__(self, path: Path, create: bool) -> None:
        """Open the file; with create, make it where it is missing. Raises one of FAILURES, Alien among them."""
        self.path = path
        if create:
            with exclusive(path.with_suffix(".lock")):  # switching to WAL does not wait for other processes
                self._connection = self._open("rwc")
        else:
            self._connection = self._open("rw")
        self.inode = _inode(path)

    def _open(self, mode: str) -> sqlite3.Connection:
        try:
            return self._connect(f"mode={mode}", mode == "rwc")
        except sqlite3.OperationalError as error:
            if mode == "rwc" or _code(error) not in NO_RIGHTS:
                raise
            # A folder that we may only read: SQLite wants to write beside the file unless told that nobody does.
            return self._connect("mode=ro&immutable=1", False)

    def _connect(self, options: str, create: bool) -> sqlite3.Connection:
        uri = f"{self.path.absolute().as_uri()}?{options}"
        connection = sqlite3.connect(uri, BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=True)
        connection.text_factory = lambda text: text.decode(errors="replace")  # damaged text is no reason to fail
        try:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            statements = {sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}
            if not statements and create:
                connection.executescript(_CREATE)
            elif statements and (application, version, statements) != (APPLICATION, SCHEMA_VERSION, set(_SCHEMA)):
                raise Alien("not the tables of a flowmm cache")
            # A crash of this process loses nothing committed; a power cut may lose the last batches, never the order.
            connection.execute("PRAGMA synchronous = normal")
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def current(self) -> bool:
        """Whether the file we have open is still the one with its name."""
        return self.inode == _inode(self.path)

    def sound(self) -> bool:
        """SQLite's own check of the whole file."""
        self.total()
        return self._connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)

    # Reading

    def get(self, key: bytes) -> tuple[bytes | None, str, float] | None:
        """(content or None where a file holds it, op, created), or None."""
        return self._connection.execute("SELECT data, op, created FROM entry WHERE key = ?", (key,)).fetchone()

    def contains(self, key: bytes) -> bool:
        return self._connection.execute("SELECT 1 FROM entry WHERE key = ?", (key,)).fetchone() is not None

    def contains_many(self, wanted: list[bytes]) -> set[bytes]:
        found: set[bytes] = set()
        for start in range(0, len(wanted), 500):  # SQLite bounds the number of parameters
            some = wanted[start : start + 500]
            rows = self._connection.execute(f"SELECT key FROM entry WHERE key IN ({','.join('?' * len(some))})", some)
            found.update(key for (key,) in rows)
        return found

    def rows(self, limit: int, op: str | None = None) -> list[Row]:
        """The most recent entries, of one op or of all."""
        where, arguments = ("", (limit,)) if op is None else ("WHERE op = ?", (op, limit))
        found = self._connection.execute(
            "SELECT key, op, recipe, seconds, bytes, created, used, hits FROM entry "
            f"{where} ORDER BY created DESC, id DESC LIMIT ?",
            arguments,
        )
        return [Row(key, op, _recipe(recipe), *rest) for key, op, recipe, *rest in found.fetchall()]

    def locations(self) -> Iterator[tuple[bytes, bool, float, int]]:
        """Every entry: (key, whether it has a file, created, bytes); in pages, so that no read lasts long."""
        last = -1
        while True:
            page = self._connection.execute(
                "SELECT id, key, data IS NULL, created, bytes FROM entry WHERE id > ? ORDER BY id LIMIT 500", (last,)
            ).fetchall()
            if not page:
                return
            last = page[-1][0]
            for _, key, in_file, created, size in page:
                yield key, bool(in_file), created, size

    def total(self) -> tuple[int, int]:
        """(entries, bytes)."""
        row = self._connection.execute("SELECT entries, bytes FROM total").fetchone()
        if row is None or not all(isinstance(number, int) for number in row):
            raise Alien("its totals are gone")
        return row

    def figures(self) -> dict[str, Any]:
        """Totals for people; reads every row."""
        entries, size = self.total()
        saved, files = self._connection.execute("SELECT total(hits * seconds), count(*) - count(data) FROM entry").fetchone()
        return {"entries": entries, "bytes": size, "seconds_saved": saved, "files": files}

    # Writing

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise

    def add(self, rows: list[NewRow]) -> None:
        """Insert or replace entries."""
        now = time.time()
        values = [
            (r.key, r.op, r.seconds, r.bytes, now, now, 0, rank(r.seconds, r.bytes, now), r.recipe, r.data) for r in rows
        ]
        for chunk in _chunks(values):
            marks = ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"] * len(chunk))
            self._connection.execute(_UPSERT % marks, [field for row in chunk for field in row])

    def touch(self, hits: dict[bytes, int], now: float) -> None:
        """Note that entries were read: how often since last noted."""
        for chunk in _chunks(list(hits.items())):
            marks = ", ".join(f"(?{n}, ?{n + 1})" for n in range(3, 3 + 2 * len(chunk), 2))
            self._connection.execute(_TOUCH % marks, [now, FADING, *(field for pair in chunk for field in pair)])

    def remove(self, key: bytes, created: float) -> bool:
        """Remove an entry unless it was replaced since it was read; whether it was removed."""
        gone = self._connection.execute("DELETE FROM entry WHERE key = ? AND created = ?", (key, created))
        return gone.rowcount > 0

    def evict(self, budget: int) -> tuple[list[bytes], int, int]:
        """Remove the entries least worth keeping until the rest fits into `budget` bytes, and not one more.

        Returns (keys whose files are to be removed, entries removed, bytes removed).
        """
        _, size = self.total()
        files: list[bytes] = []
        removed = freed = 0
        while size - freed > budget:
            worst = self._connection.execute(
                "SELECT id, key, data IS NULL, bytes FROM entry ORDER BY rank LIMIT 64"
            ).fetchall()
            if not worst:
                break
            gone = []
            for identity, key, in_file, bytes_ in worst:
                gone.append(identity)
                freed += bytes_
                if in_file:
                    files.append(key)
                if size - freed <= budget:
                    break
            removed += len(gone)
            self._connection.execute(f"DELETE FROM entry WHERE id IN ({', '.join('?' * len(gone))})", gone)
        return files, removed, freed

    def recount(self) -> None:
        """Count the totals anew, in case the file was damaged or edited."""
        self._connection.execute("UPDATE total SET (entries, bytes) = (SELECT count(*), coalesce(sum(bytes), 0) FROM entry)")

    def shrink(self) -> None:
        """Give free pages back to the file system."""
        self._connection.execute("PRAGMA incremental_vacuum").fetchall()
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def rank(seconds: float, size: int, used: float) -> float:
    """How much an entry is worth keeping: the logarithm of seconds saved per byte, fading with time since use."""
    return math.log(max(seconds, 1e-6) / (size + ROW_BYTES)) + used / FADING


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock that other processes see, where the system has one."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with open(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_damage(error: Exception) -> bool:
    """Whether the file itself is at fault, so that only a fresh one helps."""
    return isinstance(error, (Alien, UnicodeDecodeError)) or _code(error) in DAMAGE


def _code(error: Exception) -> int:
    """SQLite's primary result code; 0 for an error that is Python's own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def move_aside(path: Path) -> Path:
    """Rename a damaged index and what SQLite keeps beside it; the new name."""
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    os.replace(path, aside)
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(OSError):
            os.unlink(f"{path}{suffix}")
    return aside


def _chunks(items: list) -> Iterator[list]:
    start = 0
    for size in _CHUNKS:
        while len(items) - start >= size:
            yield items[start : start + size]
            start += size


def _inode(path: Path) -> int:
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0


def _recipe(packed: bytes) -> dict[str, Any]:
    """What a damaged row says of its recipe is nothing."""
    try:
        recipe = msgpack.unpackb(packed, unicode_errors="surrogatepass", strict_map_key=False)
    except (ValueError, TypeError, msgpack.UnpackException):
        return {}
    return recipe if isinstance(recipe, dict) else {}

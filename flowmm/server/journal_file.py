"""The journal's file: its tables, who holds it, and what can still be read of a damaged one."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from ..files import sync_folder
from ..store.index import APPLICATION

SCHEMA_VERSION = 2
PAGE = 4096  # bytes
BUSY_SECONDS = 10.0  # how long to wait for a person's own SQLite shell
NEAR = 256  # numbers tried one by one behind a page that cannot be read, before the search takes longer steps
LARGEST = 2**63 - 1  # the largest number SQLite knows

STATES = ("queued", "running", "done", "failed", "cancelled", "interrupted")
ENDED = STATES[2:]

# The tables' pages must keep their numbers and all of this must fit into the first page: then that page can be made anew.
_SCHEMA = (
    "CREATE TABLE document (number INTEGER PRIMARY KEY, sha TEXT NOT NULL UNIQUE, body BLOB NOT NULL)",
    """CREATE TABLE run (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, key TEXT UNIQUE, name TEXT NOT NULL, title TEXT NOT NULL, graph TEXT NOT NULL,
    inputs TEXT NOT NULL, targets TEXT, source TEXT NOT NULL, parent TEXT, state TEXT NOT NULL, place REAL NOT NULL, attempt INTEGER NOT NULL,
    crashes INTEGER NOT NULL, submitted REAL NOT NULL, started REAL, finished REAL, device TEXT, seconds REAL, executed INTEGER, cached INTEGER,
    error TEXT, timings TEXT
)""",
    """CREATE TABLE output (
    number INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL, name TEXT NOT NULL, key TEXT NOT NULL, type TEXT NOT NULL, summary TEXT NOT NULL
)""",
    "CREATE INDEX run_state ON run (state, number)",
    "CREATE INDEX run_place ON run (state, place, number)",
    "CREATE INDEX run_graph ON run (graph)",
    "CREATE INDEX output_run ON output (run)",
    "CREATE INDEX output_key ON output (key)",
    "CREATE INDEX output_type ON output (type, number)",
    "CREATE TABLE sweep (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, key TEXT UNIQUE, axes TEXT NOT NULL, combine TEXT NOT NULL)",
    "CREATE TABLE cell (number INTEGER PRIMARY KEY, sweep INTEGER NOT NULL, place INTEGER NOT NULL)",
    "CREATE INDEX cell_sweep ON cell (sweep, place)",
)
_OLDER = {1: 9}  # how many of these statements a journal of each earlier version has; it is given the others
_CREATE = f"""
BEGIN IMMEDIATE;
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {SCHEMA_VERSION};
{"; ".join(_SCHEMA)};
COMMIT;
"""
TABLES = {
    "document": ("number", "sha", "body"),
    "run": (
        "number", "id", "key", "name", "title", "graph", "inputs", "targets", "source", "parent", "state", "place", "attempt", "crashes", "submitted",
        "started", "finished", "device", "seconds", "executed", "cached", "error", "timings",
    ),
    "output": ("number", "run", "name", "key", "type", "summary"),
    "sweep": ("number", "id", "key", "axes", "combine"),
    "cell": ("number", "sweep", "place"),  # number: of its run
}  # fmt: skip


class JournalError(OSError):
    """The journal cannot be opened, or not be written; the sentence says why and what to do."""


class JournalTaken(JournalError):
    """Another server holds this journal."""


class _Newer(Exception):
    pass


def take(path: Path) -> TextIO:
    """Hold the journal's lock file for as long as the process lives, or until it is closed. Raises JournalTaken, OSError."""
    file = open(path.with_suffix(".lock"), "a+")
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # a system without such locks
        return file
    except OSError:
        file.seek(0)
        pid = file.read(20).strip() or "unknown"
        file.close()
        raise JournalTaken(
            f"the journal in {path.parent} is in use by another server (process {pid}); stop that one, or set FLOWMM_HOME to another folder"
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def connect(path: Path, mode: str = "rw") -> sqlite3.Connection:
    """A connection for one thread at a time; transactions are begun by hand. mode: ro, rw or rwc."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=True)
    connection.text_factory = lambda text: text.decode(errors="replace")  # damaged text is no reason to fail
    connection.execute(f"PRAGMA page_size = {PAGE}")  # of a file still to be made
    return connection


def opened(path: Path, tell: Callable[[str], None]) -> sqlite3.Connection:
    """The writer's connection to the journal, made where there is none; a damaged file is moved aside and what it says written anew.

    tell: given a sentence about each such thing. Raises JournalError, with the file as it was.
    """
    fresh = path.with_name(f"{path.name}.new")
    try:
        if fresh.exists():
            _finish(path, fresh)
        try:
            return _checked(path)
        except _Newer as error:
            raise JournalError(str(error)) from None
        except (sqlite3.Error, UnicodeDecodeError) as error:
            if not path.exists() or getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
            reason = error
        kept = _rewritten(path, fresh)
        aside = _move_aside(path)
        _finish(path, fresh)
        tell(f"The journal {path} was damaged, or none of flowmm's ({reason}); it is now {aside.name}, and {kept} were read from it.")
        return _checked(path)
    except JournalError:
        raise
    except (sqlite3.Error, UnicodeDecodeError, OSError) as error:
        raise JournalError(f"the journal {path} cannot be opened ({error}); give the server a folder that it may write to, with room left on its disk") from None


def _checked(path: Path) -> sqlite3.Connection:
    """A connection to a journal that SQLite finds sound. Raises _Newer, or anything where it is not."""
    if path.exists() and 0 < path.stat().st_size < PAGE:  # which SQLite might take for an empty file
        raise sqlite3.DatabaseError("it is too short")
    connection = connect(path, "rwc")
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        statements = [sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid")]
        if application == APPLICATION and version > SCHEMA_VERSION and statements != list(_SCHEMA) and _sound(connection):
            raise _Newer(f"the journal {path} was written by a newer flowmm (version {version}; this one reads {SCHEMA_VERSION}); update flowmm")
        if application == APPLICATION and statements == list(_SCHEMA[: _OLDER.get(version, 0)]) and statements and _sound(connection):
            connection.executescript(f"BEGIN IMMEDIATE; {'; '.join(_SCHEMA[_OLDER[version] :])}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT")
            version, statements = SCHEMA_VERSION, list(_SCHEMA)
        # Once, each open: a damaged index would hide runs, which no later statement would notice.
        if statements and ((application, version, statements) != (APPLICATION, SCHEMA_VERSION, list(_SCHEMA)) or not _sound(connection)):
            raise sqlite3.DatabaseError("its pages or tables are not as they were written")
        if connection.execute("PRAGMA journal_mode = wal").fetchone() != ("wal",):
            raise sqlite3.OperationalError("it cannot be switched to a write-ahead log")
        connection.execute("PRAGMA synchronous = full")
        if not statements:
            connection.executescript(_CREATE)
    except BaseException:
        connection.close()
        raise
    return connection


def _sound(connection: sqlite3.Connection) -> bool:
    return connection.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",)


# Salvage


def _rewritten(path: Path, fresh: Path) -> str:
    """Write all that can be read of a damaged journal into a new file beside it; in words, what was."""
    grafted = path.with_name(f"{path.name}.grafted")
    try:
        found = _read(path)
        _graft(path, grafted)
        found = max(found, _read(grafted), key=lambda tables: len(tables["run"]))
    finally:
        _remove(grafted)
    _remove(fresh)
    connection = connect(fresh, "rwc")
    try:
        connection.execute("PRAGMA synchronous = full")
        connection.executescript(_CREATE)
        connection.execute("BEGIN IMMEDIATE")
        for table, rows in found.items():
            marks = ", ".join("?" * len(TABLES[table]))
            connection.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", rows)
        connection.execute("COMMIT")
    finally:
        connection.close()
    return f"{len(found['run'])} runs and {len(found['output'])} outputs"


def _read(path: Path) -> dict[str, list[tuple]]:
    """The rows of each table that can be read and make sense."""
    try:
        connection = connect(path, "ro")
    except sqlite3.Error:
        return {table: [] for table in TABLES}
    with contextlib.closing(connection):
        tables = {table: list(_rows(connection, table)) for table in TABLES}
    documents = {row[1]: row for row in tables["document"] if _is_document(row)}
    runs = {row[1]: row for row in (_mended(row, documents) for row in tables["run"]) if row is not None}
    numbers = {row[0] for row in runs.values()}
    graphs = {row[5] for row in runs.values()}
    sweeps = {row[0]: row for row in tables["sweep"] if _is_sweep(row)}
    return {
        "document": [row for sha, row in documents.items() if sha in graphs],
        "run": list(runs.values()),
        "output": [row for row in tables["output"] if row[1] in numbers and all(isinstance(text, str) for text in row[2:]) and _is_json(row[5])],
        "sweep": list(sweeps.values()),
        "cell": [row for row in tables["cell"] if row[0] in numbers and row[1] in sweeps and isinstance(row[2], int)],
    }


def _rows(connection: sqlite3.Connection, table: str) -> Iterator[tuple]:
    """Every row of a table that SQLite can reach, in ascending order; a page that it cannot read costs the rows on it."""
    at: int | None = 0
    while at is not None:
        try:
            for row in connection.execute(f"SELECT {', '.join(TABLES[table])} FROM {table} WHERE number > ? ORDER BY number", (at,)):
                if type(row[0]) is not int or row[0] <= at:
                    break  # pages that point in a circle
                at = row[0]
                yield row
            else:
                return
        except (sqlite3.Error, UnicodeDecodeError) as error:
            if str(error).startswith("no such"):
                return
        at = _behind(connection, table, at)


def _behind(connection: sqlite3.Connection, table: str, at: int) -> int | None:
    """The first number behind a place that cannot be read from which on rows can be reached again; None if there is none."""

    def reachable(number: int) -> bool:
        try:
            row = connection.execute(f"SELECT number FROM {table} WHERE number > ? ORDER BY number LIMIT 1", (number,)).fetchone()
        except (sqlite3.Error, UnicodeDecodeError):
            return False
        return row is None or row[0] > number

    for number in range(at + 1, at + NEAR):
        if reachable(number):
            return number
    low, step = at + NEAR, NEAR
    while not reachable(low + step):
        low, step = low + step, 2 * step
        if low + step > LARGEST:
            return None
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reachable(middle) else (middle, high)
    return high


def _is_document(row: tuple) -> bool:
    return isinstance(row[2], bytes) and unpacked(row[2], row[1]) is not None


def _is_sweep(row: tuple) -> bool:
    texts = isinstance(row[1], str) and re.fullmatch("[0-9a-f]{16}", row[1]) and (row[2] is None or isinstance(row[2], str))
    return bool(texts) and _is_json(row[3]) and row[4] in ("product", "zip")


def unpacked(body: bytes, sha: str) -> bytes | None:
    """A document's bytes; None if they are not what was written."""
    try:
        document = zlib.decompress(body)
    except zlib.error:
        return None
    return document if hashlib.sha256(document).hexdigest() == sha else None


def _mended(row: tuple, documents: dict[str, tuple]) -> tuple | None:
    """A run's row as a journal may hold it; None if it is none. What waited and cannot be run any more is interrupted."""
    run = dict(zip(TABLES["run"], row))
    if not isinstance(run["id"], str) or not re.fullmatch("[0-9a-f]{16}", run["id"]) or not isinstance(run["graph"], str):
        return None
    whole = run["graph"] in documents and _is_json(run["inputs"]) and (run["targets"] is None or _is_json(run["targets"]))
    if run["state"] not in STATES or (run["state"] not in ENDED and not whole):
        run["state"] = "interrupted"
        run["error"] = json.dumps({"code": "damaged", "message": "The journal was damaged where it held this run; submit it again."})
    for column in ("name", "title", "source", "inputs"):
        if not isinstance(run[column], str):
            run[column] = "{}" if column == "inputs" else ""
    for column, kinds in (("key", str), ("targets", str), ("parent", str), ("device", str), ("error", str), ("timings", str), ("started", float),
                          ("finished", float), ("seconds", float), ("executed", int), ("cached", int)):  # fmt: skip
        if not isinstance(run[column], kinds):
            run[column] = None
    for column, kinds in (("place", float), ("submitted", float), ("attempt", int), ("crashes", int)):
        if not isinstance(run[column], kinds):
            run[column] = kinds(0)
    return tuple(run.values())


def _is_json(text: Any) -> bool:
    try:
        json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _graft(path: Path, grafted: Path) -> None:
    """A copy whose first page, which says where all tables begin, is that of an empty journal: tables always begin on the same pages."""
    _remove(grafted)
    connection = connect(grafted, "rwc")
    connection.executescript(_CREATE)
    connection.close()
    page = bytearray(grafted.read_bytes()[:PAGE])
    page[28:32] = bytes(4)  # how many pages there are: SQLite then asks the file's length
    page[18:20] = b"\2\2"  # there is a write-ahead log
    grafted.write_bytes(page + path.read_bytes()[PAGE:])
    wal = Path(f"{path}-wal")
    if wal.exists():
        Path(f"{grafted}-wal").write_bytes(wal.read_bytes())


def _move_aside(path: Path) -> Path:
    """Rename the damaged file, and its log, to the first free name."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    os.replace(path, aside)
    with contextlib.suppress(FileNotFoundError):
        os.replace(f"{path}-wal", f"{aside}-wal")
    return aside


def _finish(path: Path, fresh: Path) -> None:
    """Give a rewritten journal its name; one that was still being written when the process died is dropped instead."""
    if path.exists():
        _remove(fresh)
        return
    for suffix in ("-wal", "-shm"):  # those of the damaged file, which must not be read as this one's
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    os.replace(fresh, path)
    sync_folder(path.parent)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)

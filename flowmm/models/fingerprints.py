"""Content digests of model files, remembered on disk so that gigabytes are hashed once.

A file is known by path, size, mtime_ns and inode. A file younger than RACE seconds is not remembered, since it could
still change without its time changing.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..home import home

RACE = 2.0
SMALL = 1 << 16  # bytes up to which reading a file costs less than looking it up

# Stamps of the library that wrote a config; they say nothing of the model.
STAMPS = ("_name_or_path", "_diffusers_version", "transformers_version", "_commit_hash")

_Stat = tuple[int, int, int]
_known: dict[tuple[str, str], tuple[_Stat, str]] = {}
_lock = threading.Lock()


def of_config(config: Mapping[str, Any]) -> str:
    """sha256 of a config's content; spelling, order and library stamps do not count."""
    kept = {name: value for name, value in config.items() if name not in STAMPS}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def of_parts(parts: Mapping[str, str]) -> str:
    """One sha256 over named digests."""
    lines = "".join(f"{len(name)}:{name}={digest}\n" for name, digest in sorted(parts.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def of_file(path: Path) -> str:
    """sha256 of a file's bytes; of a large one remembered in this process and in $FLOWMM_HOME."""
    path = path.resolve()
    stat = _stat(path)
    if stat[0] <= SMALL:
        return _hash(path)
    memo = home() / "fingerprints.sqlite"
    key = (str(memo), str(path))
    with _lock:
        found = _known.get(key)
        if found is None or found[0] != stat:
            remembered = _recall(memo, key[1], stat)
            found = (stat, remembered or _hash(path))
            if time.time() - stat[1] / 1e9 <= RACE or _stat(path) != stat:
                return found[1]
            if remembered is None:
                _remember(memo, key[1], found)
            _known[key] = found
        return found[1]


def _stat(path: Path) -> _Stat:
    stat = os.stat(path)
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _hash(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _recall(memo: Path, path: str, stat: _Stat) -> str | None:
    if not memo.is_file():
        return None
    rows = _query(memo, "SELECT sha256 FROM files WHERE path=? AND size=? AND mtime_ns=? AND inode=?", (path, *map(str, stat)))
    return rows[0][0] if rows else None


def _remember(memo: Path, path: str, found: tuple[_Stat, str]) -> None:
    try:
        memo.parent.mkdir(parents=True, exist_ok=True)
    except OSError:  # a read-only home: hashed again next time
        return
    _query(memo, "CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, size TEXT, mtime_ns TEXT, inode TEXT, sha256 TEXT)", ())
    _query(memo, "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", (path, *map(str, found[0]), found[1]))


def _query(memo: Path, statement: str, values: tuple) -> list[tuple]:
    """Rows of one statement; a locked, damaged or unwritable memo is as good as an empty one."""
    import sqlite3

    try:
        connection = sqlite3.connect(memo, timeout=5)
        try:
            with connection:
                return connection.execute(statement, values).fetchall()
        finally:
            connection.close()
    except sqlite3.Error:
        return []

"""Graphs as files, for the tests of saved graphs."""

from __future__ import annotations

import json
from pathlib import Path


def graph(title: str = "A graph", **more) -> bytes:
    return json.dumps({"flowmm": 1, "title": title, **more}).encode()


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}

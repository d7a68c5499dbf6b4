"""Models by the bare names that other programs' graphs have for them: files and folders of models below folders that a person named."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

ENDINGS = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")
MARKS = ("model_index.json", "config.json", "adapter_config.json")  # of a folder that is a model
MOST_LOOKED_AT = 100_000


class Models:
    """What lies below some folders, looked through once. Only names that were found there are ever given: no name of a graph is opened."""

    def __init__(self, folders: list[Path]):
        self.folders = folders
        self._known: dict[str, Path] | None = None

    def find(self, name: str) -> Path | None:
        """By its path below one of the folders, else by its last part, with or without its ending."""
        if self._known is None:
            self._known = {}
            for folder in self.folders:
                for path in _models(folder):
                    relative = path.relative_to(folder).as_posix()
                    for key in (relative, path.name, path.stem if path.suffix in ENDINGS else path.name):
                        self._known.setdefault(key.casefold(), path)
        parts = re.split(r"[/\\]", name.casefold())
        stem = parts[-1].rpartition(".")[0]
        return next((self._known[key] for key in ("/".join(parts), parts[-1], stem) if key in self._known), None)


def _models(folder: Path) -> Iterator[Path]:
    looked_at = 0
    for place, folders, files in os.walk(folder):
        folders.sort()
        looked_at += len(files) + 1
        if looked_at > MOST_LOOKED_AT:
            return
        if any(mark in files for mark in MARKS):
            yield Path(place)
            continue
        yield from (Path(place) / file for file in sorted(files) if file.endswith(ENDINGS))

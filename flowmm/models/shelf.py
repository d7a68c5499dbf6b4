"""What models are here (embedded, pulled, converted), and how one is removed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import zoo
from . import patches, snapshots
from .snapshots import Repo
from .weights import SourceError


@dataclass(frozen=True)
class Entry:
    """name: what to give as `--model`. kind: embedded, pulled, converted, cache (the user's Hugging Face cache) or unfinished."""

    name: str
    kind: str
    cls: str
    bytes: int
    commit: str
    licence: str
    folder: Path

    def as_json(self) -> dict[str, Any]:
        found = asdict(self)
        return found | {"class": found.pop("cls"), "folder": str(self.folder)}


def entries() -> list[Entry]:
    """Every model that is here."""
    embedded = [_entry(f"zoo:{card.parent.name}", "embedded", card.parent) for card in sorted(zoo.WEIGHTS.glob("*/flowmm.json"))]
    return [*embedded, *_pulled(), *(_entry(str(snapshots.given(one)), "converted", one) for one in _converted()), *_cached()]


def removal(name: str) -> list[Path]:
    """The files and folders that removing a model removes; a repository without a revision goes with all its versions.

    Raises SourceError for an embedded model, and for anything outside $FLOWMM_HOME/models.
    """
    if name.startswith("zoo:"):
        raise SourceError(f"`{name}` is part of flowmm and stays")
    shelf = snapshots.models() / "converted"
    given = Path(name).expanduser()
    direct = shelf / name if Path(name).name == name and name not in (".", "..") else given.absolute()
    if not name.startswith("hf:"):
        for one in (direct, direct.parent):  # a single checkpoint is named by its file
            if one.parent == shelf and os.path.lexists(one):
                return [one]
        if given.is_absolute() or given.exists() or name.startswith((".", "~")):
            raise SourceError(f"`{name}` is not in {snapshots.models()}; flowmm removes only what it put there itself")
    repo = snapshots.parse(name)
    ours = snapshots.ours(repo)
    if not repo.revision and repo.folder.is_dir() and (ours or snapshots.parts(repo)):
        return [repo.folder]
    if repo.revision:
        wanted = [one for one in ours if repo.revision in one.revisions or (len(repo.revision) >= 7 and one.commit.startswith(repo.revision))]
        if wanted:
            return [path for one in wanted for path in (one.manifest, one.folder)]
    if snapshots.cached(repo):
        raise SourceError(f"`{repo}` lies in your Hugging Face cache ({snapshots.cache()}), which is not flowmm's to clear; use `hf cache rm`")
    raise SourceError(f"there is no `{name}` to remove; `flowmm models ls` says what is here")


def remove(paths: list[Path]) -> None:
    """Remove what `removal` found: out of sight first, so that nobody meets half a model."""
    for path in paths:
        if path.is_symlink() or path.is_file():
            path.unlink()
            continue
        gone = path.with_name(f".{path.name}.{os.getpid()}.gone")
        os.replace(path, gone)
        shutil.rmtree(gone)


def size(path: Path) -> int:
    """Bytes of a file or a folder's files, links followed."""
    if path.is_file():
        return path.stat().st_size
    return sum(one.stat().st_size for one in path.rglob("*") if one.is_file())


def class_of(folder: Path) -> str:
    """The class a folder's config names, LoRA for one that has only that; "" where it has none."""
    for file, names in (("model_index.json", ("_class_name",)), ("config.json", ("architectures", "_class_name", "model_type"))):
        try:
            config = json.loads((folder / file).read_text(encoding="utf-8"))
            stated = next((config[name] for name in names if config.get(name)), "")
        except (OSError, ValueError, AttributeError, TypeError):
            continue
        return str(stated[0] if isinstance(stated, list) else stated)
    return "LoRA" if any((folder / name).is_file() for name in patches.NAMES) else ""


def _entry(name: str, kind: str, folder: Path, commit: str = "", licence: str = "") -> Entry:
    return Entry(name, kind, class_of(folder), size(folder), commit, licence, folder)


def _pulled() -> Iterator[Entry]:
    for repo in snapshots.repos():
        there = snapshots.ours(repo)
        for one in there:
            plain = len(there) == 1 or snapshots.MAIN in one.revisions
            revision = next((name for name in one.revisions if name != snapshots.MAIN), one.commit[:12])
            yield _entry(str(Repo(repo.id, "" if plain else revision)), "pulled", one.folder, one.commit, one.licence)
        for part in snapshots.parts(repo):
            yield _entry(str(repo), "unfinished", part, part.stem)


def _cached() -> Iterator[Entry]:
    for folder in sorted(snapshots.cache().glob("models--*")):
        repo = Repo(folder.name.removeprefix("models--").replace("--", "/", 1))
        there = snapshots.cached(repo)
        for one in there:
            if class_of(one.folder):
                plain = len(there) == 1 or snapshots.MAIN in one.revisions
                yield _entry(str(Repo(repo.id, "" if plain else one.commit[:12])), "cache", one.folder, one.commit)


def _converted() -> list[Path]:
    return sorted(one for one in (snapshots.models() / "converted").glob("*") if one.is_dir() and not one.name.startswith("."))

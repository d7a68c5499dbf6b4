"""Saved graphs: the person's own, which can be changed, and the shipped ones, which cannot.

    own/NAME.json                      own/.history/NAME/NUMBER-ETAG.json      own/.trash/ID/NAME.json, own/.trash/ID/history/…

An own graph hides a shipped one of its name. A caller who changes a graph names the etag of what he read, so that nobody's
work is overwritten unseen.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import stat
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..face.find import place
from ..files import sync_folder, write_whole
from ..graph import document
from ..graph.document import Document, Words
from ..graph.problems import Unreadable, meant, shorten
from .refusals import Refused, refusal, writing

VERSIONS = 100  # kept of each graph, besides the graph itself
LARGEST = 2**26  # bytes of a graph: some 300,000 nodes

_NAME = re.compile(r"(?!(?:con|prn|aux|nul|com[0-9]|lpt[0-9])$)[a-z0-9](?:[a-z0-9 _-]{0,78}[a-z0-9_-])?", re.IGNORECASE | re.ASCII)
_VERSION = re.compile(r"([0-9]{8,16})-([0-9a-f]{32})\.json")
_TRASHED = re.compile(r"[0-9a-f]{16}")
_WANTED = "A name has 1 to 80 letters, digits, spaces, _ and -, begins with a letter or digit, and is no device of Windows."


@dataclass(frozen=True, slots=True)
class Listed:
    """A graph as a list shows it. modified: Unix seconds. problem: why it cannot be opened, else "".
    etag: "" if not even its bytes can be read."""

    name: str
    own: bool
    etag: str = ""
    modified: float = 0.0
    title: Words = ""
    about: Words = ""
    tags: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    problem: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    own: bool
    data: bytes
    etag: str
    status: os.stat_result


def etag_of(data: bytes) -> str:
    """What names these bytes, as HTTP writes it."""
    return f'"{hashlib.sha256(data).hexdigest()[:32]}"'


def is_graph_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


class SavedGraphs:
    """own, shipped: folders; own is made by the first save. Safe to use from several threads; every method raises Refused."""

    def __init__(self, own: Path, shipped: Path):
        self.own, self.shipped = Path(own), Path(shipped)
        self._lock = threading.RLock()  # held by whoever changes something, or reads what changes in several steps
        self._known: dict[Path, tuple[tuple[int, int, int], Listed]] = {}
        for pattern in (".*.json.*.tmp", ".history/*/.*.json.*.tmp"):  # of a process that was killed
            for scrap in self.own.glob(pattern):
                with contextlib.suppress(OSError):
                    scrap.unlink()

    # ── reading ─────────────────────────────────────────────────────────────────────────────────

    def list(self) -> list[Listed]:
        """Every graph, the unreadable ones with their reason, in the order in which the shipped ones teach the field."""
        known, self._known = self._known, {}
        found = {}
        for folder, own in ((self.shipped, False), (self.own, True)):
            for name, entry in _entries(folder).items():
                try:
                    found[name] = self._listed(Path(entry.path), own, entry, known)
                except FileNotFoundError:  # gone since
                    continue
        return sorted(found.values(), key=lambda graph: (place(graph.tags), graph.name.casefold(), graph.name))

    def _listed(self, path: Path, own: bool, entry: os.DirEntry, known: dict) -> Listed:
        """What a list shows of a file; parsed again only when the file has changed."""
        status = entry.stat(follow_symlinks=not own)
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if path in known and known[path][0] == stamp:
            self._known[path] = known[path]
            return known[path][1]
        name = _printable(path.stem)
        if not is_graph_name(path.stem):
            return Listed(name, own, problem=f"`{name}` cannot be the name of a graph. {_WANTED}")
        try:
            file = self._file(path, own)
        except Refused as refused:
            return Listed(name, own, problem=str(refused))
        modified = file.status.st_mtime
        try:
            made = _summary(document.read(file.data, f"`{path.name}`"), Listed(name, own, file.etag, modified))
        except Unreadable as error:
            made = Listed(name, own, file.etag, modified, problem=_printable(str(error.problems[0])))
        if (file.status.st_mtime_ns, file.status.st_size, file.status.st_ino) == stamp:  # else a link, whose target changes unseen
            self._known[path] = stamp, made
        return made

    def read(self, name: str) -> tuple[bytes, str, bool]:
        """A graph's bytes, its etag, and whether it is the person's own."""
        file = self._present(name)
        return file.data, file.etag, file.own

    def path(self, name: str) -> Path:
        """The file of a graph: the own one, else the shipped one, else where it would be saved."""
        _valid(name, 404)
        file = self._look(name)
        return file.path if file else self.own / f"{name}.json"

    def mentions(self, name: str) -> bool:
        """Whether a graph of the person's own names an upload; reads them all, for rare occasions."""
        return any(name.encode() in (self.own / f"{one}.json").read_bytes() for one in [listed.name for listed in self.list() if listed.own])

    # ── changing ────────────────────────────────────────────────────────────────────────────────

    def save(self, name: str, data: bytes, *, match: str | None = None, none_match: bool = False) -> str:
        """Write a graph and return its etag; what it replaces goes to the history first.

        match: the etag of what is replaced. none_match: there must be none yet. Bytes that are there already are not
        written again, whatever `match` says: so a save whose answer was lost can be repeated.
        """
        _valid(name, 400)
        if len(data) > LARGEST:
            raise Refused(413, "too-large", f"`{name}` has {len(data):,} bytes; a graph may have {LARGEST:,}", "Split it.")
        _parsed(data, name)
        etag, path = etag_of(data), self.own / f"{name}.json"
        with self._lock, writing(f"`{name}`"):
            there = self._look(name)
            if there is None:
                if match is not None:
                    raise Refused(412, "gone", f"`{name}` is no longer there", "Save it as a new graph.")
                self._free(name)
            else:
                if none_match:
                    raise Refused(412, "exists", f"there is a graph `{name}` already", "Choose another name, or open that one.")
                if there.own and there.etag == etag and match is not None:
                    return etag
                _same(there, name, match)
                self._keep(name, there)
            self.own.mkdir(parents=True, exist_ok=True)
            write_whole(path, data, sync=True)
            self._known.pop(path, None)
        return etag

    def rename(self, name: str, to: str, match: str | None) -> str:
        """Give an own graph and its history another name; its etag."""
        _valid(name, 404)
        _valid(to, 400)
        with self._lock, writing(f"`{name}`"):
            file = self._mine(name, match)
            if to != name:
                self._free(to, besides=name)
                self._move(file.path, self.own / f"{to}.json", self._hidden(".history", name), self._hidden(".history", to))
        return file.etag

    def delete(self, name: str, match: str | None) -> str:
        """Put an own graph and its history into the trash; the id to restore it by."""
        _valid(name, 404)
        with self._lock, writing("the trash"):
            file = self._mine(name, match)
            trashed = secrets.token_hex(8)
            folder = self._hidden(".trash", trashed)
            _make(folder)
            self._move(file.path, folder / file.path.name, self._hidden(".history", name), folder / "history")
        return trashed

    def trash(self) -> list[dict[str, Any]]:
        """[{id, name, deleted (Unix seconds), bytes}], what was deleted last first."""
        found = []
        with self._lock:
            for folder in _scan(self._hidden(".trash")):
                if _TRASHED.fullmatch(folder.name) and folder.is_dir(follow_symlinks=False):
                    deleted = os.lstat(folder.path)
                    for name, entry in _entries(Path(folder.path)).items():
                        item = {"id": folder.name, "name": name, "deleted": deleted.st_mtime, "bytes": os.lstat(entry.path).st_size}
                        found.append((deleted.st_mtime_ns, item))
        return [item for _, item in sorted(found, key=lambda pair: (-pair[0], pair[1]["id"]))]

    def restore(self, trashed: str) -> str:
        """Bring a deleted graph back under its name, which is returned; never over another graph."""
        with self._lock, writing("the graph"):
            name = self._thrown(trashed)
            self._free(name, over_shipped=True)
            folder = self._hidden(".trash", trashed)
            self._move(folder / f"{name}.json", self.own / f"{name}.json", folder / "history", self._hidden(".history", name))
            with contextlib.suppress(OSError):  # it may hold what is not ours
                folder.rmdir()
        return name

    def forget(self, trashed: str) -> str:
        """Delete what is in the trash for good, its history too; its name."""
        with self._lock, writing("the trash"):
            name = self._thrown(trashed)
            folder = self._hidden(".trash", trashed)
            shutil.rmtree(self._hidden(".trash", trashed, "history"), ignore_errors=True)
            (folder / f"{name}.json").unlink()
            with contextlib.suppress(OSError):  # it may hold what is not ours
                folder.rmdir()
        return name

    def _thrown(self, trashed: str) -> str:
        """The name of a graph in the trash. Raises Refused."""
        name = next((item["name"] for item in self.trash() if item["id"] == trashed), None)
        if name is None:
            raise Refused(404, "not-in-trash", f"there is nothing {shorten(repr(trashed))} in the trash", "List the trash again.")
        return name

    # ── earlier versions ────────────────────────────────────────────────────────────────────────

    def history(self, name: str) -> list[dict[str, Any]]:
        """[{etag, saved (Unix seconds), bytes}] of what a graph was before, newest first."""
        with self._lock:
            self._present(name)
            versions = [(etag, os.lstat(path)) for path, etag in reversed(_versions(self._hidden(".history", name)))]
        return [{"etag": etag, "saved": status.st_mtime, "bytes": status.st_size} for etag, status in versions]

    def version(self, name: str, etag: str) -> bytes:
        """The bytes that a graph had, or has, under this etag."""
        with self._lock:
            file = self._present(name)
            if file.etag == etag:
                return file.data
            path = next((path for path, known in _versions(self._hidden(".history", name)) if known == etag), None)
            kept = self._file(path, True) if path else None
        if kept and kept.etag == etag:
            return kept.data
        if kept:
            raise Refused(422, "damaged", f"that version of `{name}` was damaged on the disk", "Take another one.")
        raise Refused(404, "no-version", f"`{name}` has no version {shorten(repr(etag))}", "List its history again.")

    def _keep(self, name: str, file: _File) -> None:
        """Put what is about to be replaced into the history; the oldest versions go."""
        folder = self._hidden(".history", name)
        _make(folder)
        versions = _versions(folder)
        if versions and versions[-1][1] == file.etag:  # kept by a save that then failed
            return
        number = int(versions[-1][0].name.partition("-")[0]) + 1 if versions else 1
        path = folder / f"{number:08d}-{file.etag[1:-1]}.json"
        write_whole(path, file.data, sync=True)
        os.utime(path, ns=(file.status.st_mtime_ns, file.status.st_mtime_ns))
        for old, _ in versions[: max(0, len(versions) + 1 - VERSIONS)]:
            old.unlink()

    # ── the disk ────────────────────────────────────────────────────────────────────────────────

    def _look(self, name: str) -> _File | None:
        """The own graph of a name, else the shipped one. The name was checked."""
        for folder, own in ((self.own, True), (self.shipped, False)):
            try:
                return self._file(folder / f"{name}.json", own)
            except (FileNotFoundError, NotADirectoryError):
                continue
        return None

    def _present(self, name: str) -> _File:
        _valid(name, 404)
        file = self._look(name)
        if file is None:
            known = [*_entries(self.shipped), *_entries(self.own)]
            fix = meant(name, filter(is_graph_name, known), "List the graphs again.")
            raise Refused(404, "no-graph", f"there is no graph named `{name}`", fix)
        return file

    def _mine(self, name: str, match: str | None) -> _File:
        """An own graph that is as the caller knows it."""
        file = self._present(name)
        if not file.own:
            raise Refused(403, "shipped", f"`{name}` comes with flowmm and stays as it is", "Save it under another name, and change that.")
        _same(file, name, match)
        return file

    def _free(self, name: str, besides: str = "", over_shipped: bool = False) -> None:
        """Refused if there is such a graph, or one that only case tells apart: some systems take both for one."""
        known = [other for other in _entries(self.own) if other != besides] + ([] if over_shipped else [*_entries(self.shipped)])
        taken = next((other for other in known if other.casefold() == name.casefold()), None)
        if taken is not None:
            raise Refused(409, "exists", f"there is a graph `{taken}` already", "Choose another name.")

    def _file(self, path: Path, own: bool) -> _File:
        """A graph's file, read. Links among the own ones are followed only inside. Raises FileNotFoundError, Refused."""
        try:
            real = os.path.realpath(path, strict=True) if own and os.path.islink(path) else path
        except OSError:
            raise Refused(403, "bad-link", f"`{path.name}` is a link that leads nowhere", "Remove it from the folder of graphs.") from None
        if real is not path and not Path(real).is_relative_to(os.path.realpath(self.own)):
            raise Refused(403, "bad-link", f"`{path.name}` is a link that leads out of the folder of graphs", "Put the file itself there.")
        try:
            if not stat.S_ISREG(os.stat(real).st_mode):  # opening a pipe would wait for ever
                raise Refused(409, "no-file", f"`{path.name}` is no file", "Remove it from the folder of graphs.")
            with open(real, "rb", opener=_opener if own else None) as file:
                status = os.fstat(file.fileno())
                if status.st_size > LARGEST:
                    raise Refused(413, "too-large", f"`{path.name}` has {status.st_size:,} bytes; a graph may have {LARGEST:,}", "Is it a graph?")
                data = file.read(LARGEST)
        except (FileNotFoundError, NotADirectoryError):
            raise
        except OSError as error:
            raise refusal(error, f"`{path.name}`", "read") from error
        return _File(path, own, data, etag_of(data), status)

    def _hidden(self, *parts: str) -> Path:
        """A folder of ours inside `own`; Refused if a link makes it lead elsewhere."""
        path = self.own.joinpath(*parts)
        if os.path.normcase(os.path.realpath(path)) != os.path.normcase(os.path.join(os.path.realpath(self.own), *parts)):
            raise Refused(403, "bad-link", f"`{'/'.join(parts)}` is a link", "Remove it from the folder of graphs.")
        return path

    def _move(self, source: Path, target: Path, past: Path, past_target: Path) -> None:
        """A graph's file and its past to other names; both or neither."""
        os.rename(source, target)
        try:
            _move_past(past, past_target)
        except OSError:
            os.rename(target, source)
            raise
        for folder in {source.parent, target.parent}:
            sync_folder(folder)


def _move_past(past: Path, target: Path) -> None:
    """A history to another place; joined with what a crash may have left there."""
    if not past.is_dir():
        return
    _make(target.parent)
    if not target.is_dir():
        os.rename(past, target)
    else:
        for path, _ in _versions(past):
            os.replace(path, target / path.name)
        with contextlib.suppress(OSError):  # it may hold what is not ours
            past.rmdir()
    sync_folder(target.parent)


def _valid(name: str, status: int) -> None:
    if not is_graph_name(name):
        raise Refused(status, "bad-name", f"{shorten(repr(name))} cannot be the name of a graph", _WANTED)


def _parsed(data: bytes, name: str) -> Document:
    try:
        return document.read(data, f"`{name}`")
    except Unreadable as error:
        raise Refused(422, "unreadable", f"`{name}` cannot be read as a graph", "See its problems.", error.problems) from None


def _same(file: _File, name: str, match: str | None) -> None:
    """Refused unless the caller knows what is there now."""
    if match is None:
        raise Refused(428, "no-etag", f"`{name}` is there, and the request does not say which version of it was read", "Send its etag as If-Match.")
    if match != file.etag:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(file.status.st_mtime))
        raise Refused(412, "changed", f"`{name}` has changed since it was read: it was last saved {when} UTC", "Read it again, or save under another name.")


def _summary(doc: Document, listed: Listed) -> Listed:
    return Listed(
        listed.name, listed.own, listed.etag, listed.modified, _printable(doc.title), _printable(doc.about),
        tuple(map(_printable, doc.tags)), tuple(doc.inputs), tuple(doc.outputs),
    )  # fmt: skip


def _printable(text: Words) -> Words:
    """Words that can be sent as UTF-8: JSON may hold half of a surrogate pair, and a file's name any bytes."""
    if isinstance(text, str):
        return text.encode("utf-8", "replace").decode()
    return {_printable(language): _printable(words) for language, words in text.items()}


def _versions(folder: Path) -> list[tuple[Path, str]]:
    """Every version in a history with its etag, the oldest first: by number, as the clock may go backwards."""
    found = [(int(match[1]), entry.path, match[2]) for entry in _scan(folder) if (match := _VERSION.fullmatch(entry.name))]
    return [(Path(path), f'"{etag}"') for _, path, etag in sorted(found)]


def _entries(folder: Path) -> dict[str, os.DirEntry]:
    """What lies in a folder as graphs, by name."""
    return {entry.name[:-5]: entry for entry in _scan(folder) if entry.name.endswith(".json") and not entry.name.startswith(".")}


def _scan(folder: Path) -> list[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise refusal(error, f"the folder `{folder.name}`", "read") from error


def _make(folder: Path) -> None:
    """A folder whose name is on the disk, with those it lies in."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0))

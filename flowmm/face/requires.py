"""What a graph needs beside itself: packs, models and files, with the versions and sha256 it was made with, and which of these are missing."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..catalog import Port
from ..catalog.packs import BUILTIN, packs
from ..graph.check import input_value
from ..graph.coerce import Folder
from ..graph.document import every
from ..graph.pieces import PREFIX
from ..graph.problems import GraphError, Problem, listed, shorten
from ..graph.wiring import Const, Input, leaf_ports
from ..models import fingerprints
from ..models.patches import lora
from ..models.snapshots import parse
from ..models.source import open_source
from ..models.weights import SourceError
from ..sockets import NotAccepted
from .png import names_files

if TYPE_CHECKING:
    from .graph import Graph

MOST_FILES = 10_000  # of a folder that a graph names
SHOWN = 12  # digits of a sha256 in a sentence
EMBEDDED, HUB = "zoo:", "hf:"


@dataclass(slots=True)
class Named:
    """A model, file or folder as a graph names it. places: the ports it comes to. folder: where a path leads, None anywhere."""

    text: str
    folder: Folder | None
    places: list[str]

    @property
    def path(self) -> str:
        """The path it stands for; of an embedded model or one of the hub its name. Raises NotAccepted."""
        if self.text.startswith((EMBEDDED, HUB)):
            return self.text
        return str(self.folder.resolve(self.text)) if self.folder is not None else os.path.expanduser(self.text)


def named_models(graph: Graph, given: Mapping[str, Any] | None = None) -> list[Named]:
    """The models and LoRAs that a graph names, with these inputs where given."""
    return _named(graph, given or {}, lambda port: port.source)


def named_files(graph: Graph, given: Mapping[str, Any] | None = None) -> list[Named]:
    """The pictures, files and folders that a graph names itself; what is given for an input is somebody's own."""
    return _named(graph, dict.fromkeys(given or {}), lambda port: not port.source and names_files(port))


def _named(graph: Graph, given: Mapping[str, Any], wanted: Callable[[Port], bool]) -> list[Named]:
    wiring, found = graph.wiring, {}
    for i, spec in enumerate(wiring.specs):
        for name, port in spec.inputs.items() if spec else ():
            if not wanted(port) or (wire := wiring.wires[i].get(name)) is None:
                continue
            for leaf, _ in leaf_ports(wire, port):
                value, folder = None, graph.folder
                if type(leaf) is Const:
                    value, folder = leaf.value, leaf.folder or folder
                elif type(leaf) is Input:
                    value, trusted = input_value(wiring, leaf.name, given)
                    folder = None if trusted else folder
                for text in _texts(value):
                    key = text, folder.base if folder else None
                    found.setdefault(key, Named(text, folder, [])).places.append(f"{wiring.names[i]}.{name}")
    return list(found.values())


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value:
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def opened(source: str) -> tuple[str, dict[str, Any]]:
    """What a model or LoRA that is here is: its class, and by name what has a fingerprint. Raises SourceError, ValueError."""
    try:
        found = open_source(source)
    except ValueError:
        try:
            return "LoRA", {"lora": lora(source, 1)}
        except ValueError:
            pass
        raise
    return found.cls, {name or "model": part for name, part in found.components.items() if part.here}


# ── to write ────────────────────────────────────────────────────────────────────────────────────


def required(graph: Graph) -> dict[str, Any]:
    """`requires` of a graph, as it is here; of a model that is not, what was told before. Raises GraphError for what cannot be told."""
    made: dict[str, Any] = {"flowmm": __version__, "packs": _packs(graph), "models": {}, "files": {}}
    problems = []
    for one in named_models(graph):
        try:
            cls, parts = opened(one.path)
            told = {"class": cls, "sha256": _fingerprints(parts)}
        except (ValueError, OSError):
            told = _before(graph, "models").get(one.text, {})
        _tell(made["models"], one, told, problems)
    for one in named_files(graph):
        with contextlib.suppress(ValueError, OSError):  # the check says that it is not here
            _tell(made["files"], one, digest(Path(one.path)), problems)
    if problems:
        raise GraphError(problems)
    return {name: value for name, value in made.items() if value}


def _fingerprints(parts: Mapping[str, Any]) -> dict[str, str]:
    """sha256 of every part that is whole. Raises SourceError, OSError if none is."""
    found, wrong = {}, None
    for name, part in sorted(parts.items()):
        try:
            found[name] = part.fingerprint
        except (ValueError, OSError) as error:
            wrong = error
    if not found and wrong is not None:
        raise wrong
    return found


def _packs(graph: Graph) -> dict[str, Any]:
    return {name: {"distribution": packs()[name].distribution, "version": packs()[name].version} for name in sorted(_used(graph)) if name in packs()}


def _used(graph: Graph) -> dict[str, str]:
    """The packs whose nodes a graph or one of its definitions has, each with such a node."""
    nodes = [(name, node.op) for one in every(graph.document) for name, node in one.nodes.items() if not node.op.startswith((PREFIX, "local:"))]
    return {op.rpartition(":")[0]: name for name, op in reversed(nodes) if ":" in op and op.rpartition(":")[0] != BUILTIN}


def _tell(told: dict[str, Any], one: Named, value: Any, problems: list[Problem]) -> None:
    if told.setdefault(one.text, value) != value:
        message = f"two of the graph's pieces name `{shorten(one.text)}`, but beside each lies another one"
        problems.append(_problem("two-files", message, one, fix="Rename one of them."))


def _before(graph: Graph, part: str) -> Mapping[str, Any]:
    """What the document says it requires."""
    told = graph.document.requires.get(part)
    return told if isinstance(told, dict) else {}


def digest(path: Path) -> str:
    """sha256 of a file, or of a folder's files by name. Raises OSError."""
    if not path.is_dir():
        return fingerprints.of_file(path)
    files = sorted(one for one in islice(path.rglob("*"), MOST_FILES + 1) if one.is_file())
    if len(files) > MOST_FILES:
        raise OSError(f"{path.name} holds more than {MOST_FILES:,} files")
    return fingerprints.of_parts({one.relative_to(path).as_posix(): fingerprints.of_file(one) for one in files})


# ── to check ────────────────────────────────────────────────────────────────────────────────────


def problems(graph: Graph, given: Mapping[str, Any]) -> list[Problem]:
    """What a graph's `requires` names and is missing here, or is another; what it no longer needs does not count."""
    wanted = {part: _before(graph, part) for part in ("packs", "models", "files")}
    found = [*_flowmm(graph.document.requires.get("flowmm")), *_missing_packs(graph, wanted["packs"])]
    for one in named_models(graph, given) if wanted["models"] else ():
        entry = wanted["models"].get(one.text)
        if isinstance(entry, dict):
            found += _model(one, str(entry.get("class") or "model"), _digests(entry.get("sha256")))
    for one in named_files(graph, given) if wanted["files"] else ():
        sha256 = wanted["files"].get(one.text)
        if _is_digest(sha256):
            found += _file(one, sha256)
    return found


def _digests(told: Any) -> dict[str, str]:
    """By component, where they are well formed."""
    return {name: value for name, value in told.items() if _is_digest(value)} if isinstance(told, dict) else {}


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _flowmm(version: Any) -> Iterator[Problem]:
    if isinstance(version, str) and _newer(version, __version__):
        message = f"the graph was made with flowmm {shorten(version)}; this is {__version__}"
        yield Problem("other-version", message, fix="Update flowmm: `pip install -U flowmm`.", level="warning")


def _newer(one: str, other: str) -> bool:
    return _numbers(one) > _numbers(other)


def _numbers(version: str) -> list[int]:
    return [int(part[:9]) for part in re.findall(r"[0-9]+", version[:60])]


def _missing_packs(graph: Graph, wanted: Mapping[str, Any]) -> Iterator[Problem]:
    known = packs()
    for name, node in _used(graph).items():
        entry = wanted.get(name)
        if not isinstance(entry, dict):
            continue
        distribution, version = str(entry.get("distribution") or name), str(entry.get("version") or "")
        if not re.fullmatch("[A-Za-z0-9._-]{1,100}", distribution) or not re.fullmatch("[A-Za-z0-9.+!_-]{0,60}", version):
            continue  # what a command is made of
        install = f"`pip install {distribution}{f'=={version}' if version else ''}`"
        if name not in known:
            fix = f"{install}; a pack is code that runs as you, so see first what it is."
            yield Problem("missing-pack", f"it needs the pack `{name}`, which is not installed", node, expected=f"{distribution} {version}", fix=fix)
        elif version and known[name].version != version:
            here = f"{known[name].distribution} {known[name].version}"
            message = f"the graph was made with {distribution} {version}; {known[name].version or 'an unknown version'} is installed"
            yield Problem("other-version", message, node, got=here, expected=f"{distribution} {version}", fix=f"{install}, if results differ.", level="warning")


def _model(one: Named, cls: str, sha256: Mapping[str, str]) -> Iterator[Problem]:
    told = [f"{name} {value[:SHOWN]}…" for name, value in sha256.items()]
    beside = f" It has sha256 {listed(told)}." if told else ""
    try:
        _, parts = opened(one.path)
    except (ValueError, OSError) as error:
        yield _problem("missing-model", f"the model `{shorten(one.text)}` ({shorten(cls)}) is not here", one, expected=_spelled(sha256),
                       fix=f"{_get(one, error)}{beside}")  # fmt: skip
        return
    for name, value in sha256.items():
        part = parts.get(name)
        if part is None:
            yield _problem("other-model", f"`{shorten(one.text)}` has no {shorten(name)}; the one that the graph was made with has", one, level="warning",
                           fix="Get it again, if results differ.")  # fmt: skip
            continue
        try:
            here = part.fingerprint
        except (ValueError, OSError) as error:
            yield _problem("missing-model", f"the {shorten(name)} of `{shorten(one.text)}` cannot be read: {error}", one, fix="Get it again.")
            continue
        if here != value:
            message = f"the {shorten(name)} of `{shorten(one.text)}` has sha256 {here[:SHOWN]}…; the graph was made with {value[:SHOWN]}…"
            yield _problem("other-model", message, one, here, value, "Get that one, if results differ.", "warning")


def _get(one: Named, error: Exception) -> str:
    """How to get a model."""
    if one.text.startswith(HUB):
        try:
            return f"`flowmm models pull {str(parse(one.text)).removeprefix(HUB)}` downloads it."
        except SourceError as wrong:
            return f"{wrong}."
    if one.text.startswith(EMBEDDED):
        return "It comes with another version of flowmm: `pip install -U flowmm`."
    return _put(one, error)


def _put(one: Named, error: Exception) -> str:
    if isinstance(error, NotAccepted):
        return f"{error}."
    return f"Put it at {Path(one.path).absolute()}."


def _file(one: Named, sha256: str) -> Iterator[Problem]:
    try:
        here = digest(Path(one.path))
    except (ValueError, OSError) as error:
        yield _problem("missing-file", f"the file `{shorten(one.text)}` is not here", one, expected=sha256, fix=f"{_put(one, error)} It has sha256 {sha256}.")
        return
    if here != sha256:
        message = f"`{shorten(one.text)}` has sha256 {here[:SHOWN]}…; the graph was made with {sha256[:SHOWN]}…"
        yield _problem("other-file", message, one, here, sha256, "Take that one, if results differ.", "warning")


def _spelled(sha256: Mapping[str, str]) -> str:
    return ", ".join(f"{shorten(name)} {value}" for name, value in list(sha256.items())[:SHOWN])


def _problem(code: str, message: str, one: Named, got: str = "", expected: str = "", fix: str = "", level: str = "error") -> Problem:
    node, _, port = one.places[0].rpartition(".")
    return Problem(code, message, node, port, got, expected, fix, level)

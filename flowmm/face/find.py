"""Finding graphs: a file, then the user's own, then the shipped ones."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from ..graph.coerce import Folder
from ..graph.document import FOREIGN, Document, is_graph_name
from ..graph.document import load as load_document
from ..graph.pieces import Found
from ..graph.problems import Problem, Unreadable, meant
from ..home import home
from .graph import Graph


def shipped() -> Path:
    """The folder of the graphs that come with flowmm; beside the package in a checkout, inside it when installed."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "graphs"
    return inside if inside.is_dir() else package.parent / "graphs"


def names() -> dict[str, Path]:
    """Every graph that can be loaded by name; a user's own hides a shipped one."""
    found = {}
    for folder in (shipped(), home() / "graphs"):
        if folder.is_dir():
            found.update({path.stem: path for path in sorted(folder.glob("*.json"))})
    return found


def load(name: str | os.PathLike) -> Graph:
    """A graph by file name, by name, or from a PNG that flowmm made. Raises Unreadable with what to do.

    A PNG's inputs become the graph's defaults, so calling it reproduces the picture. Besides its own folder a graph may name the
    examples that come with flowmm and the models that were pulled or converted, so that a copy of a shipped graph works wherever it lies.
    A workflow of ComfyUI is converted (see flowmm.importing), as is what its PNGs and those of AUTOMATIC1111 carry.
    """
    text = os.fspath(name)
    path = Path(text).expanduser()
    try:
        is_file = path.is_file()
    except (OSError, ValueError):
        is_file = False
    if not is_file and "\x00" not in text and os.sep not in text and not text.endswith((".json", ".png")):
        known = names()
        if text in known:
            path = known[text]
        else:
            fix = meant(text, known, f"There are {', '.join(known)}.")
            raise Unreadable([Problem("no-graph", f"there is no file and no graph named `{text[:200]}`", fix=fix)])
    if path.suffix.lower() == ".png":
        return _from_png(path)
    try:
        document, original = load_document(path)
    except Unreadable as error:
        if all(problem.code != FOREIGN for problem in error.problems):
            raise
        return _imported(path)
    return Graph(document, path=path, original=original, roots=roots())


def roots() -> tuple[Path, ...]:
    """Folders beside its own that a graph may name files of."""
    return shipped(), home() / "models"


def _imported(path: Path) -> Graph:
    from ..importing import opened_file
    from ..importing.models import Models

    return Graph(opened_file(path, Models([home() / "models"])).document, path=path, roots=roots())


def piece(name: str, folder: Folder | None) -> Found:
    """The graph that `graph:NAME` means in a graph of this folder: one beside it, then the user's own, then a shipped one. Raises Unreadable."""
    stamp = _stamp(name, folder)
    if stamp is None:
        raise Unreadable([Problem("no-graph", "there is no graph of this name", fix=meant(name, names(), "`flowmm graphs` lists them."))])
    path = stamp[0].resolve()
    return Found(_document(stamp), Folder(path.parent, roots()), str(path))


class Pieces:
    """A Finder that knows which saved graphs it was asked for, and so whether one of them is another by now."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, Path | None], tuple[Folder | None, Stamp | None]] = {}

    def __call__(self, name: str, folder: Folder | None) -> Found:
        self._asked.setdefault((name, folder.base if folder is not None else None), (folder, _stamp(name, folder)))
        return piece(name, folder)

    def changed(self) -> bool:
        """Whether one was saved anew, came, went, or is hidden by another of its name."""
        return any(_stamp(name, folder) != stamp for (name, _), (folder, stamp) in self._asked.items())


Stamp = tuple[Path, int, int, int]  # a file, and what changes when it is written


def _stamp(name: str, folder: Folder | None) -> Stamp | None:
    """Of the file that a name means in a graph of this folder; None where there is none."""
    if is_graph_name(name):
        places = [*([folder.base] if folder is not None else []), home() / "graphs", shipped()]
        path = next((file for place in places if (file := place / f"{name}.json").is_file()), None)
    else:
        path = names().get(name)
    try:
        status = path.stat() if path is not None else None
    except OSError:  # it went just now
        return None
    return (path, status.st_mtime_ns, status.st_size, status.st_ino) if status is not None else None


@lru_cache(maxsize=64)
def _document(stamp: Stamp) -> Document:
    """What is in a file, read once as long as it is not written. Raises Unreadable."""
    return load_document(stamp[0])[0]


def _from_png(path: Path) -> Graph:
    from .png import restore

    if not path.is_file():
        raise Unreadable([Problem("no-file", f"there is no file `{path.name}`", fix="Check the name.")])
    try:
        document, found = restore(path)
    except Unreadable as error:
        if all(problem.code != FOREIGN for problem in error.problems):
            raise
        return _imported(path)
    graph = Graph(document, path=path, roots=roots()).with_defaults(**found["defaults"])
    inputs = dict(graph.document.inputs)
    for name in found["absent"]:  # the file is not here: the run says which input it needs
        inputs[name] = inputs[name].model_copy()
        inputs[name].model_fields_set.discard("default")
    return Graph(graph.document.model_copy(update={"inputs": inputs}), path=path, roots=roots())


# The order in which the shipped graphs teach the field: by their first tag, then their second.
GROUPS = ("understanding", "generation", "both")
SYSTEMS = ("CLIP", "ViT", "BLIP", "DALL-E 1", "Stable Diffusion", "DiT", "DALL-E 2", "Janus", "UniToken")


def place(tags: list[str]) -> list[int]:
    """Where a graph of these tags stands in that order; others come last."""
    return [known.index(tag) if tag in known else len(known) for tag, known in zip([*tags, "", ""], (GROUPS, SYSTEMS))]

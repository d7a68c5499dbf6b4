"""Finding graphs: a file, then the user's own, then the shipped ones."""

from __future__ import annotations

import os
from pathlib import Path

from ..graph.coerce import Folder
from ..graph.document import FOREIGN, is_graph_name
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
    known = names()
    path = known.get(name)
    if is_graph_name(name) and folder is not None and (beside := folder.base / f"{name}.json").is_file():
        path = beside
    if path is None:
        raise Unreadable([Problem("no-graph", "there is no graph of this name", fix=meant(name, known, "`flowmm graphs` lists them."))])
    document, _ = load_document(path)
    return Found(document, Folder(path.resolve().parent, roots()), str(path.resolve()))


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

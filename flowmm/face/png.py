"""A PNG made by flowmm carries its graph, inputs and versions, so that opening it opens the graph again.

Files are named and hashed, never located: no path of the person who made the picture is written.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..catalog import Port
from ..graph.check import UNSET
from ..graph.document import FOREIGN, Document, dump, read
from ..graph.problems import GraphError, Problem, Unreadable
from ..sockets import Image, NotAccepted
from ..sockets.types import ListOf, Plain, Socket, Union

if TYPE_CHECKING:
    from .graph import Graph

CHUNK = "flowmm"


def origin(graph: Graph, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What made a picture: the graph as text, every input's value, and the versions of what computed it."""
    values = {}
    for name, parameter in graph.inputs.items():
        value = inputs.get(name, parameter.default)
        if value is not UNSET:
            where = graph.folder.resolve if graph.path and name not in inputs else lambda text: Path.cwd() / os.path.expanduser(text)
            values[name] = portable(value, where, names_files(parameter.port))
    return {"graph": dump(_whole(graph)), "name": graph.name, "inputs": values, "versions": versions(graph)}


def _whole(graph: Graph) -> Document:
    """The document with the saved graphs that it uses; without those that are gone since."""
    from .bundle import whole

    try:
        return whole(graph)
    except GraphError:
        return graph.document


def versions(graph: Graph) -> dict[str, str]:
    """flowmm, and the libraries the graph's nodes import."""
    from .. import __version__
    from ..catalog.code import of_module

    found = {"flowmm": __version__}
    for spec in {id(s): s for s in graph.wiring.specs if s is not None}.values():
        found.update(of_module(spec.module).libraries)
    return found


def names_files(port: Port) -> bool:
    """Whether a string given to this input names a file or folder."""
    members = port.type.members if isinstance(port.type, Union) else (port.type,)
    kinds = [member.item if isinstance(member, ListOf) else member for member in members]
    return port.source or any(kind == Plain(Path) or (isinstance(kind, Socket) and issubclass(kind.cls, Image)) for kind in kinds)


def portable(value: Any, where: Callable[[str], Path], is_file: bool) -> Any:
    """An input as it may travel: plain values as they are, files by name and sha256, the rest by its kind."""
    if isinstance(value, (list, tuple)):
        return [portable(item, where, is_file) for item in value]
    if isinstance(value, os.PathLike) or (is_file and isinstance(value, str) and not value.startswith(("zoo:", "hf:"))):
        try:
            path = where(os.fspath(value))
            if path.is_file():
                return {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        except (NotAccepted, OSError):  # it lies outside the graph's folder, or is no name of a file at all
            pass
        return {"file": os.path.basename(value)}
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    return {"value": type(value).__name__}


def opened(path: Path) -> tuple[bytes, dict[str, Any], str]:
    """The graph text, the inputs, and the graph's name in a PNG made by flowmm. Raises Unreadable."""
    import PIL.Image

    try:
        with PIL.Image.open(path) as picture:
            texts = getattr(picture, "text", {})
    except (OSError, ValueError, SyntaxError) as error:
        raise Unreadable([Problem("not-a-picture", f"`{path.name}` cannot be read as a picture: {error}", fix="Check the file.")]) from None
    return unpacked(texts, f"`{path.name}`")


def unpacked(texts: Mapping[str, str], where: str) -> tuple[bytes, dict[str, Any], str]:
    """The same of the texts that a PNG carries. where: the picture in words. Raises Unreadable, of code FOREIGN for another program's graph."""
    from ..importing.opening import carries

    text = texts.get(CHUNK)
    if text is None and carries(texts):
        raise Unreadable([Problem(FOREIGN, f"{where} carries a graph of another program", fix="`flowmm import FILE` makes a flowmm graph of it.")])
    if text is None:
        raise Unreadable([Problem("no-graph-inside", f"{where} carries no flowmm graph", fix="Open a PNG that flowmm saved.")])
    try:
        found = json.loads(text)
        return found["graph"].encode(), dict(found["inputs"]), str(found.get("name", ""))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Unreadable([Problem("damaged-graph-inside", f"the graph inside {where} is damaged", fix="Open the JSON file instead.")]) from None


def restore(path: Path) -> tuple[Any, dict[str, Any]]:
    """The document in a PNG; `defaults` for its inputs, and the names of inputs whose file is `absent`.

    A file is found again only beside the PNG, by its name and sha256.
    """
    data, inputs, _ = opened(path)
    document = read(data, f"the graph inside `{path.name}`")
    found = {name: _found(value, path.parent) for name, value in inputs.items() if name in document.inputs}
    defaults = {name: value for name, value in found.items() if value is not UNSET}
    return document, {"defaults": defaults, "absent": [name for name in found if name not in defaults]}


def _found(value: Any, folder: Path) -> Any:
    if isinstance(value, list):
        items = [_found(item, folder) for item in value]
        return UNSET if UNSET in items else items
    if not isinstance(value, dict):
        return value
    name = value.get("file")
    if not isinstance(name, str) or name != os.path.basename(name):
        return UNSET
    candidate = folder / name
    if not candidate.is_file() or hashlib.sha256(candidate.read_bytes()).hexdigest() != value.get("sha256"):
        return UNSET
    return name

"""Graphs that come in as files and go out in pictures and scripts: what a PNG carries of a run's inputs, and finding those again; older ones brought up."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Container, Iterator, Mapping
from typing import Any

from ..face.export import export
from ..face.graph import Graph
from ..face.png import names_files, origin, unpacked
from ..graph.diff import diff
from ..graph.document import FOREIGN, dump, read
from ..graph.migrate import upgraded
from ..graph.problems import Unreadable
from ..importing.opening import Imported, of_texts
from ..sockets import NotAccepted
from .parts import Parts
from .refusals import Refused

PNG = b"\x89PNG"
MOST_LOOKED_AT = 1000  # files among the examples


def carried(parts: Parts, graph: Graph, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What a picture says of itself (see origin), from a run's inputs as they were asked for: uploads by name and sha256, values of
    this server by their keys."""
    found = origin(graph, {name: _travelling(parts, graph, name, value) for name, value in inputs.items() if name in graph.inputs})
    for name, value in inputs.items():
        if name in found["inputs"]:
            found["inputs"][name] = _with_keys(value, found["inputs"][name])
    return found


def _travelling(parts: Parts, graph: Graph, name: str, value: Any) -> Any:
    """An input with files as their paths."""
    if isinstance(value, list):
        return [_travelling(parts, graph, name, item) for item in value]
    if isinstance(value, dict) and isinstance(value.get("upload"), str):
        with contextlib.suppress(Refused):
            return parts.uploads.path(value["upload"])
    elif isinstance(value, str) and names_files(graph.inputs[name].port) and not value.startswith(("zoo:", "hf:")):
        try:
            return graph.folder.resolve(value)
        except NotAccepted:
            return graph.path / os.path.basename(value)  # below a file, where nothing lies
    return value


def _with_keys(asked: Any, made: Any) -> Any:
    if isinstance(asked, list) and isinstance(made, list):
        return [_with_keys(one, other) for one, other in zip(asked, made)]
    if isinstance(asked, dict) and isinstance(asked.get("value"), str):
        return {"value": "Image", "key": asked["value"]}
    return made


def opened(parts: Parts, data: bytes) -> dict[str, Any]:
    """A graph's JSON, or a PNG that carries one: the document, its name, its inputs as a run takes them, and which of them are missing
    with the names of their files. What another program made is converted, and `report` says what became of it. Raises Refused, GraphError."""
    texts: Mapping[str, str | bytes] = parts.uploads.carried(data) if data.startswith(PNG) else {"workflow": data}
    try:
        if data.startswith(PNG):
            text, inputs, name = unpacked(texts, "the picture")
            document = json.loads(dump(read(text, "the graph inside the picture")))
        else:
            document, inputs, name = json.loads(dump(read(data, "the file"))), {}, ""
    except Unreadable as error:
        if all(problem.code != FOREIGN for problem in error.problems):
            raise
        return _imported(parts, of_texts(texts))
    parts.library.open(document)  # within the bounds
    layout = document.get("layout") or {}
    given = layout.pop("given", None)  # pictures of the server on which it was edited, which may be another
    inputs = (given if isinstance(given, dict) else {}) | inputs
    finder = _Finder(parts)
    found = {key: finder.find(value) for key, value in inputs.items() if key in document.get("inputs", {})}
    missing = [{"input": key, "file": _file(inputs[key])} for key, value in found.items() if value is MISSING]
    return {
        "graph": document, "name": name[:200], "inputs": {key: value for key, value in found.items() if value is not MISSING},
        "missing": [*missing, *_given_within(document, finder)], "report": [],
    }  # fmt: skip


def _given_within(document: dict[str, Any], finder: _Finder) -> Iterator[dict[str, str]]:
    """Pictures that inputs of its definitions are given stay where they are, if they are here; each other one is taken away and told."""
    left = [("", document)]
    while left:
        around, one = left.pop()
        for name, inner in (one.get("graphs") or {}).items():
            left.append((f"{around}{name}.", inner))
            given = (inner.get("layout") or {}).get("given")
            for key, value in [*given.items()] if isinstance(given, dict) else ():
                if (found := finder.find(value)) is MISSING:
                    del given[key]
                    if key in (inner.get("inputs") or {}):
                        yield {"input": f"{around}{name}.{key}", "file": _file(value)}
                else:
                    given[key] = found


def _imported(parts: Parts, made: Imported) -> dict[str, Any]:
    document = json.loads(dump(made.document))
    parts.library.open(document)
    missing = [{"input": name, "file": file[:200]} for name, file in made.report.missing.items()]
    return {"graph": document, "name": "", "inputs": {}, "missing": missing, "report": made.report.as_json()}


def script(graph: Graph) -> str:
    """The graph as a Python script that is to lie beside its file, so that it tells nothing of where that is. Raises GraphError."""
    return export(graph, graph.path.with_suffix(".py"))


def brought_up(graph: Graph, only: Container[str] | None) -> dict[str, Any]:
    """The document with today's nodes, in words what became of it, and what could not be brought there."""
    made, problems = upgraded(graph.document, only)
    changes = [{"where": one.where, "text": one.text} for one in diff(graph.document, made)]
    return {"graph": json.loads(dump(made)), "changes": changes, "problems": [problem.as_json() for problem in problems]}


MISSING = object()


class _Finder:
    """Inputs as a file names them, as a run takes them."""

    def __init__(self, parts: Parts):
        self.parts = parts
        self._examples: dict[str, str] | None = None

    def find(self, value: Any) -> Any:
        """MISSING if it is not here."""
        if isinstance(value, list):
            items = [self.find(item) for item in value]
            return MISSING if MISSING in items else items
        if not isinstance(value, dict):
            return value
        upload, digest = value.get("upload"), value.get("sha256")
        key = value.get("key", value.get("value"))
        if isinstance(key, str) and self.parts.journal.type_of(key) is not None:
            return {"value": key}
        if isinstance(upload, str):
            with contextlib.suppress(Refused):
                return {"upload": self.parts.uploads.path(upload).name}
        if isinstance(digest, str):
            known = self.parts.uploads.by_digest(digest)
            return {"upload": known} if known is not None else self._example(digest)
        return MISSING

    def _example(self, digest: str) -> Any:
        """One of the pictures that come with the shipped graphs, as a path that any graph may name."""
        if self._examples is None:
            folder = self.parts.saved.shipped
            paths = sorted((folder / "examples").rglob("*.png"))[:MOST_LOOKED_AT]
            self._examples = {hashlib.sha256(path.read_bytes()).hexdigest(): path.relative_to(folder).as_posix() for path in paths}
        return self._examples.get(digest, MISSING)


def _file(value: Any) -> str:
    """The name of the file that is not here, or of what kind the value was."""
    items = value if isinstance(value, list) else [value]
    names = [str(item.get("file") or item.get("upload") or item.get("value") or "") for item in items if isinstance(item, dict)]
    return ", ".join(filter(None, names))[:200]

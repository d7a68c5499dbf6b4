"""Graphs and inputs as callers name them: a saved graph by name or a whole document; pictures by upload or by value."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..face.axes import bounded, written
from ..face.graph import Graph
from ..face.sweep import combined
from ..graph.check import Untrusted
from ..graph.document import dump, measure, of, parse
from ..graph.problems import GraphError, Problem, listed
from ..sockets import Image, Mask
from ..sockets.types import ListOf, Socket, Type, Union
from .refusals import Refused
from .results import Results
from .saved import SavedGraphs
from .settings import Settings
from .uploads import Uploads

KEPT = 64  # opened graphs, each with its checked programs
KEPT_BYTES = 256 << 20  # that they take in memory, all together
VALUES_A_NODE = 50  # in the JSON of the largest graph
TIMES = 24  # an opened graph of 20,000 nodes takes so many times the bytes of its text


class Library:
    """Safe to use from several threads. A graph opened here reaches only its own folder and the allowed roots."""

    def __init__(self, settings: Settings, saved: SavedGraphs, uploads: Uploads, results: Results):
        self.settings, self.saved, self.uploads, self.results = settings, saved, uploads, results
        self._opened: OrderedDict[tuple[str, str], tuple[Graph, int]] = OrderedDict()  # with the bytes of its text
        self._lock = threading.Lock()

    def open(self, asked: str | Mapping[str, Any], name: str = "") -> tuple[Graph, bytes]:
        """The graph and its document's bytes. asked: a saved graph's name, or a document; name: the saved graph that a document is
        an edit of, beside which its files lie. Raises Refused, GraphError."""
        if isinstance(asked, str):
            data, _, _ = self.saved.read(asked)
            return self.of_bytes(data, asked), data
        self._bounded(asked)
        data = dump(of(asked)).encode()
        return self.of_bytes(data, name), data

    def of_bytes(self, data: bytes, name: str = "") -> Graph:
        """The graph of a document's bytes; the same object for the same bytes and name, so that its programs are found again, as long as the saved
        graphs that it uses are the same."""
        key = hashlib.sha256(data).hexdigest(), name
        with self._lock:
            found = self._opened.get(key)
            if found is not None:
                self._opened.move_to_end(key)
        if found is not None and not found[0].outdated():
            return found[0]
        raw = parse(data, "the graph")
        self._bounded(raw)
        graph = Graph(of(raw), path=self._path(name), original=data, roots=(self.saved.shipped, *self.settings.roots), trusting=False)
        with self._lock:
            self._opened[key] = graph, len(data)
            while len(self._opened) > KEPT or sum(TIMES * size + 3 * graph.pixels for graph, size in self._opened.values()) > KEPT_BYTES:
                self._opened.popitem(last=False)
        return graph

    def _path(self, name: str) -> Path:
        """Where a graph's relative paths start from: its own folder; for one that was never saved that of the person's own graphs."""
        return self.saved.path(name) if name else self.saved.own / "untitled.json"

    def _bounded(self, raw: Any) -> None:
        """Raises GraphError for JSON that holds more than graphs here may."""
        most = self.settings.limits.nodes
        nodes = raw.get("nodes") if isinstance(raw, dict) else None
        if isinstance(nodes, dict) and len(nodes) > most:
            fix = "Split it, or run it in Python, where there is no such bound."
            raise GraphError([Problem("too-many-nodes", f"the graph has {len(nodes):,} nodes; at most {most:,} are allowed", fix=fix)])
        found = measure(raw, 1_000 + VALUES_A_NODE * most)
        if found:
            code, message, fix = found[0]
            raise GraphError([Problem(code, f"in the graph: {message}", fix=fix)])

    def inputs(self, graph: Graph, asked: Mapping[str, Any]) -> Untrusted:
        """A run's inputs as the graph takes them: {"upload": id} and {"value": key} become what they name. Raises Refused."""
        reader = _Reader(self, graph)
        return Untrusted({name: reader.input(name, value) for name, value in asked.items()})

    def readable(self, graph: Graph, asked: Mapping[str, Any]) -> tuple[Untrusted, list[Problem]]:
        """The inputs that can be read, and a problem for each other one: a graph whose picture is gone can still be looked at and mended."""
        reader, given, problems = _Reader(self, graph), Untrusted(), []
        for name, value in asked.items():
            try:
                given[name] = reader.input(name, value)
            except Refused as error:
                problems.append(Problem(error.code, f"the input `{name}` cannot be read: {error.message}", "input", name, fix=error.fix))
        return given, problems

    def cells(self, graph: Graph, asked: Mapping[str, Any], combine: str) -> tuple[dict[str, list[Any]], list[dict[str, Any]]]:
        """The axes of a sweep, and what each cell has of its own. asked: by input a list, or the values in words. Raises GraphError.

        No file of this machine is opened, whatever the words say.
        """
        axes, problems = {}, []
        for name, given in asked.items():
            try:
                axes[name] = _axis(graph, name, given)
            except GraphError as error:
                problems += error.problems
        if problems:
            raise GraphError(problems)
        most, cells = self.settings.limits.cells, []
        for own in combined(axes, combine):
            if len(cells) == most:
                fix = "Give fewer values, or sweep in Python, where there is no such bound."
                raise GraphError([Problem("bad-axis", f"that would be more than {most:,} runs", fix=fix)])
            cells.append(own)
        return axes, cells


def _axis(graph: Graph, name: str, given: Any) -> list[Any]:
    """Raises GraphError, with the input as the port."""
    parameter = graph.inputs.get(name)
    if parameter is None:
        raise GraphError([Problem("no-such-input", f"the graph has no input `{name}`", "input", name, fix=f"Its inputs are {listed(graph.inputs)}.")])
    try:
        return written(parameter, given, trusted=False) if isinstance(given, str) else bounded(name, given)
    except GraphError as error:
        raise GraphError([replace(problem, node="input", port=name) for problem in error.problems]) from None


class _Reader:
    """The inputs of one request: what they name is opened once, and has so many pixels together at most, each time it is named."""

    def __init__(self, library: Library, graph: Graph):
        self.graph = graph
        self.uploads, self.results, self.pixels = library.uploads, library.results, library.settings.limits.pixels
        self._opened: dict[tuple[str, str], Any] = {}

    def input(self, name: str, value: Any) -> Any:
        parameter = self.graph.inputs.get(name)
        return self.read(name, value, parameter.type if parameter else None)

    def read(self, name: str, value: Any, type_: Type | None) -> Any:
        if isinstance(value, list):
            return [self.read(name, item, type_) for item in value]
        if not isinstance(value, dict):
            return value
        kind, named = next(iter(value.items())) if len(value) == 1 else ("", None)
        if kind not in ("upload", "value") or not isinstance(named, str):
            fix = 'Write a plain value, {"upload": id} or {"value": key}.'
            raise Refused(422, "bad-input", f"the input `{name}` is an object, which no input takes", fix)
        kind = "mask" if kind == "upload" and _wants_mask(type_) else kind
        if (kind, named) not in self._opened:
            self._opened[kind, named] = self._open(name, kind, named)
        self.pixels -= _pixels(self._opened[kind, named])
        if self.pixels < 0:
            raise Refused(413, "too-many-pixels", f"the pictures given here have too many pixels together, with `{name}`", "Give fewer, or smaller ones.")
        return self._opened[kind, named]

    def _open(self, name: str, kind: str, named: str) -> Any:
        if kind == "value":
            try:
                return self.results.get(named)
            except KeyError:
                message = f"the input `{name}` names the value `{named[:60]}`, which is not here"
                raise Refused(404, "no-such-value", message, "Run what made it again.") from None
        return self.uploads.mask(named) if kind == "mask" else self.uploads.open(named)


def _pixels(value: Any) -> int:
    if isinstance(value, list):
        return sum(map(_pixels, value))
    return len(value) * value.height * value.width if isinstance(value, Image) else 0


def _wants_mask(type_: Type | None) -> bool:
    """Whether a picture given here is read as a mask."""
    members = type_.members if isinstance(type_, Union) else (type_,)
    kinds = [member.item if isinstance(member, ListOf) else member for member in members]
    return any(isinstance(kind, Socket) and issubclass(kind.cls, Mask) for kind in kinds)

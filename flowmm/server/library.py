"""Graphs and inputs as callers name them: a saved graph by name or a whole document; pictures by upload or by value."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..face.graph import Graph
from ..graph.document import dump, of, read
from ..graph.problems import GraphError, Problem
from ..sockets import Mask
from ..sockets.types import ListOf, Socket, Type, Union
from .refusals import Refused
from .results import Results
from .saved import SavedGraphs
from .settings import Settings
from .uploads import Uploads

KEPT = 64  # opened graphs, each with its checked programs


class Library:
    """Safe to use from several threads. A graph opened here reaches only its own folder and the allowed roots."""

    def __init__(self, settings: Settings, saved: SavedGraphs, uploads: Uploads, results: Results):
        self.settings, self.saved, self.uploads, self.results = settings, saved, uploads, results
        self._opened: OrderedDict[tuple[str, str], Graph] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, asked: str | Mapping[str, Any], name: str = "") -> tuple[Graph, bytes]:
        """The graph and its document's bytes. asked: a saved graph's name, or a document; name: the saved graph that a document is
        an edit of, beside which its files lie. Raises Refused, GraphError."""
        if isinstance(asked, str):
            data, _, _ = self.saved.read(asked)
            return self.of_bytes(data, asked), data
        document = of(asked)
        self._bounded(len(document.nodes))
        data = dump(document).encode()
        return self.of_bytes(data, name), data

    def of_bytes(self, data: bytes, name: str = "") -> Graph:
        """The graph of a document's bytes; the same object for the same bytes and name, so that its programs are found again."""
        key = hashlib.sha256(data).hexdigest(), name
        with self._lock:
            found = self._opened.get(key)
            if found is not None:
                self._opened.move_to_end(key)
                return found
        document = read(data)
        self._bounded(len(document.nodes))
        graph = Graph(document, path=self._path(name), original=data, roots=(self.saved.shipped, *self.settings.roots), trusting=False)
        with self._lock:
            self._opened[key] = graph
            while len(self._opened) > KEPT:
                self._opened.popitem(last=False)
        return graph

    def _path(self, name: str) -> Path:
        """Where a graph's relative paths start from: its own folder; for one that was never saved that of the person's own graphs."""
        return self.saved.path(name) if name else self.saved.own / "untitled.json"

    def _bounded(self, nodes: int) -> None:
        if nodes > self.settings.limits.nodes:
            fix = "Split it, or start the server with a higher --most-nodes."
            raise GraphError([Problem("too-many-nodes", f"the graph has {nodes:,} nodes; at most {self.settings.limits.nodes:,} are allowed", fix=fix)])

    def inputs(self, graph: Graph, asked: Mapping[str, Any]) -> dict[str, Any]:
        """A run's inputs as the graph takes them: {"upload": id} and {"value": key} become what they name. Raises Refused."""
        given = {}
        for name, value in asked.items():
            parameter = graph.inputs.get(name)
            given[name] = self._input(name, value, parameter.type if parameter else None)
        return given

    def _input(self, name: str, value: Any, type_: Type | None) -> Any:
        if isinstance(value, list):
            return [self._input(name, item, type_) for item in value]
        if not isinstance(value, dict):
            return value
        kind, named = next(iter(value.items())) if len(value) == 1 else ("", None)
        if kind == "upload" and isinstance(named, str):
            return self.uploads.mask(named) if _wants_mask(type_) else self.uploads.open(named)
        if kind == "value" and isinstance(named, str):
            try:
                return self.results.get(named)
            except KeyError:
                raise Refused(404, "no-such-value", f"the input `{name}` names the value `{named[:60]}`, which is not here", "Run what made it again.") from None
        raise Refused(422, "bad-input", f"the input `{name}` is an object, which no input takes", 'Write a plain value, {"upload": id} or {"value": key}.')


def _wants_mask(type_: Type | None) -> bool:
    """Whether a picture given here is read as a mask."""
    members = type_.members if isinstance(type_, Union) else (type_,)
    kinds = [member.item if isinstance(member, ListOf) else member for member in members]
    return any(isinstance(kind, Socket) and issubclass(kind.cls, Mask) for kind in kinds)

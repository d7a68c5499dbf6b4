"""Bundles: one file that holds a graph with every graph that it uses, and says what else it needs.

Saved graphs become definitions of the top document, so that nothing has to lie beside it. Keys know no names: a bundle computes what the
graph does, from the same cache.
"""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import write_whole
from ..graph.coerce import Folder
from ..graph.document import Document, dump, every, read
from ..graph.pieces import PREFIX, Finder, Piece
from ..graph.problems import GraphError, Problem, Unreadable, shorten
from ..sockets.images import LONGEST_ORIGIN

if TYPE_CHECKING:
    from .graph import Graph


def bundle(graph: Graph) -> Graph:
    """The graph as one document: all saved graphs that it uses as definitions, and `requires` filled in. Raises GraphError."""
    from .graph import Graph as Made
    from .requires import required

    document = read(dump(whole(graph)), "the bundle")
    return Made(document.model_copy(update={"requires": required(graph)}), path=graph.path, roots=graph.roots, trusting=graph.trusting)


def whole(graph: Graph) -> Document:
    """The document with every saved graph that it uses as a definition. Raises GraphError where one cannot be found."""
    from .find import piece

    return _Bundling(graph.document, piece, graph.folder, graph.identity).document()


def write(graph: Graph, path: str | os.PathLike) -> Path:
    """Write a bundle: JSON, or a PNG with the graph as its picture. Raises GraphError."""
    path = Path(path)
    if path.suffix.lower() != ".png":
        graph.save(path)
        return path
    from PIL.PngImagePlugin import PngInfo

    from .picture import picture
    from .png import CHUNK, versions

    text = json.dumps({"graph": dump(graph.document), "name": graph.name, "inputs": {}, "versions": versions(graph)}, ensure_ascii=False)
    if len(text.encode()) > LONGEST_ORIGIN:
        raise GraphError([Problem("too-large", "the graph is too large to be carried by a picture", fix="Write it as JSON: -o NAME.json.")])
    info, buffer = PngInfo(), io.BytesIO()
    info.add_itxt(CHUNK, text, zip=True)
    picture(graph).save(buffer, "PNG", pnginfo=info)
    return write_whole(path, buffer.getvalue())


def doubts(graph: Graph) -> list[Problem]:
    """What of a bundle cannot work on another machine, as warnings."""
    from .requires import named_files, named_models

    found = []
    for op in sorted({node.op for document in every(graph.document) for node in document.nodes.values() if node.op.startswith("local:")}):
        message = f"`{op}` is a node of a script, which other machines do not have"
        found.append(Problem("local-node", message, fix="Move it into a pack: `flowmm new-pack NAME` makes one.", level="warning"))
    for one in named_models(graph):
        if not (graph.document.requires.get("models", {}).get(one.text) or {}).get("sha256"):
            message = f"`{shorten(one.text)}` is not here, so the bundle cannot say which one it is"
            node, _, port = one.places[0].rpartition(".")
            found.append(Problem("unknown-model", message, node, port, fix="Get it first, and bundle again.", level="warning"))
    for one in (*named_models(graph), *named_files(graph)):
        if Path(one.text).expanduser().is_absolute():
            node, _, port = one.places[0].rpartition(".")
            message = f"`{shorten(one.text)}` is a path of this machine"
            found.append(Problem("absolute-path", message, node, port, fix="Put it beside the graph, and name it from there.", level="warning"))
    return found


class _Bundling:
    """pieces: the saved graphs that are used, by identity. means: by (identity of a document, op), the saved graph that its nodes mean by it."""

    def __init__(self, document: Document, finder: Finder, folder: Folder | None, identity: str):
        self.top, self.finder = Piece(document, folder, identity, {}), finder
        self.pieces: dict[str, Piece] = {}
        self.means: dict[tuple[str, str], str] = {}
        self.called: dict[str, str] = {}

    def document(self) -> Document:
        wanted = self._collect()
        taken = {name for piece in (self.top, *self.pieces.values()) for one in every(piece.document) for name in one.graphs}
        for identity, name in wanted.items():
            names = (f"{name}-{n}" if n > 1 else name for n in range(1, len(taken) + 2))
            self.called[identity] = called = next(one for one in names if one not in taken)
            taken.add(called)
        made = self._rewritten(self.top)
        if not self.pieces:
            return made
        pieces = {self.called[identity]: self._rewritten(piece).model_copy(update={"requires": {}}) for identity, piece in self.pieces.items()}
        return made.model_copy(update={"graphs": {**made.graphs, **pieces}})

    def _collect(self) -> dict[str, str]:
        """By identity of each saved graph that is used, the name it is used by. Raises GraphError."""
        wanted: dict[str, str] = {}
        left = [self.top]
        while left:
            piece = left.pop()
            left += (piece.scope[name] for name in piece.document.graphs)
            for name, node in piece.document.nodes.items():
                if not self._is_saved(piece, node.op) or (piece.identity, node.op) in self.means:
                    continue
                found = self._found(piece, name, node.op)
                self.means[piece.identity, node.op] = found.identity
                if found.identity not in self.pieces:
                    self.pieces[found.identity], wanted[found.identity] = found, node.op.removeprefix(PREFIX)
                    left.append(found)
        return wanted

    def _found(self, piece: Piece, name: str, op: str) -> Piece:
        try:
            found = piece.find(op, self.finder)
        except Unreadable as error:
            problems = [Problem("no-such-graph", f"`{shorten(op)}` cannot be bundled: {one.message}", name, fix=one.fix) for one in error.problems]
            raise GraphError(problems) from None
        if found.identity == self.top.identity:
            raise GraphError([Problem("cycle", "the graph holds itself", name, fix="Take this node out.")])
        return found

    def _rewritten(self, piece: Piece) -> Document:
        """A document whose nodes name definitions alone."""
        nodes = {
            name: node.model_copy(update={"op": PREFIX + self.called[self.means[piece.identity, node.op]]}) if self._is_saved(piece, node.op) else node
            for name, node in piece.document.nodes.items()
        }  # fmt: skip
        graphs = {name: self._rewritten(piece.scope[name]) for name in piece.document.graphs}
        return piece.document.model_copy(update={"nodes": nodes} | ({"graphs": graphs} if graphs else {}))

    @staticmethod
    def _is_saved(piece: Piece, op: str) -> bool:
        return op.startswith(PREFIX) and op.removeprefix(PREFIX) not in piece.scope

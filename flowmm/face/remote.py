"""`flowmm.connect(url)`: graphs of a server elsewhere, called like those of this machine, with the same results bit for bit."""

from __future__ import annotations

import asyncio
import io
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..graph.check import UNSET
from ..graph.document import Document, dump, of, words
from ..graph.problems import GraphError, Problem, sentence
from ..sockets import Image, NotAccepted
from .axes import several
from .line import ENDED, JSON, SLOW, Line, ServerError, Watched
from .result import Result
from .sending import Sender, pictured

if TYPE_CHECKING:
    from ..engine.events import Event
    from .graph import Graph
    from .sweep import Combine, Sweep

MOST_LOST = 5  # sockets lost in a row, after which the end is waited for without events


def connect(url: str, token: str = "", *, patience: float = 60.0) -> Server:
    """A server that `flowmm serve` started. url: as it printed it; the token may be in it.

    patience: seconds for which a server that was there is tried again once it is gone. Raises ServerError.
    """
    return Server(url, token, patience)


class Server:
    """url: where it is. Use as a context manager to close its connections, or leave that to the end of the program."""

    def __init__(self, url: str, token: str = "", patience: float = 60.0):
        self._line = Line(url, token, patience)
        self.url = self._line.url
        self.version = str(self._line.json("GET", "/api/system", patience=0)["versions"]["flowmm"])

    def graphs(self) -> dict[str, str]:
        """The titles of all graphs that can be loaded, by name."""
        return {one["name"]: words(one["title"]) for one in self._line.json("GET", "/api/graphs")}

    def load(self, name: str) -> RemoteGraph:
        """A graph by name, as it is now: saving it again on the server changes nothing here. Raises Unreadable."""
        raw = self._line.json("GET", f"/api/graphs/{quote(name, safe='')}")
        return RemoteGraph(self._line, of(raw, f"`{name}`"), name)

    def open(self, graph: Graph | Document | Mapping[str, Any] | str | os.PathLike) -> RemoteGraph:
        """A graph of this machine, to be run there: one built in code, a document, or a file; else a name as for `load`."""
        if isinstance(graph, str) and not Path(graph).is_file():
            return self.load(graph)
        if isinstance(graph, (str, os.PathLike)):
            from .find import load

            graph = load(graph)
        if isinstance(graph, Document):
            return RemoteGraph(self._line, graph)
        if isinstance(graph, Mapping):
            return RemoteGraph(self._line, of(dict(graph)))
        return RemoteGraph(self._line, graph.document, "" if graph.path is None else graph.name, graph)

    def run(self, graph: Graph | Document | Mapping[str, Any] | str | os.PathLike, /, **inputs: Any) -> Result:
        """Run what `open` takes, with inputs by name."""
        return self.open(graph)(**inputs)

    def close(self) -> None:
        self._line.http.close()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<flowmm server {self.url}>"


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a graph elsewhere. type: in words. default: UNSET where one must be given. between: its bounds, if it has some."""

    name: str
    type: str
    title: str
    help: str
    default: Any
    between: dict[str, float] | None


class RemoteGraph:
    """A graph on a server: call it with its inputs by name, as a Graph. own: the Graph of this machine that it is."""

    def __init__(self, line: Line, document: Document, name: str = "", own: Graph | None = None):
        self.document, self.name = document, name or words(document.title) or "graph"
        self._line = line
        self._body: dict[str, Any] = {"graph": json.loads(dump(document))}
        if own is None and name:
            self._body["name"] = name  # its files lie beside it, there
        found = line.json("POST", "/api/check", content=json.dumps(self._body), headers=JSON)
        self.inputs = {
            key: Input(key, one["shown"], one["title"], one["help"], one.get("default", UNSET), one.get("between")) for key, one in found["inputs"].items()
        }  # fmt: skip
        self._files = {} if own is None or own.path is None else {key: _found(one.default, own) for key, one in self.inputs.items() if _names_files(one)}

    @property
    def title(self) -> str:
        return words(self.document.title) or self.name

    @property
    def about(self) -> str:
        return words(self.document.about)

    @property
    def outputs(self) -> list[str]:
        return list(self.document.outputs)

    def __call__(self, /, **inputs: Any) -> Result:
        """Run with inputs by name. Raises GraphError before anything runs, NodeFailed (see flowmm.Graph) if a node fails, ServerError."""
        return self.run(inputs)

    def run(self, inputs: Mapping[str, Any] | None = None, *, only: list[str] | None = None, listener: Callable[[Event], None] | None = None) -> Result:
        """As calling it, with a choice of outputs (or edges "node.output"), and a listener for events. Interrupted, it cancels the run."""
        given = dict(inputs or {})
        run = self._submit(given, only)
        with Watched(self._line, run["id"]) as watched:
            for event in self._events(run) if listener else ():
                listener(event)
            return self._result(watched.end(), given)

    def sweep(self, /, *, combine: Combine = "product", only: list[str] | None = None, **inputs: Any) -> Sweep:
        """Run once for each combination of values, as Graph.sweep: each cell is a run there, and one that fails leaves the others. Interrupted,
        it cancels all of them. Raises GraphError, ServerError."""
        from ..catalog import Cancelled
        from ..engine.workers.base import NodeFailed
        from .sweep import Cell, Sweep, apart, combined

        axes, fixed = apart(self, inputs, lambda one, given: several(one.name, given, lists="list[" in one.type, files=pictured(one.type)))
        own = list(combined(axes, combine))
        swept = self._ask("/api/sweeps", fixed, only, axes, combine)
        cells: list[Cell] = []
        try:
            for mine, there in zip(own, swept["cells"]):
                run = Watched(self._line, there["run"]).end()
                try:
                    cells.append(Cell(mine, self._result(run, {**fixed, **mine})))
                except (GraphError, NodeFailed, ServerError, Cancelled) as error:
                    cells.append(Cell(mine, error=error))
        except BaseException:
            with suppress(ServerError):  # what interrupted it is the news
                self._line.ask("POST", f"/api/sweeps/{swept['id']}/cancel", content="{}", headers=JSON, patience=1.0)
            raise
        return Sweep(self, axes, combine, cells)

    def stream(self, /, **inputs: Any) -> Iterator[Event]:
        """Run there and yield its events; the last is done (with `result`), failed or cancelled. Leaving the loop early cancels the run."""
        from ..catalog import Cancelled
        from ..engine.events import Event

        run = self._submit(inputs, None)
        with Watched(self._line, run["id"]) as watched:
            yield from self._events(run)
            ended = watched.end()
            try:
                yield Event("done", result=self._result(ended, inputs), seconds=ended["seconds"])
            except Cancelled:
                yield Event("cancelled")
            except Exception as error:
                yield Event("failed", error=error, text=sentence(error), node=getattr(error, "node", ""))

    async def run_async(self, /, **inputs: Any) -> Result:
        """Run without blocking the event loop; cancelling the task cancels the run at its next step."""
        run = await asyncio.to_thread(self._submit, inputs, None)
        watched = Watched(self._line, run["id"])
        try:
            return self._result(await asyncio.to_thread(watched.end), inputs)
        except asyncio.CancelledError:
            await asyncio.to_thread(watched.cancel)
            raise

    def peek(self, edge: str, /, **inputs: Any) -> Any:
        """The value on any edge, named "node.output"; runs only what it needs."""
        return self.run(inputs, only=[edge])[edge]

    def save(self, path: str | os.PathLike) -> Path:
        """Write the graph as JSON on this machine."""
        from ..graph.document import save

        save(self.document, path)
        return Path(path)

    def __repr__(self) -> str:
        inputs = ", ".join(f"{one.name}: {one.type}" for one in self.inputs.values())
        return f"<graph {self.name}({inputs}) → {', '.join(self.outputs)} at {self._line.url}>"

    def _submit(self, inputs: Mapping[str, Any], only: list[str] | None) -> dict[str, Any]:
        return self._ask("/api/runs", inputs, only)

    def _ask(
        self, where: str, inputs: Mapping[str, Any], only: list[str] | None, axes: Mapping[str, list[Any]] | None = None, combine: str = ""
    ) -> dict[str, Any]:
        """Submit a run or, with axes, a sweep."""
        sender = Sender(lambda data: self._line.json("POST", "/api/uploads", content=data[1], headers={"Content-Type": data[0]})["id"])

        def sent(name: str, value: Any) -> Any:
            return sender.sent(name, value, self.inputs[name].type if name in self.inputs else "")

        asked = {**self._body, "targets": only, "key": secrets.token_hex(16)}
        asked["inputs"] = {name: sent(name, value) for name, value in {**self._files, **inputs}.items()}
        if axes is not None:
            asked |= {"axes": {name: [sent(name, value) for value in values] for name, values in axes.items()}, "combine": combine}
        try:
            return self._line.json("POST", where, content=json.dumps(asked), headers=JSON)
        except ServerError as error:
            if error.code == "no-such-value" and sender.by_key:
                raise GraphError([sender.unknown()]) from None
            raise

    def _events(self, run: dict[str, Any]) -> Iterator[Event]:
        """Its events until it has ended, however often the socket is lost; what happened meanwhile follows if the server still has it."""
        import msgpack
        from websockets.exceptions import WebSocketException

        texts: dict[str, str] = {}
        epoch, since, lost = run["events"]["epoch"], run["events"]["since"], 0
        while lost <= MOST_LOST:
            try:
                with self._line.socket(run=run["id"], since=since, epoch=epoch) as socket:
                    frame = msgpack.unpackb(socket.recv(SLOW))
                    epoch, since = frame["epoch"], frame["seq"]
                    missed = not frame["caught_up"]
                    while True:
                        if missed:
                            now = self._line.json("GET", f"/api/runs/{run['id']}")
                            if now["state"] in ENDED:
                                return
                            texts.update(now.get("live", {}).get("texts", {}))
                        frame = msgpack.unpackb(socket.recv())
                        since, lost = frame.get("seq", since), 0
                        missed = frame["type"] == "lost"
                        if frame["type"] == "run" and frame["state"] in (*ENDED, "deleted"):
                            return
                        event = _event(frame, texts)
                        if event is not None:
                            yield event
            except (OSError, WebSocketException):
                lost += 1
                if self._line.json("GET", f"/api/runs/{run['id']}")["state"] in ENDED:  # waits for a server that is away
                    return
                time.sleep(0.1 * lost)

    def _result(self, run: dict[str, Any], inputs: Mapping[str, Any]) -> RemoteResult:
        """What an ended run gave. Raises Cancelled, GraphError, NodeFailed, ServerError."""
        if run["state"] == "done":
            return RemoteResult(self, {**self._files, **inputs}, dict(inputs), run)
        if run["state"] == "cancelled":
            from ..catalog import Cancelled

            raise Cancelled(run["id"])
        error = run["error"] or {}
        message = str(error.get("message", f"the run is {run['state']}"))
        if "op" in error:
            from ..engine.workers.base import NodeFailed

            failed, *also = (NodeFailed(one["node"], one["op"], one["message"].removeprefix(f"{one['node']} ({one['op']}): ")) for one in (error, *error.get("also", ())))
            failed.also, failed.result = also, RemoteResult(self, {**self._files, **inputs}, dict(inputs), run)
            raise failed
        if "problems" in error:
            raise GraphError([Problem(**problem) for problem in error["problems"]])
        raise ServerError(f"{message.rstrip('.')}. {error.get('fix', '')}".strip(), str(error.get("code", "")))


class RemoteResult(Result):
    """Outputs by name, each fetched when it is first looked at. cached: nodes that had their values already."""

    def __init__(self, graph: RemoteGraph, sent: dict[str, Any], inputs: dict[str, Any], run: dict[str, Any]):
        self.graph, self.inputs = graph, inputs
        self.executed, self.cached, self.seconds = run["executed"], run["cached"], run["seconds"]
        self._values = Fetched(graph, sent, run)


class Fetched(Mapping):
    """The values of a run by output."""

    def __init__(self, graph: RemoteGraph, sent: dict[str, Any], run: dict[str, Any]):
        self._graph, self._sent, self._run = graph, sent, run
        self._here: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._here:
            self._here[name] = self._fetch(name, self._run["outputs"][name]["key"])
        return self._here[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._run["outputs"])

    def __len__(self) -> int:
        return len(self._run["outputs"])

    def _fetch(self, name: str, key: str) -> Any:
        """The value, proved to be the one of this key; a picture knows where it comes from. Raises ServerError."""
        from ..store import objects
        from ..store.codec import Undecodable

        data = bytearray(self._ask(name, shape="value"))  # so that arrays may be written to, as those made here
        try:
            (encoded,) = objects.unpack(bytes.fromhex(key), data)
            if encoded.digest().hex() != key:
                raise objects.Damaged("its content is another's")
            value = encoded.decode()
        except (objects.Damaged, Undecodable) as error:
            raise ServerError(f"the output `{name}` cannot be used as it came: {error}; see whether both run the same version of flowmm") from None
        if isinstance(value, Image):
            object.__setattr__(value, "origin", lambda: self._origin(name))
        return value

    def _ask(self, name: str, **params: Any) -> bytes:
        return self._graph._line.ask("GET", f"/api/runs/{self._run['id']}/outputs/{quote(name, safe='')}", params=params).content

    def _origin(self, name: str) -> dict[str, Any]:
        """What made a picture, as the server writes it into a PNG; files of this machine by their name and sha256."""
        import PIL.Image

        from .png import CHUNK, portable

        with PIL.Image.open(io.BytesIO(self._ask(name, shape="file"))) as picture:
            text = getattr(picture, "text", {}).get(CHUNK)
        made = json.loads(text) if text else {"graph": dump(self._graph.document), "name": self._graph.name, "inputs": {}, "versions": {}}
        made.pop("item", None)
        known = self._graph.inputs
        own = {key: portable(value, lambda text: Path.cwd() / os.path.expanduser(text), True) for key, value in self._sent.items() if key in known and pictured(known[key].type)}
        return made | {"name": self._graph.name, "inputs": made["inputs"] | own}


def _event(frame: dict[str, Any], texts: dict[str, str]) -> Event | None:
    """A frame as the event it was. texts: what each node has written so far."""
    from ..engine.events import Event

    kind, node = frame["type"], frame.get("node", "")
    if kind == "planned":
        return Event("planned", total=frame["total"])
    if kind == "nodes":
        return Event("finished", nodes=frame["names"], cached=frame["cached"], took=frame["took"])
    if kind == "running":
        return Event("running", node=node)
    if kind == "progress":
        return Event("progress", node=node, step=frame["step"], steps=frame["steps"], eta=frame["eta"])
    if kind == "preview":
        return Event("preview", node=node, image=Image.accept(frame["image"]))
    if kind == "text":
        texts[node] = texts.get(node, "")[: frame["at"]] + frame["text"]
        return Event("preview", node=node, text=texts[node])
    if kind == "broken":
        return Event("broken", node=node, text=frame["text"])
    return Event("note", text=frame["text"]) if kind == "note" else None


def _names_files(one: Input) -> bool:
    return pictured(one.type) and isinstance(one.default, (str, list))


def _found(value: Any, own: Graph) -> Any:
    """Default pictures of a graph of this machine, beside which they lie."""
    if isinstance(value, list):
        return [_found(item, own) for item in value]
    try:
        return own.folder.resolve(value) if isinstance(value, str) else value
    except NotAccepted:
        return value

"""Whatever comes in - graphs, bodies, pictures, frames, addresses - is answered in a sentence: nothing fails, leaks, grows or gets out.

Each case is drawn from the seed, its kind and its number. FLOWMM_SEED: another seed. FLOWMM_SOAK: more than 100,000 cases.
"""

from __future__ import annotations

import json
import mimetypes
import os
import random
import re
import socket
from collections import Counter
from contextlib import contextmanager
from types import SimpleNamespace

import hostile_bytes as raw
import hostile_graphs as graphs
import hostile_pictures as pictures
import httpx
import pytest
from hostile_server import LIMITS, PLAIN, SEED, Held, at_once, dice_of, held, lived_in, said, unharmed, works
from inside import TOKEN, Inside, crashes, watched
from server_process import ServerProcess, until
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from flowmm.face import graph as face

SOAK = bool(os.environ.get("FLOWMM_SOAK"))
GRAPHS, BODIES, UPLOADS, SOCKETS, ADDRESSES = (60_000, 15_000, 15_000, 3_000, 15_000) if SOAK else (600, 250, 300, 40, 400)
SHOUTS, RUNS, WIRES = (6_000, 2_000, 1_500) if SOAK else (120, 60, 40)  # at a server behind a real port
GROWN = 128 << 20  # bytes: what is loaded once at its first use, and the allocator's scraps; in a soak a leak of a kilobyte a case is more
pytestmark = pytest.mark.timeout(0 if SOAK else 300)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home where somebody has worked already, and every name, id and key in it."""
    folder = tmp_path_factory.mktemp("hostile") / "home"
    return folder, lived_in(folder)


@pytest.fixture
def server(home, monkeypatch):
    """A whole server in this process, on that home. What is submitted stays in the queue until the desk is told to begin."""
    monkeypatch.setenv("FLOWMM_HOME", str(home[0]))
    mimetypes.init()  # Python's own table, read once
    made = Inside(home[0], LIMITS)
    yield made
    made.close()


@contextmanager
def unmoved(server: Inside, kind: str, count: int):
    """Gives the cases. Meanwhile nothing outside its home is touched, nothing is logged as a failure, and what is held stays the same."""
    before, early, at = _runs(server), None, 0

    def cases():
        nonlocal early, at
        for at in range(count):
            if at == count // 4:
                early = held(server)
            yield dice_of(kind, at)

    with watched(server.home) as done, crashes() as crashed:
        try:
            yield cases()
        except BaseException as error:
            error.add_note(f"{kind} {at} of FLOWMM_SEED={SEED}")
            raise
        assert not crashed, crashed[0]
        assert not done, done[:5]
    grown = held(server) - early
    print(f"\n{count:,} {kind}; in the last three quarters of them {grown}")
    assert grown.resident < GROWN
    assert grown.files <= 2 and grown.threads <= 2, "as many readers and threads as were ever needed at once"
    assert _runs(server) == before, "what was acknowledged was cancelled and deleted again"
    assert not [path for path in server.home.rglob("*.tmp")], "a file was left half-written"
    works(server)


def _runs(server: Inside) -> dict[str, int]:
    return server.ask("GET", "/api/system").json()["runs"]


def tidy(server: Inside, answer: SimpleNamespace) -> None:
    """No run that a stranger began stays."""
    if answer.status == 202:
        where = answer.headers["location"]
        if where.startswith(graphs.SWEEPS):
            cells = server.ask("POST", f"{where}/cancel").json()["cells"]
            assert all(server.ask("DELETE", f"{graphs.RUNS}/{cell['run']}").status == 200 for cell in cells)
            return
        assert server.ask("POST", f"{where}/cancel").json()["state"] == "cancelled" and server.ask("DELETE", where).status == 200


# ── in this process, where nothing runs ─────────────────────────────────────────────────────────

def test_no_graph_brings_it_down_and_most_are_looked_into(server, monkeypatch):
    documents, etags, typed, statuses, looked_into = graphs.Documents(), {}, [], Counter(), 0
    monkeypatch.setattr(face, "check", lambda *given, check=face.check: typed.append(1) or check(*given))
    with unmoved(server, "graphs", GRAPHS) as cases:
        for dice in cases:
            where, document, ascii = dice.choice(graphs.TAKING), graphs.mutated(dice, documents.one(dice)), dice.random() < 0.7
            typed.clear()
            if where == graphs.SAVE:
                name = dice.choice(graphs.SAVED)
                condition = {"if_match": etags[name]} if name in etags else {"if_none_match": "*"}
                answer = server.ask("PUT", where + name, graphs.text(document, ascii), **condition)
                if answer.status == 200:
                    etags[name] = answer.headers["etag"]
            else:
                asked = document if where == graphs.OPEN else graphs.request(dice, document, where)
                answer = server.ask("POST", where, graphs.text(asked, ascii))
            unharmed(answer)
            tidy(server, answer)
            statuses[answer.status] += 1
            looked_into += bool(typed) or answer.status < 300
    print(f"{looked_into / GRAPHS:.0%} of the graphs got past parsing;", dict(statuses))
    assert looked_into >= 0.3 * GRAPHS


def test_no_body_brings_it_down(server):
    documents, statuses = graphs.Documents(), Counter()
    with unmoved(server, "bodies", BODIES) as cases:
        for dice in cases:
            where, document = dice.choice(graphs.TAKING), documents.one(dice)
            whole = graphs.text(document if where in (graphs.SAVE, graphs.OPEN) else graphs.request(dice, document, where), dice.random() < 0.7)
            method, path = ("PUT", where + dice.choice(graphs.SAVED)) if where == graphs.SAVE else ("POST", where)
            answer = server.ask(method, path, raw.broken(dice, whole))
            unharmed(answer)
            tidy(server, answer)
            statuses[answer.status] += 1
    print(dict(statuses))
    assert statuses[400] > BODIES / 3, "most of them are no JSON"


def test_no_picture_brings_it_down_and_what_is_kept_can_be_read(server):
    documents, statuses = graphs.Documents(), Counter()
    with unmoved(server, "uploads", UPLOADS) as cases:
        for dice in cases:
            data, media = pictures.upload(dice, graphs.carried(dice, graphs.mutated(dice, documents.one(dice))))
            where = dice.choice(("/api/uploads", "/api/uploads", "/api/uploads", graphs.OPEN))
            answer = server.ask("POST", where, data, media)
            unharmed(answer)
            statuses[where, answer.status] += 1
            if answer.status == 201:
                id = answer.json()["id"]
                kept = server.ask("GET", f"/api/uploads/{id}")
                assert kept.status == 200 and kept.body == data
                assert server.post(graphs.PLAN, graph="vit-classify", inputs={"image": {"upload": id}}).status == 200
    print(dict(statuses))
    assert statuses["/api/uploads", 201] > UPLOADS / 10 and statuses["/api/uploads", 422] > UPLOADS / 10
    assert sum(path.stat().st_size for path in (server.home / "server/uploads").iterdir()) <= LIMITS.uploads


STRANGE = ["/{name}", "/{name}/{name}", "/api/{name}", "/app/{name}", "/app/{name}/{name}", "/edit/{name}", "/parts/{name}", "/openapi.json", "/docs"]


def test_no_address_brings_it_down(server, home):
    known, routes, statuses = home[1], [("GET", path, []) for path in STRANGE], Counter()
    for path, operations in server.ask("GET", "/openapi.json").json()["paths"].items():
        for method, operation in operations.items():
            queries = [one["name"] for one in operation.get("parameters", []) if one["in"] == "query"]
            routes += [(method.upper(), path, queries)] * 4
    with unmoved(server, "addresses", ADDRESSES) as cases:
        for dice in cases:
            method, pattern, queries = dice.choice(routes)
            words = known if pattern not in STRANGE and method != "DELETE" else []  # what is known stays, and no form is built
            path = re.sub(r"\{\w+\}", lambda _: raw.word(dice, words), pattern)
            names = [name for name in ("if_match", "if_none_match", "range", "accept") if dice.random() < 0.2]
            headers = {name: raw.word(dice, known).encode("latin-1", "replace").decode("latin-1") for name in names}
            if not words and dice.random() < 0.1:
                method = dice.choice(("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"))
            answer = server.ask(method, path, query=raw.query(dice, queries, known), **headers)
            unharmed(answer)
            tidy(server, answer)
            statuses[answer.status] += 1
    print(dict(statuses))
    assert statuses[200] > ADDRESSES / 10 and statuses[404] > ADDRESSES / 10


@pytest.mark.parametrize("pieces", ["bytes=x", "bytes=9-1", "bytes=0-0,0-0", "bytes=99999999-", "x", "bytes=" + "0-1," * 900])
def test_whoever_asks_for_pieces_of_a_page_gets_it_whole(server, pieces):
    answer = server.ask("GET", "/", range=pieces)
    assert answer.status == 200 and answer.body == server.ask("GET", "/").body


def test_nothing_that_a_listener_says_or_asks_for_brings_it_down(server, home):
    known, messages, ends = [*home[1], server.parts.hub.epoch, "0", "1"], 0, Counter()
    with unmoved(server, "sockets", SOCKETS) as cases:
        for dice in cases:
            saying = [raw.message(dice) for _ in range(dice.choice((0, 1, 9, 60, 1_100)))]
            heard = said(server, raw.query(dice, ["since", "epoch", "run"], known), saying)
            assert all(message["type"].startswith("websocket.") and message.get("code") != 1011 for message in heard), "1011: the server failed"
            messages += len(saying)
            ends[heard[0]["type"], heard[-1].get("code")] += 1
        assert server.parts.hub.listening == 0
    print(f"{messages:,} messages;", dict(ends))
    assert ends["websocket.accept", 1008] and ends["websocket.accept", None]


# ── behind a real port, where runs run ──────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    """A server in a process of its own, with a worker beside it."""
    made = ServerProcess(tmp_path_factory.mktemp("shouted") / "home").start()
    yield made
    made.stop()


class Strangers:
    """What clients shout at a server process. ids: the runs that it acknowledged. Every graph that may run is of nodes that finish at once."""

    def __init__(self, process: ServerProcess):
        self.process = process
        self.documents, self.cheap = graphs.Documents(), graphs.Documents(cheap=True)
        self.ids: list[str] = []

    def ask(self, dice: random.Random) -> None:
        where = dice.choice((graphs.CHECK, graphs.COMPATIBLE, graphs.PLAN, graphs.LOOK, "/mcp"))
        if where == "/mcp":
            method = dice.choice(("initialize", "tools/list", "tools/call", "resources/read", "", graphs.HALF, 7))
            asked = {"jsonrpc": dice.choice(("2.0", "1.0", 2)), "id": graphs.value(dice), "method": method, "params": graphs.value(dice)}
        else:
            asked = graphs.request(dice, graphs.mutated(dice, self.documents.one(dice)), where)
        body = graphs.text(asked, dice.random() < 0.7)
        self.post(where, raw.broken(dice, body) if dice.random() < 0.2 else body)

    def run(self, dice: random.Random) -> None:
        document = self.cheap.one(dice)
        document = graphs.mutated(dice, document) if dice.random() < 0.7 else document
        nodes = document["nodes"].values() if isinstance(document.get("nodes"), dict) else ()
        dear = any(isinstance(node, dict) and str(node.get("op")).partition(".")[0] not in graphs.Documents.CHEAP for node in nodes)
        where = graphs.CHECK if dear else graphs.RUNS
        answer = self.post(where, graphs.text(graphs.request(dice, document, where)))
        if answer.status_code == 202:
            self.ids.append(answer.json()["id"])

    def listen(self, dice: random.Random) -> None:
        host, port = self.process.url.removeprefix("http://").split(":")
        query = raw.query(dice, ["since", "epoch", "run"], ["0", "x"])
        head = [f"GET /api/events?{query} HTTP/1.1", f"Host: {host}:{port}", f"Authorization: Bearer {TOKEN}", "Upgrade: websocket", "Connection: Upgrade",
                "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", ""]  # fmt: skip
        with socket.create_connection((host, int(port)), timeout=60) as sock:
            try:
                sock.sendall("\r\n".join(head).encode())
                if sock.recv(1000).startswith(b"HTTP/1.1 101"):
                    sock.sendall(b"".join(raw.frame(dice) for _ in range(dice.choice((1, 3, 30)))))
            except ConnectionError:  # it has had enough
                pass

    def post(self, where: str, body: bytes) -> httpx.Response:
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        answer = self.process.http.post(where, content=body, headers=headers)
        assert answer.status_code < 500 and "Traceback" not in answer.text, f"{where} {answer.status_code} {answer.text[:500]}"
        return answer

    def shout(self, share: float = 1) -> None:
        """All kinds, one after the other, each from four at once; then everything that was acknowledged has ended, and small graphs are kept opened."""
        for kind, count, what in (("shouts", SHOUTS, self.ask), ("runs", RUNS, self.run), ("wires", WIRES, self.listen)):
            at_once(4, kind, int(count * share), what)
        until(lambda: (queue := self.process.http.get("/api/queue").json())["count"] == 0 and not queue["running"], 240)
        until(lambda: self.process.http.get("/api/system").json()["listeners"] == 0)
        for number in range(64):
            self.process.post(graphs.CHECK, graph=PLAIN | {"title": str(number)})


def test_strangers_at_the_door_all_at_once(process):
    strangers, ends = Strangers(process), Counter()
    strangers.shout(0.25)
    early = Held(process.pid)
    strangers.shout()
    grown = Held(process.pid) - early
    for id in dict.fromkeys(strangers.ids):
        ended = process.run(id)
        assert ended["state"] in ("done", "failed") and (ended["error"] or {}).get("code") not in ("internal", "worker-lost", "hangs"), ended
        ends[ended["state"]] += 1
        assert process.http.delete(f"/api/runs/{id}").status_code == 200
    print(f"\n{SHOUTS:,} shouts, {RUNS:,} graphs to run, {WIRES:,} sockets over the wire; {grown}; {dict(ends)}")
    assert ends["done"] and grown.resident < 2 * GROWN, "several at once hold more for a while"
    assert grown.files <= 16 and grown.threads <= 40, "connections that are kept; the threads that wait for the disk are forty at most"
    system = process.http.get("/api/system").json()
    assert system["results"] == {"values": 0, "bytes": 0} and not any(system["runs"].values()), "what is deleted is gone"
    assert not re.search("Traceback|crash|failed on|internal", process.log()), process.log()[-3000:]
    assert process.ended(process.submit(PLAIN))["state"] == "done"


def test_text_that_is_no_text_ends_its_socket_and_is_no_failure_of_the_server(process):
    address, bearer = f"ws{process.url.removeprefix('http')}/api/events", {"Authorization": f"Bearer {TOKEN}"}
    with connect(address, additional_headers=bearer, proxy=None) as client:
        client.recv(30)
        client.socket.sendall(b"\x81\x82\0\0\0\0\xff\xfe")
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(30)
    assert closed.value.rcvd.code == 1007
    until(lambda: "warning: Invalid UTF-8" in process.log())
    asked = json.dumps({"jsonrpc": "2.0", "id": graphs.HALF, "method": "tools/list"})
    kinds = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    answer = process.http.post("/mcp", content=asked, headers=kinds)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "not-json")
    assert "Traceback" not in process.log()

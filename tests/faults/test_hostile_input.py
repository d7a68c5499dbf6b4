"""Whatever comes in - graphs, bodies, pictures, frames, addresses - is answered in a sentence: nothing fails, leaks, grows or gets out.

Each case is drawn from the seed, its kind and its number. FLOWMM_SEED: another seed. FLOWMM_SOAK: more than 100,000 cases.
"""

from __future__ import annotations

import asyncio
import mimetypes
import re
import socket
from collections import Counter
from contextlib import contextmanager
from urllib.parse import quote

import hostile_bytes as raw
import hostile_graphs as graphs
import httpx
import pytest
from hostile_server import LIMITS, SEED, SOAK, Crowd, Held, dice_of, held, lived_in, unharmed, works
from inside import HEADERS, TOKEN, Inside, crashes, watched
from server_process import ServerProcess, until

from flowmm.face import graph as face

GRAPHS, BODIES, UPLOADS, SOCKETS, ADDRESSES = (60_000, 15_000, 15_000, 3_000, 15_000) if SOAK else (600, 250, 300, 40, 400)
SHOUTS, RUNS, WIRES = (6_000, 2_000, 1_500) if SOAK else (120, 60, 40)  # at a server behind a real socket
GROWN = 48 << 20  # bytes: what is loaded once at its first use, and the allocator's scraps; in a soak a leak of a kilobyte a case is more
pytestmark = pytest.mark.timeout(0 if SOAK else 300)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home where somebody has worked already, and every name, id and key in it."""
    folder = tmp_path_factory.mktemp("hostile") / "home"
    return folder, lived_in(folder)


@pytest.fixture
def server(home, monkeypatch):
    """A whole server in this process, on that home."""
    monkeypatch.setenv("FLOWMM_HOME", str(home[0]))
    mimetypes.init()  # Python's own table, read once
    made = Inside(home[0], LIMITS)
    yield made
    made.close()


@contextmanager
def unmoved(server: Inside, kind: str, count: int):
    """Gives the cases; meanwhile nothing outside its home is touched, nothing is logged as a failure, and what is held stays the same."""
    before = _rows(server)
    samples: list[Held] = []
    at = 0

    def cases():
        nonlocal at
        for at in range(count):
            if at == count // 4:
                samples.append(held(server))
            yield dice_of(kind, at)

    with watched(server.home) as done, crashes() as crashed:
        try:
            yield cases()
        except BaseException as error:
            error.add_note(f"{kind} {at} of FLOWMM_SEED={SEED}")
            raise
        assert not crashed, crashed[0]
        assert not done, done[:5]
    grown = held(server) - samples[0]
    print(f"\n{count:,} {kind}: {grown['resident'] / 2**20:+.1f} MB in the last three quarters,", {name: grown[name] for name in ("files", "threads")})
    assert grown["resident"] < GROWN and grown["files"] <= 2 and grown["threads"] <= 2, grown
    assert _rows(server) == before, "what was acknowledged was cancelled and deleted again"
    assert not [path for path in server.home.rglob("*.tmp")], "a file was left half-written"
    works(server)


def _rows(server: Inside) -> dict[str, int]:
    return server.ask("GET", "/api/system").json()["runs"]


def tidy(server: Inside, answer) -> None:
    """No run that a stranger began stays."""
    if answer.status == 202:
        where = answer.headers["location"]
        assert server.ask("POST", f"{where}/cancel").json()["state"] == "cancelled" and server.ask("DELETE", where).status == 200


# ── in this process, where nothing runs ─────────────────────────────────────────────────────────

ASKING = (graphs.CHECK, graphs.COMPATIBLE, graphs.PLAN, graphs.RUNS, graphs.SAVE, "/api/look", "/api/fitting", "/api/carried", "/api/open")


def test_no_graph_brings_it_down_and_most_are_looked_into(server, monkeypatch):
    documents, typed, etags, statuses, reached = graphs.Documents(), [], {}, Counter(), 0
    monkeypatch.setattr(face, "check", lambda *given, check=face.check: typed.append(1) or check(*given))
    with unmoved(server, "graphs", GRAPHS) as cases:
        for dice in cases:
            where, typed[:] = dice.choice(ASKING), []
            document = graphs.mutated(dice, documents.one(dice))
            if where == graphs.SAVE:
                name = dice.choice(graphs.SAVED)
                known = {"if_match": etags[name]} if name in etags else {"if_none_match": "*"}
                answer = server.ask("PUT", where + name, graphs.text(dice, document), **known)
                etags |= {name: answer.headers["etag"]} if answer.status == 200 else {}
            else:
                asked = document if where == "/api/open" else graphs.request(dice, document, where)
                answer = server.ask("POST", where, graphs.text(dice, asked))
            unharmed(answer)
            tidy(server, answer)
            statuses[answer.status] += 1
            reached += bool(typed) or answer.status == 200
    print(f"{reached / GRAPHS:.0%} of the graphs got past parsing;", dict(statuses))
    assert reached >= 0.3 * GRAPHS


def test_no_body_brings_it_down(server):
    documents, statuses = graphs.Documents(), Counter()
    with unmoved(server, "bodies", BODIES) as cases:
        for dice in cases:
            where = dice.choice(ASKING)
            document = documents.one(dice)
            whole = graphs.text(dice, document if where in (graphs.SAVE, "/api/open") else graphs.request(dice, document, where))
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
            data, media = raw.upload(dice, graphs.carried(dice, graphs.mutated(dice, documents.one(dice))))
            where = dice.choice(("/api/uploads", "/api/uploads", "/api/uploads", "/api/open"))
            answer = server.ask("POST", where, data, media)
            unharmed(answer)
            statuses[where, answer.status] += 1
            if answer.status == 201:
                kept = server.ask("GET", f"/api/uploads/{answer.json()['id']}")
                assert kept.status == 200 and kept.body == data
                unharmed(server.ask("POST", graphs.PLAN, graphs.text(dice, {"graph": "vit-classify", "inputs": {"image": {"upload": answer.json()["id"]}}})))
    print(dict(statuses))
    assert statuses["/api/uploads", 201] > UPLOADS / 10 and statuses["/api/uploads", 422] > UPLOADS / 10
    assert sum(path.stat().st_size for path in (server.home / "server/uploads").iterdir()) <= LIMITS.uploads


def test_no_address_brings_it_down(server, home):
    routes, known = server.ask("GET", "/openapi.json").json()["paths"], home[1]
    every = [(method.upper(), path, [one["name"] for one in operation.get("parameters", []) if one["in"] == "query"]) for path, operations in routes.items()
             for method, operation in operations.items()]  # fmt: skip
    strange = [("GET", path, []) for path in ("/{name}", "/{name}/{name}", "/api/{name}", "/app/{name}", "/app/{name}/{name}", "/assets/{name}", "/openapi.json", "/docs")]
    statuses = Counter()
    with unmoved(server, "addresses", ADDRESSES) as cases:
        for dice in cases:
            method, pattern, names = dice.choice(every) if dice.random() < 0.9 else dice.choice(strange)
            mine = known if (method, pattern, names) in every and method != "DELETE" else []
            path = re.sub(r"\{\w+\}", lambda _: raw.word(dice, mine), pattern)
            query = raw.query(dice, [name for name in names if name != "wait"], known) + (f"&wait={raw.wait(dice)}" if "wait" in names else "")
            headers = {name: raw.word(dice, known).encode("latin-1", "replace").decode("latin-1") for name in ("if_match", "if_none_match", "range", "accept") if dice.random() < 0.2}
            method = dice.choice(("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD")) if dice.random() < 0.05 and not mine else method
            answer = server.ask(method, path, query=query, **headers)
            unharmed(answer)
            tidy(server, answer)
            statuses[answer.status] += 1
    print(dict(statuses))
    assert statuses[200] > ADDRESSES / 10 and statuses[404] > ADDRESSES / 10


def test_nothing_that_a_listener_says_or_asks_for_brings_it_down(server, home):
    said = 0

    async def listen(dice) -> list[dict]:
        coming = [{"type": "websocket.connect"}, *(raw.message(dice) for _ in range(dice.choice((0, 1, 9, 60, 1_100)))), {"type": "websocket.disconnect", "code": 1006}]
        sent, query = [], raw.query(dice, ["since", "epoch", "run"], [*home[1], server.parts.hub.epoch, "0", "1"])
        nonlocal said
        said += len(coming) - 2

        async def receive():
            await asyncio.sleep(0)
            return coming.pop(0) if len(coming) > 1 else coming[0]

        async def send(message):
            sent.append(message)

        scope = {"type": "websocket", "asgi": {"version": "3.0"}, "http_version": "1.1", "path": "/api/events", "raw_path": b"/api/events", "query_string": query.encode(), "scheme": "ws",
                 "headers": [(name.encode(), value.encode()) for name, value in HEADERS.items()], "client": ("127.0.0.1", 5000), "server": ("127.0.0.1", 8383), "root_path": "",
                 "subprotocols": [], "extensions": {"websocket.http.response": {}}}  # fmt: skip
        await asyncio.wait_for(server.guard(scope, receive, send), 60)
        return sent

    ends = Counter()
    with unmoved(server, "sockets", SOCKETS) as cases:
        for dice in cases:
            sent = server.loop.run_until_complete(listen(dice))
            ends[sent[0]["type"], sent[-1].get("code")] += 1
            assert {message["type"] for message in sent} <= {"websocket.accept", "websocket.send", "websocket.close", "websocket.http.response.start", "websocket.http.response.body"}
            assert all(message.get("code") != 1011 for message in sent), "1011: the server failed"
        assert server.parts.hub.listening == 0
    print(f"{said:,} messages;", dict(ends))
    assert ends["websocket.accept", 1008] and ends["websocket.accept", None]


# ── over real sockets, where runs run ───────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    """A server in a process of its own, with a worker beside it."""
    made = ServerProcess(tmp_path_factory.mktemp("shouted") / "home").start()
    yield made
    made.stop()


def test_strangers_at_the_door_all_at_once(process):
    cheap, documents = graphs.Documents(cheap=True), graphs.Documents()
    ids: list[str] = []
    host, port = process.url.removeprefix("http://").split(":")

    def ask(dice) -> None:
        where = dice.choice((graphs.CHECK, graphs.COMPATIBLE, graphs.PLAN, "/api/look", "/mcp"))
        body = graphs.text(dice, graphs.request(dice, graphs.mutated(dice, documents.one(dice)), where))
        if where == "/mcp":
            method = dice.choice(("initialize", "tools/list", "tools/call", "resources/read", "", "\ud800", 7))
            body = graphs.text(dice, {"jsonrpc": dice.choice(("2.0", "1.0", 2)), "id": graphs.value(dice), "method": method, "params": graphs.value(dice)})
        body = raw.broken(dice, body) if dice.random() < 0.2 else body
        fine(post(where, body, {"Accept": "application/json, text/event-stream"}))

    def run(dice) -> None:
        document = graphs.mutated(dice, cheap.one(dice)) if dice.random() < 0.7 else cheap.one(dice)
        nodes = document.get("nodes") if isinstance(document.get("nodes"), dict) else {}
        dear = any(str(node.get("op") if isinstance(node, dict) else "").partition(".")[0] not in graphs.Documents.CHEAP for node in nodes.values())
        where = graphs.CHECK if dear else graphs.RUNS
        answer = post(where, graphs.text(dice, graphs.request(dice, document, where)))
        fine(answer)
        if answer.status_code == 202:
            ids.append(answer.json()["id"])

    def wire(dice) -> None:
        with socket.create_connection((host, int(port)), timeout=60) as sock:
            path = "/api/events?" + raw.query(dice, ["since", "epoch", "run"], ["0", "x"]) if dice.random() < 0.8 else quote(raw.word(dice, []), errors="surrogatepass")[:4000]
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {TOKEN}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())  # fmt: skip
            try:
                if sock.recv(1000).startswith(b"HTTP/1.1 101"):
                    for _ in range(dice.choice((1, 3, 30))):
                        sock.sendall(raw.frame(dice))
            except ConnectionError:  # it has had enough
                pass

    def post(where: str, body: bytes, headers: dict[str, str] = {}) -> httpx.Response:
        return process.http.post(where, content=body, headers={"Content-Type": "application/json", **headers})

    def fine(answer: httpx.Response) -> None:
        assert answer.status_code < 500 and "Traceback" not in answer.text, f"{answer.request.url} {answer.status_code} {answer.text[:500]}"

    def calls(share: float) -> None:
        for kind, count, shout in (("shouts", SHOUTS, ask), ("runs", RUNS, run), ("wires", WIRES, wire)):
            Crowd(4, kind, int(count * share), shout)
        until(lambda: (queue := process.http.get("/api/queue").json())["count"] == 0 and not queue["running"], 240)

    calls(0.25)
    before = Held(process.pid)
    calls(1)
    until(lambda: process.http.get("/api/system").json()["listeners"] == 0)
    grown = Held(process.pid) - before
    ends = Counter()
    for id in dict.fromkeys(ids):
        ended = process.run(id)
        assert ended["state"] in ("done", "failed") and (ended["error"] or {}).get("code") not in ("internal", "worker-lost", "hangs"), ended
        ends[ended["state"]] += 1
        assert process.http.delete(f"/api/runs/{id}").status_code == 200
    print(f"\n{SHOUTS:,} shouts, {RUNS:,} runs, {WIRES:,} sockets over the wire: {grown['resident'] / 2**20:+.1f} MB,", grown["files"], "files,", grown["threads"], "threads;", dict(ends))
    assert ends["done"] and grown["resident"] < 4 * GROWN and grown["files"] <= 16 and grown["threads"] <= 40, grown
    system = process.http.get("/api/system").json()
    assert system["results"] == {"values": 0, "bytes": 0} and not any(system["runs"].values()), "what is deleted is gone"
    assert "Traceback" not in process.log() and not re.search("crash|failed on|internal", process.log()), process.log()[-3000:]
    assert process.ended(process.submit({"flowmm": 1, "nodes": {"one": {"op": "text.join", "in": {"first": "still", "second": "here"}}}, "outputs": {"out": {"from": "one.text"}}}))["state"] == "done"

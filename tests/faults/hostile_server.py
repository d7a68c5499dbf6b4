"""A server that strangers shout at: a home where somebody has worked, what every answer must be, and what the process holds."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import random
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hostile_graphs import RED
from server_process import until

sys.path.insert(0, str(Path(__file__).parent.parent / "server"))
from inside import HEADERS, Inside, ours
from odd_pictures import picture
from running import serving

from flowmm.server.metrics import resident
from flowmm.server.settings import Limits

SEED = os.environ.get("FLOWMM_SEED", "1")
LIMITS = Limits(uploads=1 << 20, queued=500)  # so small that what must make room for something new does so
LARGEST_ANSWER = 8 << 20
PLAIN = {
    "flowmm": 1, "inputs": {"text": {"default": "a"}},
    "nodes": {"one": {"op": "text.join", "in": {"first": {"from": "input.text"}, "second": "b"}}}, "outputs": {"out": {"from": "one.text"}},
}  # fmt: skip
SEEN = {"flowmm": 1, "nodes": {"one": {"op": "image.load", "in": {"path": RED}}}, "outputs": {"image": {"from": "one.image"}}}


def dice_of(kind: str, number: int) -> random.Random:
    """The same for the same seed, kind and number, so that one case can be tried alone."""
    return random.Random(f"{SEED} {kind} {number}")


def lived_in(home: Path) -> list[str]:
    """Make a home with runs, values, uploads, versions and trash; every name, id and key in it."""
    with serving(home, LIMITS) as server:
        http, runs = server.http, [server.run(PLAIN), server.run(SEEN)]
        upload = http.post("/api/uploads", content=picture("PNG"), headers={"Content-Type": "image/png"}).json()["id"]
        first = http.put("/api/graphs/mine", json=PLAIN, headers={"If-None-Match": "*"}).json()["etag"]
        second = http.put("/api/graphs/mine", json=PLAIN | {"title": "Second"}, headers={"If-Match": first}).json()["etag"]
        gone = http.put("/api/graphs/gone", json=PLAIN, headers={"If-None-Match": "*"}).json()["etag"]
        trash = http.delete("/api/graphs/gone", headers={"If-Match": gone}).json()["trash"]
    outputs = [(name, one["key"]) for run in runs for name, one in run["outputs"].items()]
    words = [word for pair in outputs for word in pair] + [run["id"] for run in runs] + [runs[0]["graph"]]
    return [*words, upload, "mine", "gone", "vit-classify", first.strip('"'), second.strip('"'), trash, RED]


def unharmed(answer: SimpleNamespace) -> None:
    """It is the server's own answer: no failure of it, no word of its inside, a reason and what to do about it, of a bounded size."""
    if answer.status == 507:  # uploads have little room here
        assert json.loads(answer.body)["error"]["code"] == "uploads-full", answer.body[:500]
        return
    ours(answer)
    assert len(answer.body) < LARGEST_ANSWER, f"{len(answer.body):,} bytes: {answer.body[:500]!r}"
    if answer.status >= 400:
        assert json.loads(answer.body)["error"]["fix"], answer.body[:500]


def works(server: Inside) -> None:
    """It answers as ever, and once it may begin runs, one that was never made before goes through."""
    assert server.ask("GET", "/api/graphs").status == 200 and server.ask("GET", "/api/graphs/vit-classify").status == 200
    checked = server.post("/api/check", graph=PLAIN)
    assert checked.status == 200 and not checked.json()["problems"]
    assert server.post("/api/plan", graph="vit-classify").json()["runs"] > 0
    server.parts.desk.start()
    run = server.post("/api/runs", graph=PLAIN, inputs={"text": f"{random.random()}"})
    assert run.status == 202, run.body
    ended = until(lambda: (found := server.ask("GET", run.headers["location"]).json())["state"] not in ("queued", "running") and found)
    assert ended["state"] == "done" and ended["executed"] == 1, ended


def said(server: Inside, query: str, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the server says to a client of its socket that asks so, says these messages and is gone."""
    coming, heard = [{"type": "websocket.connect"}, *messages], []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0)
        return coming.pop(0) if coming else {"type": "websocket.disconnect", "code": 1006}

    async def send(message: dict[str, Any]) -> None:
        heard.append(message)

    scope = {
        "type": "websocket", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "ws", "root_path": "", "subprotocols": [],
        "path": "/api/events", "raw_path": b"/api/events", "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in HEADERS.items()],
        "client": ("127.0.0.1", 5000), "server": ("127.0.0.1", 8383), "extensions": {"websocket.http.response": {}},
    }  # fmt: skip
    server.loop.run_until_complete(asyncio.wait_for(server.guard(scope, receive, send), 60))
    return heard


class Held:
    """What a process holds."""

    def __init__(self, pid: int):
        self.resident = resident(pid)
        self.files = len(os.listdir(f"/proc/{pid}/fd"))
        self.threads = len(os.listdir(f"/proc/{pid}/task"))

    def __sub__(self, before: Held) -> Held:
        grown = object.__new__(Held)
        grown.resident, grown.files, grown.threads = self.resident - before.resident, self.files - before.files, self.threads - before.threads
        return grown

    def __str__(self) -> str:
        return f"{self.resident / 2**20:+.1f} MB, {self.files:+} files, {self.threads:+} threads"


def held(server: Inside) -> Held:
    """By this process with a server in it, once the graphs that it keeps opened are small ones."""
    for number in range(64):
        server.post("/api/check", graph=PLAIN | {"title": str(number)})
    gc.collect()
    with suppress(OSError, AttributeError):  # where the C library has no such function
        ctypes.CDLL(None).malloc_trim(0)
    return Held(os.getpid())


def at_once(clients: int, kind: str, count: int, shout: Callable[[random.Random], None]) -> None:
    """The cases of a kind from several clients at once; AssertionError with whatever was not as it should be."""
    problems: list[str] = []

    def work(first: int) -> None:
        for number in range(first, count, clients):
            try:
                shout(dice_of(kind, number))
            except Exception as error:
                problems.append(f"{kind} {number} of FLOWMM_SEED={SEED}: {type(error).__name__}: {error}")
                return

    threads = [threading.Thread(target=work, args=(first,), daemon=True) for first in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems, "\n".join(problems)

"""A server that strangers shout at: a home where somebody has worked, what every answer must be, and what the process holds."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import random
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from server_process import until

sys.path.insert(0, str(Path(__file__).parent.parent / "server"))
from inside import Inside, ours
from odd_pictures import picture
from running import serving

from flowmm.server.metrics import resident
from flowmm.server.settings import Limits

SOAK = bool(os.environ.get("FLOWMM_SOAK"))
SEED = os.environ.get("FLOWMM_SEED", "1")
LIMITS = Limits(uploads=1 << 20, queued=500)  # so small that what must make room for something new does so
PLAIN = {"flowmm": 1, "inputs": {"text": {"default": "a"}}, "nodes": {"one": {"op": "text.join", "in": {"first": {"from": "input.text"}, "second": "b"}}},
         "outputs": {"out": {"from": "one.text"}}}  # fmt: skip
SEEN = {"flowmm": 1, "nodes": {"one": {"op": "image.load", "in": {"path": "examples/red-circle.png"}}}, "outputs": {"image": {"from": "one.image"}}}
LARGEST_ANSWER = 8 << 20


def dice_of(kind: str, number: int) -> random.Random:
    """The same for the same seed, kind and number, so that one case can be tried alone."""
    return random.Random(f"{SEED} {kind} {number}")


def lived_in(home: Path) -> list[str]:
    """Make a home with runs, values, uploads, versions and trash; every name, id and key in it."""
    with serving(home, LIMITS) as server:
        runs = [server.run(PLAIN), server.run(SEEN)]
        upload = server.http.post("/api/uploads", content=picture("PNG"), headers={"Content-Type": "image/png"}).json()["id"]
        etag = None
        for text in ("first", "second"):
            condition = {"If-Match": etag} if etag else {"If-None-Match": "*"}
            etag = server.http.put("/api/graphs/mine", json=PLAIN | {"title": text}, headers=condition).json()["etag"]
        gone = server.http.put("/api/graphs/gone", json=PLAIN, headers={"If-None-Match": "*"}).json()["etag"]
        trash = server.http.delete("/api/graphs/gone", headers={"If-Match": gone}).json()["trash"]
    outputs = [(name, one["key"]) for run in runs for name, one in run["outputs"].items()]
    return [*(run["id"] for run in runs), *(word for pair in outputs for word in pair), upload, "mine", "vit-classify", "gone", trash, etag.strip('"'), "examples/red-circle.png", runs[0]["graph"]]


def unharmed(answer: SimpleNamespace) -> None:
    """It is the server's own answer: no failure of it, no word of its inside, a reason and what to do about it, of a bounded size."""
    if answer.status in (503, 507) and b"uploads-full" not in answer.body:
        raise AssertionError(f"{answer.status} {answer.body[:500]!r}")
    ours(SimpleNamespace(status=422, headers=answer.headers, body=answer.body) if answer.status == 507 else answer)
    assert len(answer.body) < LARGEST_ANSWER, f"{len(answer.body):,} bytes: {answer.body[:500]!r}"
    if answer.status >= 400:
        assert json.loads(answer.body)["error"]["fix"], answer.body[:500]


def works(server: Inside) -> None:
    """It answers as ever, and a run that was never made before goes through."""
    assert server.ask("GET", "/api/graphs").status == 200 and server.ask("GET", "/api/graphs/vit-classify").status == 200
    checked = server.post("/api/check", graph=PLAIN)
    assert checked.status == 200 and not checked.json()["problems"]
    assert server.post("/api/plan", graph="vit-classify").json()["runs"] > 0
    server.parts.desk.start()
    run = server.post("/api/runs", graph=PLAIN, inputs={"text": f"{random.random()}"})
    assert run.status == 202, run.body
    ended = until(lambda: (found := server.ask("GET", run.headers["location"]).json())["state"] not in ("queued", "running") and found)
    assert ended["state"] == "done" and ended["executed"] == 1, ended


class Held:
    """What a process holds, once what it keeps for a while was pushed out."""

    def __init__(self, pid: int):
        self.resident = resident(pid)
        self.files = len(os.listdir(f"/proc/{pid}/fd"))
        self.threads = len(os.listdir(f"/proc/{pid}/task"))

    def __sub__(self, before: Held) -> dict[str, int]:
        return {"resident": self.resident - before.resident, "files": self.files - before.files, "threads": self.threads - before.threads}


def held(server: Inside) -> Held:
    """By this process with a server in it; graphs that it keeps opened are small ones then."""
    for number in range(64):
        server.post("/api/check", graph=PLAIN | {"title": str(number)})
    gc.collect()
    with suppress(OSError, AttributeError):  # where the C library has no such function
        ctypes.CDLL(None).malloc_trim(0)
    return Held(os.getpid())


class Crowd:
    """Several clients at once, each with its own part of the numbers. problems: whatever was not as it should be."""

    def __init__(self, clients: int, kind: str, count: int, shout: Any):
        self.problems: list[str] = []
        self.kind, self.count, self.clients, self.shout = kind, count, clients, shout
        threads = [threading.Thread(target=self._work, args=(first,), daemon=True) for first in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not self.problems, "\n".join(self.problems[:5])

    def _work(self, first: int) -> None:
        for number in range(first, self.count, self.clients):
            try:
                self.shout(dice_of(self.kind, number))
            except Exception as error:
                self.problems.append(f"{self.kind} {number} of seed {SEED}: {type(error).__name__}: {error}")
                return

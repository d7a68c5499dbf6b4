"""Clients of a server that is killed again and again: what they asked for, what they were told, and what must be true of it in the end."""

from __future__ import annotations

import io
import json
import random
import threading
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy
import PIL.Image
import server_nodes
from server_process import ServerProcess, one

ENDED = ("done", "failed", "cancelled", "interrupted")
FULL = 30  # waiting runs, beyond which a client submits no more
KINDS = ("steps", "steps", "large", "odd", "linger", "pair", "upload")


@dataclass
class Ledger:
    """What is known, by everyone. A lock around each change."""

    asked: dict[str, tuple[str, int]] = field(default_factory=dict)  # key → kind, seed
    told: dict[str, str] = field(default_factory=dict)  # key → the run's id
    retries: dict[str, int] = field(default_factory=dict)  # a run's id → how often its retry was asked for
    retried: dict[str, str] = field(default_factory=dict)  # a retry's id → the run it retries
    cancelled: set[str] = field(default_factory=set)  # asked for, heard or not
    deleted: set[str] = field(default_factory=set)
    ends: dict[str, str] = field(default_factory=dict)  # a run's id → the end that was seen first
    uploads: dict[str, bytes] = field(default_factory=dict)
    graphs: dict[str, set[bytes]] = field(default_factory=dict)  # what a saved graph may be
    answers: int = 0
    problems: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def saw(self, run: dict[str, Any]) -> None:
        """A run's end, once seen, is its end."""
        if run["state"] in ENDED:
            end = json.dumps([run["state"], run["error"], run["finished"], run["attempt"], run["executed"]])
            with self.lock:
                if self.ends.setdefault(run["id"], end) != end:
                    self.problems.append(f"{run['id']} ended as {self.ends[run['id']]} and then as {end}")

    def check(self, whether: bool, problem: str) -> None:
        if not whether:
            with self.lock:
                self.problems.append(problem)


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(numpy.random.default_rng(seed).integers(0, 255, (8, 8, 3)).astype("uint8")).save(buffer, "PNG")
    return buffer.getvalue()


def saved(version: int) -> bytes:
    """A graph that says its version twice, at both ends of some 40 KB."""
    nodes = {f"n{i}": {"op": "local:server_nodes.steps", "in": {"seed": i}} for i in range(500)}
    return json.dumps({"flowmm": 1, "title": f"{version}", "nodes": nodes, "outputs": {"out": {"from": "n0.value"}}, "about": f"{version}"}).encode()


def request(kind: str, seed: int, upload: str = "") -> dict[str, Any]:
    """What is submitted for a run of this kind."""
    if kind == "pair":
        nodes = {"one": {"op": "local:server_nodes.linger", "in": {"seed": seed, "seconds": 0.03}},
                 "two": {"op": "local:server_nodes.steps", "in": {"seed": {"from": "one.value"}}}}  # fmt: skip
        return {"graph": {"flowmm": 1, "nodes": nodes, "outputs": {"out": {"from": "two.value"}}}}
    if kind == "upload":
        nodes = {"one": {"op": "local:server_nodes.brightness", "in": {"image": {"from": "input.image"}, "seed": seed}}}
        graph = {"flowmm": 1, "inputs": {"image": {}}, "nodes": nodes, "outputs": {"out": {"from": "one.value"}}}
        return {"graph": graph, "inputs": {"image": {"upload": upload}}}
    return {"graph": one(kind, "text" if kind == "large" else "value", seed=seed)}


def expected(kind: str, seed: int) -> Any:
    """The output of a run that is done."""
    if kind == "upload":
        pixels = numpy.asarray(PIL.Image.open(io.BytesIO(png(seed % 5))))
        return int(pixels.astype("uint8").sum()) + seed
    return {"steps": seed * 7 + 5, "linger": seed * 3, "pair": seed * 21 + 5, "large": server_nodes.text_of(seed)}[kind]


class Client(threading.Thread):
    """Does one thing after another, at random, until it is told to stop; what had no answer is asked again where asking again is safe."""

    def __init__(self, number: int, seed: int, server: ServerProcess, ledger: Ledger):
        super().__init__(name=f"client-{number}", daemon=True)
        self.number, self.server, self.ledger = number, server, ledger
        self.dice = random.Random(f"{seed}-{number}")
        self.leaving = threading.Event()
        self.count, self.full = 0, False
        self.mine: list[str] = []  # runs
        self.version: tuple[str, bytes] | None = None  # etag and bytes of the graph as last saved for certain
        self._http: httpx.Client | None = None
        self._url = ""

    def run(self) -> None:
        acts = [self.submit] * 8 + [self.look] * 4 + [self.cancel, self.cancel, self.move, self.move, self.retry, self.delete, self.save, self.again]
        try:
            while not self.leaving.is_set():
                self.dice.choice(acts)()
                self.leaving.wait(self.dice.random() * 0.03)
        except Exception as error:
            self.ledger.check(False, f"{self.name}: {type(error).__name__}: {error}")

    def call(self, method: str, path: str, **more: Any) -> httpx.Response | None:
        """The answer, or None if the server died of it, or is not there."""
        url = self.server.url
        if not url:
            self.leaving.wait(0.05)
            return None
        if url != self._url:
            self._http, self._url = self.server.client(20), url
        try:
            answer = self._http.request(method, path, **more)
        except httpx.TransportError:
            return None
        with self.ledger.lock:
            self.ledger.answers += 1
        known = (200, 201, 202, 404, 409, 412, 428)
        self.ledger.check(answer.status_code in known, f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer

    def insist(self, method: str, path: str, **more: Any) -> httpx.Response:
        """The same request until it is answered."""
        while (answer := self.call(method, path, **more)) is None:
            self.leaving.wait(0.01)
        return answer

    def submit(self) -> None:
        if self.dice.random() < 0.2:
            waiting = self.call("GET", "/api/queue", params={"limit": 1})
            self.full = waiting is not None and waiting.json()["count"] > FULL
        if self.full:
            return
        kind, seed, upload = self.dice.choice(KINDS), self.dice.randrange(10**6), ""
        self.count += 1
        key = f"{self.number}-{self.count}"
        if kind == "upload":
            data = png(seed % 5)
            upload = self.insist("POST", "/api/uploads", content=data, headers={"Content-Type": "image/png"}).json()["id"]
            with self.ledger.lock:
                self.ledger.uploads[upload] = data
        with self.ledger.lock:
            self.ledger.asked[key] = kind, seed
        run = self.insist("POST", "/api/runs", json=request(kind, seed, upload) | {"key": key}).json()
        with self.ledger.lock:
            self.ledger.told[key] = run["id"]
        self.mine.append(run["id"])

    def again(self) -> None:
        """As a client does that did not hear the answer."""
        known = [(key, id) for key, id in self.ledger.told.copy().items() if id in self.mine and id not in self.ledger.deleted]
        if known:
            key, id = self.dice.choice(known)
            kind, seed = self.ledger.asked[key]
            upload = next((id for id, data in self.ledger.uploads.copy().items() if data == png(seed % 5)), "")
            answer = self.call("POST", "/api/runs", json=request(kind, seed, upload) | {"key": key})
            if answer is not None:
                self.ledger.check(answer.json()["id"] == id, f"the key {key} has given two runs")

    def look(self) -> None:
        if self.mine:
            answer = self.call("GET", f"/api/runs/{self.dice.choice(self.mine[-20:])}", params={"wait": self.dice.choice([0, 0, 0.2])})
            if answer is not None and answer.status_code == 200:
                self.ledger.saw(answer.json())

    def cancel(self) -> None:
        if self.mine:
            id = self.dice.choice(self.mine[-10:])
            with self.ledger.lock:
                self.ledger.cancelled.add(id)
            self.call("POST", f"/api/runs/{id}/cancel", json={})

    def move(self) -> None:
        if self.mine:
            self.call("POST", f"/api/runs/{self.dice.choice(self.mine[-10:])}/move", json={"to": self.dice.randrange(10)})

    def retry(self) -> None:
        """Has no key, so it is asked once; without an answer there may be a run of it or none."""
        ended = [id for id in self.mine if id in self.ledger.ends]
        if ended:
            id = self.dice.choice(ended)
            with self.ledger.lock:
                self.ledger.retries[id] = self.ledger.retries.get(id, 0) + 1
            answer = self.call("POST", f"/api/runs/{id}/retry", json={})
            if answer is not None and answer.status_code == 202:
                with self.ledger.lock:
                    self.ledger.retried[answer.json()["id"]] = id

    def delete(self) -> None:
        ended = [id for id in self.mine if id in self.ledger.ends and id not in self.ledger.deleted]
        if ended:
            id = self.dice.choice(ended)
            with self.ledger.lock:
                self.ledger.deleted.add(id)
            self.call("DELETE", f"/api/runs/{id}")

    def save(self) -> None:
        """A graph of its own; after a save without an answer it is read to know what it is now."""
        name, data = f"mine-{self.number}", saved(self.dice.randrange(10**6))
        may = self.ledger.graphs.setdefault(name, set())
        may.add(data)
        headers = {"If-Match": self.version[0]} if self.version else {"If-None-Match": "*"}
        answer = self.call("PUT", f"/api/graphs/{name}", content=data, headers=headers | {"Content-Type": "application/json"})
        if answer is None:
            answer = self.insist("GET", f"/api/graphs/{name}")
            if answer.status_code == 404:
                self.ledger.check(self.version is None, f"{name} was saved and is gone")
                may.clear()
                return
            data = answer.content
            self.ledger.check(data in may, f"{name} is neither its old version nor the new one")
        else:
            self.ledger.check(answer.status_code == 200, f"{name}: {answer.status_code} {answer.text}")
        self.version = answer.headers["ETag"], data
        may.intersection_update({data})

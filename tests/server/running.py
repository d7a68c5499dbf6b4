"""A whole server in this process, on a free port; and what tests ask of it."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import uvicorn

from flowmm.server.app import build, guarded
from flowmm.server.parts import Parts, open_parts
from flowmm.server.serve import bind
from flowmm.server.settings import Limits, Settings

TOKEN = "a-token-of-more-than-thirty-two-characters"


class Serving:
    """url, token; parts: the server's own; http: a client that has the token."""

    def __init__(self, parts: Parts, url: str):
        self.parts, self.url, self.token = parts, url, TOKEN
        self.http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60)

    def post(self, path: str, **json) -> httpx.Response:
        return self.http.post(path, json=json)

    def run(self, graph, wait: float = 60, **more) -> dict:
        """Submit and wait for the end."""
        answer = self.post("/api/runs", graph=graph, **more)
        assert answer.status_code == 202, answer.text
        return self.ended(answer.json()["id"], wait)

    def ended(self, id_: str, wait: float = 60) -> dict:
        end = time.monotonic() + wait
        while True:
            run = self.http.get(f"/api/runs/{id_}", params={"wait": 10}).json()
            if run["state"] not in ("queued", "running"):
                return run
            assert time.monotonic() < end, f"the run did not end: {run}"


@contextmanager
def serving(home: Path, limits: Limits = Limits(), **settings):
    bound = bind("127.0.0.1", 0)
    port = bound.getsockname()[1]
    parts = open_parts(replace(Settings(home=home, token=TOKEN, port=port, threads=1, limits=limits), **settings))
    server = uvicorn.Server(uvicorn.Config(guarded(build(parts), parts), log_config=None, ws="websockets-sansio", ws_max_size=1 << 16, timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    made = Serving(parts, f"http://127.0.0.1:{port}")
    try:
        yield made
    finally:
        made.http.close()
        server.should_exit = True
        thread.join(60)

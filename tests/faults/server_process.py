"""`flowmm serve` as a process on a home folder, that can be killed and started again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

TOKEN = "a-token-of-more-than-thirty-two-characters"
BEGIN = "import server_nodes, fault_nodes; from flowmm.cli import main; main()"


def until(condition: Callable[[], Any], seconds: float = 120) -> Any:
    """Wait for something that happens in another thread or process; what it then is."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)
    return found


def op(name: str) -> str:
    """A node of server_nodes, or of the module that is named before it."""
    return f"local:{name if '.' in name else f'server_nodes.{name}'}"


def one(name: str, port: str = "value", **inputs: Any) -> dict[str, Any]:
    """A graph of one node, whose output is `out`. port: the node's own name of it."""
    return {"flowmm": 1, "nodes": {"one": {"op": op(name), "in": inputs}}, "outputs": {"out": {"from": f"one.{port}"}}}


class ServerProcess:
    """home: FLOWMM_HOME. begin: what the process does. log: by default beside the home. Its clients have the token."""

    def __init__(self, home: Path, *options: str, begin: str = BEGIN, log: Path | None = None):
        self.home, self.options, self.begin = home, options, begin
        self.url = ""
        self.http: httpx.Client | None = None
        self._popen: subprocess.Popen | None = None
        self._log = log or home.with_suffix(".log")

    def start(self, wait: bool = True) -> ServerProcess:
        """Start it; wait: until it answers."""
        here = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | {"FLOWMM_HOME": str(self.home), "FLOWMM_TOKEN": TOKEN, "PYTHONPATH": here}
        self._from = self._log.stat().st_size if self._log.exists() else 0
        with open(self._log, "ab") as log:
            command = [sys.executable, "-c", self.begin, "serve", "--port", "0", "--device", "cpu", "--threads", "1", *self.options]
            self._popen = subprocess.Popen(command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        if wait:
            self.url = until(self._address)
            self.http = self.client()
            assert self.http.get("/api/queue").status_code == 200
        return self

    def client(self, timeout: float = 60) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=timeout)

    def _address(self) -> str:
        assert self._popen.poll() is None, self.log()
        found = re.search(r"http://127\.0\.0\.1:\d+", self.log())
        return found[0] if found else ""

    def log(self) -> str:
        """What this process has said, without those before it."""
        return self._log.read_bytes()[self._from :].decode()

    @property
    def pid(self) -> int:
        return self._popen.pid

    def children(self) -> list[int]:
        """Its worker processes."""
        return [int(pid) for task in Path(f"/proc/{self.pid}/task").glob("*/children") for pid in _read(task).split()]

    def kill(self) -> None:
        """SIGKILL to the server alone; its workers must end by themselves."""
        workers = self.children()
        self._popen.send_signal(signal.SIGKILL)
        self._popen.wait()
        self._gone()
        until(lambda: not any(map(alive, workers)))

    def left(self) -> str:
        """What a server says that ends by itself."""
        status = self._popen.wait(60)
        return f"{status}: {self.log()}"

    def stop(self, wait: float = 60) -> int:
        """SIGTERM; the exit status."""
        self._popen.send_signal(signal.SIGTERM)
        self._gone()
        return self._popen.wait(wait)

    def _gone(self) -> None:
        self.url = ""
        if self.http is not None:
            self.http.close()

    def post(self, path: str, **json: Any) -> httpx.Response:
        return self.http.post(path, json=json)

    def submit(self, graph: Any, **more: Any) -> str:
        """The id of a new run."""
        answer = self.post("/api/runs", graph=graph, **more)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def run(self, id: str) -> dict[str, Any]:
        answer = self.http.get(f"/api/runs/{id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ended(self, id: str, seconds: float = 180) -> dict[str, Any]:
        """A run once it is over."""
        return until(lambda: (run := self.http.get(f"/api/runs/{id}", params={"wait": 10}).json())["state"] not in ("queued", "running") and run, seconds)


def alive(pid: int) -> bool:
    """Whether a process does anything; one that nobody has reaped does not."""
    stat = _read(Path(f"/proc/{pid}/stat"))
    return bool(stat) and stat.rpartition(")")[2].split()[0] not in "ZX"


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""

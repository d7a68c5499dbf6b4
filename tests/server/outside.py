"""`flowmm serve` as a person starts it, and someone else's server beside it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect


class Process:
    """`flowmm serve` on a free port, its log, and the token that it printed."""

    def __init__(self, home: Path, **environment: str):
        self.home, self.log_file = home, home.parent / "log"
        command = [sys.executable, "-c", "from flowmm.cli import main; main()", "serve", "--port", "0", "--device", "cpu", "--threads", "1"]
        with open(self.log_file, "wb") as log:
            self.popen = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                          env=os.environ | {"FLOWMM_HOME": str(home)} | environment)  # fmt: skip
        end = time.monotonic() + 60
        while not (found := re.search(r"(http://127\.0\.0\.1:(\d+))/\?token=(\S+)", self.log)):
            assert self.popen.poll() is None and time.monotonic() < end, self.log
            time.sleep(0.02)
        self.url, self.port, self.token = found[1], int(found[2]), found[3]
        self.http = httpx.Client(base_url=self.url, timeout=60)
        self.bearer = {"Authorization": f"Bearer {self.token}"}
        answer = self.http.get("/", params={"token": self.token}, headers={"Accept": "text/html"})
        self.set_cookie, self.http.cookies = answer.headers["set-cookie"], httpx.Cookies()
        self.cookie = {"Cookie": self.set_cookie.partition(";")[0]}

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def socket(self, origin: str | None, query: str = "", **headers: str) -> int:
        """The status that a handshake gets."""
        try:
            with connect(f"ws://127.0.0.1:{self.port}/api/events{query}", origin=origin, additional_headers=headers, open_timeout=30):
                return 101
        except InvalidStatus as refused:
            return refused.response.status_code


class Listening:
    """Someone else's server, which counts who calls."""

    def __init__(self):
        self.calls = 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        while True:
            try:
                self.socket.accept()[0].close()
            except OSError:
                return
            self.calls += 1

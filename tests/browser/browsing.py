"""A server, a browser and a person who is signed in; shared by the tests and by the benchmark of the editor."""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from server_process import TOKEN, ServerProcess

from flowmm.server.pages import folder

PLAIN = "from flowmm.cli import main; main()"
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]  # fmt: skip
WINDOW = {"width": 1440, "height": 900}
ASKED = """(() => {
  const asked = { now: 0, last: performance.now() }, fetch = window.fetch
  const ended = () => (asked.now--, asked.last = performance.now())
  window.asked = asked
  window.fetch = (...of) => (asked.now++, fetch(...of).finally(ended))
})()"""  # what a page is asking of the server: how many answers it waits for, and when the last one came
PATIENCE = 90_000  # ms that a page has for what a test waits for; machines are shared


class Watch:
    """What went wrong on the pages of a context, but for what was allowed."""

    def __init__(self, home: str):
        self.home, self.allowed, self.faults = home, [], []

    def allow(self, pattern: str) -> None:
        self.allowed.append(pattern)

    def over(self, context) -> None:
        context.on("console", lambda message: message.type == "error" and self.faults.append(f"console: {message.text} ({message.location.get('url')})"))
        context.on("weberror", lambda error: self.faults.append(f"exception: {error.error}"))
        context.on("request", lambda request: self.asked(request.url))
        context.on("page", lambda page: page.on("websocket", lambda made: self.asked(made.url.replace("ws", "http", 1))))

    def asked(self, url: str) -> None:
        if not url.startswith((f"{self.home}/", "blob:", "data:")):
            self.faults.append(f"a request left the machine: {url}")

    def check(self) -> None:
        left = [fault for fault in self.faults if not any(re.search(pattern, fault) for pattern in self.allowed)]
        assert not left, "\n".join(left)


@contextmanager
def serving(home: Path) -> Iterator[ServerProcess]:
    """`flowmm serve` on a home folder. It can be stopped or killed, and starts again at the same address."""
    if folder() is None:
        pytest.skip("the editor is not built: python web/bundle.py")
    made = ServerProcess(home, "--port", str(free_port()), begin=PLAIN).start()
    yield made
    if made.url:
        made.stop()


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return made.getsockname()[1]


@contextmanager
def chromium(*more: str) -> Iterator:
    """The Chromium of this machine. It must be gone before other modules use asyncio in this thread."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("there is no chromium on this machine")
    playwright.expect.set_options(timeout=PATIENCE)
    with playwright.sync_playwright() as started:
        made = started.chromium.launch(executable_path=found, args=[*ARGUMENTS, *more])
        yield made
        made.close()


def person(browser, server: ServerProcess, watch: Watch | None = None, **settings):
    """Somebody who is signed in: what their tabs share. settings: of the browser's context, as in color_scheme="dark"."""
    made = browser.new_context(**{"viewport": WINDOW, "locale": "en-US"} | settings)
    made.set_default_timeout(PATIENCE)
    made.add_init_script(ASKED)
    if watch is not None:
        watch.over(made)
    entrance = made.new_page()
    entrance.goto(f"{server.url}/?token={TOKEN}")
    entrance.close()
    return made

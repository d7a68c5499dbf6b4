"""A real browser on a real server: Debian's Chromium, `flowmm serve` as a process, the embedded models.

Every page is watched: an error in its console, an exception, a request to another machine fails the test that made it.
What a test brings about itself (a server that is gone, a refused save) it names: `watch.allow(r"status of 412")`.
"""

from __future__ import annotations

import re
import shutil
import socket
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "faults"))  # a server's process
from server_process import TOKEN, ServerProcess

from flowmm.server.pages import folder

PLAIN = "from flowmm.cli import main; main()"
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]  # fmt: skip
WINDOW = {"width": 1440, "height": 900}
PATIENCE = 20_000  # ms that a page has for what a test waits for; machines are shared


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


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of the module's own, on a fresh home. It can be stopped or killed, and starts again at the same address."""
    if folder() is None:
        pytest.skip("the editor is not built: python web/bundle.py")
    made = ServerProcess(tmp_path_factory.mktemp("served") / "home", "--port", str(free_port()), begin=PLAIN).start()
    yield made
    made.stop()


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return made.getsockname()[1]


@pytest.fixture(scope="module")
def browser():
    """One browser for a module's tests; it must be gone before other modules use asyncio in this thread."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("there is no chromium on this machine")
    with playwright.sync_playwright() as started:
        made = started.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield made
        made.close()


@pytest.fixture
def watch(server):
    return Watch(server.url)


@pytest.fixture
def context(browser, server, watch, tmp_path):
    """A person who is signed in: what their tabs share. Each page fails the test for what went wrong on it."""
    made = browser.new_context(viewport=WINDOW, locale="en-US", accept_downloads=True)
    made.set_default_timeout(PATIENCE)
    watch.over(made)
    entrance = made.new_page()
    entrance.goto(f"{server.url}/?token={TOKEN}")
    entrance.close()
    yield made
    made.close()
    watch.check()


@pytest.fixture
def page(context, server):
    """A tab at the home page."""
    made = context.new_page()
    made.goto(server.url)
    return made


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A test that fails leaves a picture of each of its tabs."""
    report = yield
    context = getattr(item, "funcargs", {}).get("context")
    if report.when == "call" and report.failed and context is not None:
        for i, page in enumerate(context.pages):
            path = item.funcargs["tmp_path"] / f"failed-{i}.png"
            page.screenshot(path=path, timeout=5_000)
            report.sections.append((f"tab {i} at {page.url}", str(path)))
    return report

"""A real browser on a real server: Debian's Chromium, `flowmm serve` as a process, the embedded models.

Every page is watched: an error in its console, an exception, a request to another machine fails the test that made it.
What a test brings about itself (a server that is gone, a refused save) it names: `watch.allow(r"status of 412")`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "faults"))  # a server's process
from browsing import Watch, chromium, person, serving
from desk import Desk
from hands import calm, card, open_graph
from playwright.sync_api import Page, expect


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of the module's own, on a fresh home."""
    with serving(tmp_path_factory.mktemp("served") / "home") as made:
        yield made


@pytest.fixture(scope="module")
def browser():
    with chromium() as made:
        yield made


@pytest.fixture
def watch(server):
    return Watch(server.url)


@pytest.fixture
def settings():
    """Of the browser, as in {"color_scheme": "dark"}: for a module or a test to say otherwise."""
    return {}


@pytest.fixture
def context(browser, server, watch, settings, tmp_path):
    """A person who is signed in. Each of their pages fails the test for what went wrong on it."""
    made = person(browser, server, watch, **settings)
    yield made
    made.close()
    watch.check()


@pytest.fixture
def page(context, server):
    """A tab at the home page."""
    made = context.new_page()
    made.goto(server.url)
    return made


@pytest.fixture
def painting(page, server) -> Page:
    """The editor of text-to-image, all of it there."""
    open_graph(page, server, "text-to-image")
    expect(card(page, "paint")).to_be_visible()
    calm(page)
    return page


@pytest.fixture
def desk(page, server):
    """A function that opens a copy of a shipped graph, changed."""
    return lambda name, **changes: Desk(page, server, name, **changes)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A test that fails leaves a picture of each of its tabs."""
    report = yield
    context = getattr(item, "funcargs", {}).get("context")
    if report.when == "call" and report.failed and context is not None:
        for i, page in enumerate(context.pages):
            path = item.funcargs["tmp_path"] / f"failed-{i}.png"
            page.screenshot(path=path, timeout=30_000)
            report.sections.append((f"tab {i} at {page.url}", str(path)))
    return report

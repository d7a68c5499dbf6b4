"""What a person does with the editor, and sees: wires by mouse, runs until they end, the pictures that are shown."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from PIL import Image
from playwright.sync_api import Locator, Page, expect
from server_process import ServerProcess, until

INPUTS, OUTPUTS = ":inputs", ":outputs"  # the two cards of a graph's own
QUIET = 300  # ms: more than a page waits, once somebody has stopped typing, before it asks Python


def open_graph(page: Page, server: ServerProcess, name: str = "") -> None:
    """The editor of a graph, ready to be worked on; without a name: of a new one."""
    page.goto(f"{server.url}/edit/{name}" if name else f"{server.url}/edit")
    expect(page.locator(".react-flow__viewport")).to_be_attached()


def card(page: Page, node: str) -> Locator:
    return page.locator(f'.react-flow__node[data-id="{node}"]')


def socket(page: Page, node: str, port: str, side: str = "") -> Locator:
    """One end of wires. side: "source" or "target" where a node has an input and an output of the same name."""
    return page.locator(f'.react-flow__handle{side and f".{side}"}[data-nodeid="{node}"][data-handleid="{port}"]')


def middle(one: Locator) -> tuple[float, float]:
    box = one.bounding_box()
    assert box, f"{one} is not to be seen"
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page: Page, begin: tuple[float, float], end: tuple[float, float], let_go: bool = True) -> None:
    page.mouse.move(*begin)
    page.mouse.down()
    page.mouse.move(begin[0] + 6, begin[1] + 6, steps=3)
    page.mouse.move(*end, steps=12)
    if let_go:
        page.mouse.up()


def connect(page: Page, source: tuple[str, str], target: tuple[str, str]) -> None:
    """Drag a wire from an output to an input, given as (node, port)."""
    drag(page, middle(socket(page, *source, "source")), middle(socket(page, *target, "target")))
    expect(wire(page, source, target)).to_be_attached()


def wire(page: Page, source: tuple[str, str], target: tuple[str, str]) -> Locator:
    begin = ".".join(("input" if source[0] == INPUTS else source[0], source[1]))
    return page.locator(f'.react-flow__edge[data-id="{begin}>{target[0]}.{target[1]}"]')


def along(one: Locator, share: float = 0.5) -> tuple[float, float]:
    """A point of a wire, in the window."""
    path = one.locator(".react-flow__edge-path")
    found = path.evaluate("""(one, share) => {
      const at = one.getPointAtLength(one.getTotalLength() * share).matrixTransform(one.getScreenCTM())
      return [at.x, at.y]
    }""", share)  # fmt: skip
    return found[0], found[1]


def taken_by(server: ServerProcess, act: Callable[[], Any], what: str = "id") -> str:
    """The id of the run that an action starts, or with "sweep" that of the sweep, once the server has it."""
    newest = lambda: next((run[what] for run in server.http.get("/api/runs", params={"limit": 1}).json()), None)  # noqa: E731
    before = newest()
    act()
    return until(lambda: (found := newest()) != before and found)


def run_by(server: ServerProcess, act: Callable[[], Any]) -> dict[str, Any]:
    """The run that an action starts, once it has ended."""
    return server.ended(taken_by(server, act))


def shown_picture(page: Page, run: dict[str, Any], output: str) -> Image.Image:
    """The pixels that the Outputs card shows of a run's output; they come once the page has heard of the run's end."""
    picture = card(page, OUTPUTS).locator(f'img[src*="/api/runs/{run["id"]}/outputs/{output}"]').first
    expect(picture).to_have_js_property("complete", True)
    answer = page.request.get(picture.evaluate("one => one.src"))
    assert answer.ok, answer.status
    return opened(answer.body())


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("RGB")


def calm(page: Page) -> None:
    """Nothing is being asked of the server any more: what Python says of the graph is on the page."""
    page.wait_for_load_state("networkidle")  # of a page that was just gone to; once that was, it is always true
    page.wait_for_function("(quiet) => !asked.now && performance.now() - asked.last > quiet", arg=QUIET)

"""What the editor costs in a real browser: until it can be used; 1,000 nodes opened, panned, dragged, selected, zoomed; typing among them and
beside a run; kilobytes of JavaScript.

Figures of Chromium without a GPU, with its server on the same cores; it draws 60 frames a second at most. A frame counts as dropped when the next
comes later than 25 ms after it.
"""

from __future__ import annotations

import gzip
import json
import re
import statistics
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent.parent / folder) for folder in ("faults", "browser")]  # a server's process, and a browser
from browsing import chromium, person, serving
from hands import card, open_graph
from large import large

from flowmm.server.pages import folder

NODES, LATE = 1_000, 25  # ms
TYPED = "a large red circle to the left of a small blue square, on a white background, "
# The first frame that shows something, told by the page itself.
FIRST = """window.firstShown = new Promise((tell) => {
  const look = () => requestAnimationFrame(document.querySelector(%s) ? tell : look)
  look()
})"""
FRAMES = """() => {
  const times = window.frameTimes = []
  const one = (now) => { times.push(now); if (times === window.frameTimes) requestAnimationFrame(one) }
  requestAnimationFrame(one)
}"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("served") / "home") as made:
        long = made.http.get("/api/graphs/text-to-image").json()
        long["inputs"]["steps"]["default"] = 1_000
        for name, graph in (("large", large(NODES)), ("large_unplaced", large(NODES, laid_out=False)), ("long", long)):
            assert made.http.put(f"/api/graphs/{name}", json=graph, headers={"If-None-Match": "*"}).is_success
        yield made


@pytest.fixture(scope="module")
def visitor(served):
    with chromium() as browser:
        yield person(browser, served)


@pytest.fixture
def page(visitor):
    made = visitor.new_page()
    made.set_default_timeout(60_000)
    yield made
    made.close()


def shown_after(page, url: str) -> float:
    """Milliseconds from going to an address until the first frame that shows what FIRST looks for."""
    page.goto(url, wait_until="commit")
    return page.evaluate("window.firstShown")


def frames(page, act) -> list[float]:
    """Milliseconds between the frames that are drawn while something is done."""
    page.evaluate(FRAMES)
    act()
    times = page.evaluate("window.frameTimes")
    return [later - earlier for earlier, later in zip(times, times[1:])]


def told(name: str, gaps: list[float]) -> str:
    slow = sum(gap > LATE for gap in gaps)
    rate = 1000 * len(gaps) / sum(gaps)
    return f"{name}: {rate:.0f} frames/s, median {statistics.median(gaps):.0f} ms, worst {max(gaps):.0f} ms, {slow} of {len(gaps)} late"


@pytest.mark.parametrize("what, path, selector", [
    ("home", "/", 'a[href^="/edit/"]'),
    ("text-to-image", "/edit/text-to-image", '.react-flow__node[data-id="paint"]'),
    (f"{NODES:,} nodes", "/edit/large", ".react-flow__node .socket"),
    (f"{NODES:,} nodes without places", "/edit/large_unplaced", ".react-flow__node .socket"),
])  # fmt: skip
def test_until_it_can_be_used(benchmark, served, page, what, path, selector):
    benchmark.group = f"{what}, until it is shown"
    page.add_init_script(FIRST % json.dumps(selector))
    found: list[float] = []
    benchmark.pedantic(lambda: found.append(shown_after(page, served.url + path)), rounds=6)
    first, *again = found
    print(f"\n{what}: shown after {first:.0f} ms, then {statistics.median(again):.0f} ms ({', '.join(f'{one:.0f}' for one in again)})")


def ground(page) -> tuple[float, float]:
    """A place of the canvas with nothing on it."""
    at = page.evaluate("""() => {
      for (let y = 120; y < innerHeight - 120; y += 7) for (let x = 80; x < innerWidth - 300; x += 7)
        if (document.elementFromPoint(x, y)?.classList.contains('react-flow__pane')) return [x, y]
    }""")
    assert at, "no free ground is in view"
    return at[0], at[1]


def moved(page, begin: tuple[float, float], steps: int = 90) -> None:
    """Hold something and move it back and forth."""
    page.mouse.move(*begin)
    page.mouse.down()
    for i in range(steps):
        page.mouse.move(begin[0] + 160 * (1 - abs(1 - (i % 30) / 15)), begin[1] + 2 * (i % 15))
    page.mouse.up()


def boxed(page) -> None:
    """Draw a box over cards, which selects them as it grows, and let go of them again."""
    x, y = ground(page)
    page.keyboard.down("Shift")
    page.mouse.move(x, y)
    page.mouse.down()
    for i in range(60):
        page.mouse.move(x + 10 * i, y + 6 * i)
    page.mouse.up()
    page.keyboard.up("Shift")


def zoomed(page) -> None:
    """Turn the wheel until one is near, and back."""
    page.mouse.move(600, 400)
    for i in range(40):
        page.mouse.wheel(0, -120 if i < 20 else 120)
        page.wait_for_timeout(30)


@pytest.mark.parametrize("view", ["zoomed in", "all in view"])
def test_moving_in_a_thousand_nodes(benchmark, served, page, view):
    benchmark.group = f"{NODES:,} nodes, {view}"
    open_graph(page, served, "large")
    page.locator(".react-flow__node .socket").first.wait_for()
    if view == "all in view":
        page.locator(".react-flow__controls-fitview").click()
    page.wait_for_timeout(2000)
    zoom = page.evaluate("new DOMMatrix(getComputedStyle(document.querySelector('.react-flow__viewport')).transform).a")
    print(f"\n{view}, zoom {zoom:.2f}: {page.locator('.react-flow__node').count()} cards drawn")
    panned: list[float] = []
    benchmark.pedantic(lambda: panned.extend(frames(page, lambda: moved(page, ground(page)))), rounds=1)
    print(f"  {told('panned', panned)}")
    box = page.locator(".react-flow__node:not([data-id^=':'])").nth(5).bounding_box()
    grip = box["x"] + box["width"] / 2, box["y"] + min(8, box["height"] / 2)
    print(f"  {told('dragged', frames(page, lambda: moved(page, grip)))}")
    print(f"  {told('selected by a box', frames(page, lambda: boxed(page)))}")
    page.mouse.click(*ground(page))
    print(f"  {told('zoomed by the wheel', frames(page, lambda: zoomed(page)))}")


def test_typing_among_a_thousand_nodes(benchmark, served, page):
    benchmark.group = f"typing among {NODES:,} nodes"
    open_graph(page, served, "large")
    field = card(page, "text_0").locator("textarea")
    field.click()
    page.wait_for_timeout(2000)
    typed: list[float] = []
    benchmark.pedantic(lambda: typed.extend(frames(page, lambda: field.press_sequentially(TYPED, delay=30))), rounds=1)
    print(f"\n{told(f'typing among {NODES:,} nodes', typed)}")


def test_typing_beside_a_run_that_streams_previews(benchmark, served, page):
    benchmark.group = "typing while a run streams previews"
    open_graph(page, served, "long")
    field = card(page, ":inputs").locator("textarea").first
    field.wait_for()

    def typing() -> None:
        field.click()
        field.press_sequentially(TYPED * 2, delay=30)

    alone = frames(page, typing)
    page.get_by_role("button", name="Run").first.click()
    page.locator(".state.running").first.wait_for(timeout=120_000)
    field.fill("")
    beside: list[float] = []
    benchmark.pedantic(lambda: beside.extend(frames(page, typing)), rounds=1)
    assert page.locator(".state.running").count(), "the run ended too soon to be measured"
    assert field.input_value() == TYPED * 2
    print(f"\n{told('typing alone', alone)}\n{told('beside a run', beside)}")
    for run in served.http.get("/api/queue").json()["running"]:
        served.post(f"/api/runs/{run['id']}/cancel")


def test_kilobytes_of_javascript(benchmark, served, page):
    """Eager is what an open graph cannot do without; the rest comes once nothing else is to do, or when it is asked for."""
    benchmark.group = "JavaScript"
    benchmark.pedantic(lambda: open_graph(page, served, "text-to-image"), rounds=1)
    parts = {path.name: path.read_text() for path in (folder() / "parts").glob("*.js")}
    loaded, due = set(), [name for name in parts if name.startswith(("index-", "Editor-"))]
    while due:
        loaded.add(name := due.pop())
        due += set(re.findall(r"""(?:from|import)\s*["']\./([^"']+\.js)["']""", parts[name])) - loaded
    sizes = {path.name: len(gzip.compress(path.read_bytes())) / 1000 for path in sorted((folder() / "parts").glob("*.js"))}
    eager = {name: size for name, size in sizes.items() if name in loaded}
    print(f"\neager {sum(eager.values()):.0f} kB gz ({', '.join(f'{name} {size:.0f}' for name, size in eager.items())})")
    lazy = {name: size for name, size in sizes.items() if name not in loaded}
    print(f"lazy {sum(lazy.values()):.0f} kB gz ({', '.join(f'{name} {size:.0f}' for name, size in lazy.items())})")

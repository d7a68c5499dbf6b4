"""Where everything is on the surface is known before it is drawn; so a graph of a thousand nodes opens at once, at its beginning, and moves as a small one."""

from __future__ import annotations

import pytest
from hands import INPUTS, calm, card, drag, open_graph
from large import large
from playwright.sync_api import Page, expect
from server_process import ServerProcess, until

NODES = 1_000
ENDS = """() => [...document.querySelectorAll('.react-flow__edge')].flatMap((edge) => {
  const [from, to] = edge.dataset.id.split('>')
  const path = edge.querySelector('.react-flow__edge-path')
  const { a, e, d, f } = path.getScreenCTM()
  const end = (at) => { const { x, y } = path.getPointAtLength(at); return [a * x + e, d * y + f] }
  const socket = (id, side) => {
    const [node, port] = id.split('.')
    const found = document.querySelector(`.${side}[data-nodeid="${node === 'input' ? ':inputs' : node}"][data-handleid="${port}"]`)?.getBoundingClientRect()
    return found && [side === 'source' ? found.right : found.left, found.y + found.height / 2]
  }
  const far = ([x, y], socket) => socket ? Math.hypot(x - socket[0], y - socket[1]) / a : null
  return [[edge.dataset.id, far(end(0), socket(from, 'source')), far(end(path.getTotalLength()), socket(to, 'target'))]]
})"""


@pytest.fixture(scope="module")
def holding(server) -> ServerProcess:
    for name, laid_out in (("large", True), ("large_unplaced", False)):
        assert server.http.put(f"/api/graphs/{name}", json=large(NODES, laid_out), headers={"If-None-Match": "*"}).is_success
    return server


def zoom(page: Page) -> float:
    return page.evaluate("new DOMMatrix(getComputedStyle(document.querySelector('.react-flow__viewport')).transform).a")


def all_in_view(page: Page) -> None:
    page.keyboard.press(".")
    expect(page.locator(".react-flow__node")).to_have_count(NODES + 2)
    page.wait_for_timeout(400)  # the view has moved there


def lines(page: Page) -> list[list[str]]:
    """The wires of the overview, by their looks."""
    return [["M" + one for one in path.get_attribute("d").split("M")[1:]] for path in page.locator(".far-wires path").all()]


def ends_on_sockets(page: Page) -> int:
    """How many ends of wires are drawn on their sockets, each to a pixel of the surface; cards out of view show none."""
    found = [(wire, end, far) for wire, *ends in page.evaluate(ENDS) for end, far in zip(("begins", "ends"), ends) if far is not None]
    off = [one for one in found if one[2] > 1]
    assert not off, off
    return len(found)


@pytest.mark.parametrize("graph", ["text-to-image", "chat", "unitoken-two-readings"])
def test_wires_end_on_their_sockets_however_cards_are_folded(page, server, graph):
    open_graph(page, server, graph)
    card(page, INPUTS).locator("textarea").first.wait_for()
    calm(page)
    assert ends_on_sockets(page)
    page.mouse.click(700, 860)
    for key in ("s", "c"):  # all settings; folded
        page.keyboard.press("Control+a")
        page.keyboard.press(key)
        calm(page)
        page.wait_for_timeout(300)
        assert ends_on_sockets(page)
    assert page.locator(".react-flow__node-op [aria-expanded=false]").count() == page.locator(".react-flow__node-op").count()


@pytest.mark.parametrize("graph", ["large", "large_unplaced"])
def test_a_graph_too_large_to_be_read_at_once_opens_at_its_beginning(page, holding, graph):
    open_graph(page, holding, graph)
    expect(card(page, INPUTS)).to_be_in_viewport(ratio=1)
    expect(card(page, "parts_0").get_by_text("denoiser")).to_be_visible()
    assert zoom(page) >= 0.5
    assert page.locator(".react-flow__node").count() < 100  # those that are seen, and no more


def test_a_box_in_the_overview_is_moved_with_its_wires_and_moved_back(page, holding):
    open_graph(page, holding, "large")
    expect(card(page, "paint_0")).to_be_visible()
    all_in_view(page)
    assert zoom(page) < 0.1
    held = card(page, "paint_110")
    before, drawn = held.bounding_box(), lines(page)
    middle = (before["x"] + before["width"] / 2, before["y"] + before["height"] / 2)
    drag(page, middle, (middle[0] + 40, middle[1] + 30), let_go=False)
    after = held.bounding_box()
    assert abs(after["x"] - before["x"] - 40) < 3 and abs(after["y"] - before["y"] - 30) < 3, (before, after)
    moved = [one for path in lines(page) for one in path if one not in {old for path in drawn for old in path}]
    assert len(moved) == 4  # three come in, one goes out
    page.mouse.up()
    page.keyboard.press("Control+z")
    until(lambda: lines(page) == drawn)


def test_zooming_in_from_the_overview_shows_cards_whose_wires_end_on_their_sockets(page, holding):
    open_graph(page, holding, "large")
    expect(card(page, "paint_0")).to_be_visible()
    all_in_view(page)
    page.mouse.move(700, 450)
    for _ in range(12):
        page.mouse.wheel(0, -400)
        page.wait_for_timeout(60)
    expect(page.locator(".card.far")).to_have_count(0)
    assert zoom(page) > 0.35
    assert ends_on_sockets(page)

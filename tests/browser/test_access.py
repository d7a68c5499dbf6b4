"""For everyone: axe finds nothing serious in any view, the keyboard alone is enough, motion can be had without, a small window shows all."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from hands import INPUTS, OUTPUTS, calm, card, open_graph, run_by, shown_picture
from looking import both_themes, cut_off, outside, overlaps, scrolls_sideways, violations
from playwright.sync_api import expect

from flowmm.zoo.judge import judge

SMALL = {"viewport": {"width": 1280, "height": 720}}


@pytest.fixture(scope="module")
def own(server):
    """A graph of the person's own, saved twice, beside the shipped ones."""
    graph = server.http.get("/api/graphs/clip-match").json()
    first = server.http.put("/api/graphs/mine", json=graph, headers={"If-None-Match": "*"})
    server.http.put("/api/graphs/mine", json=graph | {"title": "Mine"}, headers={"If-Match": first.headers["ETag"]})
    return "mine"


class Views:
    """Goes through views and remembers what axe says, with the view where it said so first."""

    def __init__(self, page):
        self.page, self.found = page, {}

    def look(self, name: str) -> None:
        for one in violations(self.page):
            self.found.setdefault(one, name)

    @contextmanager
    def opened(self, name: str):
        """What is opened inside is looked at, and closed again by Escape."""
        yield
        self.look(name)
        self.page.keyboard.press("Escape")
        self.page.wait_for_timeout(200)

    def check(self) -> None:
        assert not self.found, "\n".join(f"{name}: {one}" for one, name in self.found.items())


@pytest.fixture
def views(page):
    return Views(page)


@both_themes
def test_nothing_serious_on_the_home_page(page, own, views):
    expect(page.locator(f'a[href="/edit/{own}"]')).to_be_visible()
    calm(page)
    views.look("home")
    with views.opened("preferences"):
        page.get_by_role("button", name="Language and look").click()
    with views.opened("a graph's menu"):
        page.get_by_role("button", name="More of Mine").click()
    with views.opened("rename"):
        page.get_by_role("button", name="More of Mine").click()
        page.get_by_role("menuitem", name="Rename").click()
    with views.opened("trash"):
        page.get_by_role("button", name="Trash").click()
    page.get_by_role("searchbox").fill("nothing is called this")
    views.look("nothing found")
    views.check()


@both_themes
def test_nothing_serious_in_the_editor(page, server, own, views):
    open_graph(page, server, own)
    calm(page)
    views.look("editor")
    for button in ("File", "Language and look", "Share", "More ways to run"):
        with views.opened(button):
            page.get_by_role("button", name=button, exact=True).click()
    with views.opened("earlier versions"):
        page.get_by_role("button", name="File", exact=True).click()
        page.get_by_role("menuitem", name="Earlier versions").click()
    run_by(server, lambda: page.keyboard.press("Control+Enter"))
    calm(page)
    views.look("after a run")
    for panel in ("Queue", "Problems", "History", "Gallery"):
        page.get_by_role("tab", name=panel).click()
        expect(page.get_by_role("heading", name=panel)).to_be_visible()
        calm(page)
        views.look(panel)
    expect(page.locator(".tile")).not_to_have_count(0)
    page.get_by_role("tab", name="Gallery").click()
    with views.opened("keyboard shortcuts"):
        page.get_by_role("button", name="Keyboard shortcuts").click()
    with views.opened("the palette"):
        page.locator(".react-flow__pane").click(position={"x": 8, "y": 8})
        page.keyboard.press("/")
        page.get_by_role("option").first.wait_for()
    with views.opened("a node's menu"):
        card(page, "clip").locator(".card-head").click(button="right")
    with views.opened("finding a node"):
        page.keyboard.press("Control+F")
    with views.opened("a result, large"):
        card(page, OUTPUTS).get_by_role("button", name="Look at it large").first.click()
    views.check()


@both_themes
def test_nothing_serious_with_problems(page, server, views):
    graph = server.http.get("/api/graphs/inpaint").json()
    del graph["nodes"][next(name for name, node in graph["nodes"].items() if node["op"] == "diffusion.decode")]["in"]["latent"]
    server.http.put("/api/graphs/broken", json=graph, headers={"If-None-Match": "*"})
    open_graph(page, server, "broken")
    page.get_by_role("tab", name="Problems").click()
    calm(page)
    views.look("problems")
    views.check()


def tab_to(page, what, most: int = 80) -> None:
    """Press Tab until this has the focus."""
    for _ in range(most):
        if what.evaluate("one => one === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{most} presses of Tab do not lead to {what}")


def test_a_graph_is_found_changed_and_run_by_keyboard_alone(page, server):
    link = page.locator('a[href="/edit/text-to-image"]').first
    expect(link).to_be_visible()
    tab_to(page, link)
    page.keyboard.press("Enter")
    prompt = card(page, INPUTS).get_by_label("prompt", exact=True).first
    expect(prompt).to_be_visible()
    tab_to(page, card(page, INPUTS))
    page.keyboard.press("Enter")  # into the card
    tab_to(page, prompt)
    page.keyboard.press("Control+A")
    page.keyboard.type("a large blue square on a white background")
    calm(page)
    run = run_by(server, lambda: page.keyboard.press("Control+Enter"))
    assert run["state"] == "done", run
    seen = judge(shown_picture(page, run, "image"))
    assert [(thing.colour, thing.shape) for thing in seen.things] == [("blue", "square")]


def test_what_has_the_focus_is_seen(page, server):
    open_graph(page, server, "text-to-image")
    unseen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        told = page.evaluate("""() => {
          const one = document.activeElement, style = getComputedStyle(one)
          const around = getComputedStyle(one.querySelector(':scope > .card') ?? one.closest('label, .field') ?? one)
          const shows = (s) => s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0
          return one === document.body || shows(style) || shows(around) ? '' : one.outerHTML.slice(0, 120)
        }""")  # fmt: skip
        unseen += [told] if told else []
    assert not unseen, "\n".join(unseen)


class TestWithoutMotion:
    @pytest.fixture
    def settings(self):
        return {"reduced_motion": "reduce"}

    def test_nothing_moves(self, page, server):
        open_graph(page, server, "text-to-image")
        calm(page)
        page.get_by_role("button", name="Share", exact=True).click()
        moving = page.evaluate("""() => [...document.querySelectorAll('*')].filter((one) => {
          const style = getComputedStyle(one)
          return style.animationName !== 'none' || style.transitionDuration.split(', ').some((time) => parseFloat(time) > 0.001)
        }).map((one) => one.className)""")
        assert not moving


class TestInASmallWindow:
    @pytest.fixture(params=["en-US", "zh-CN"])
    def settings(self, request):
        return SMALL | {"locale": request.param}

    def test_the_home_page_shows_all(self, page):
        page.locator('a[href="/edit/text-to-image"]').first.wait_for()
        calm(page)
        assert not scrolls_sideways(page) and not outside(page, ".home-bar > *") and not overlaps(page, ".home-bar > *") and not cut_off(page)

    @pytest.mark.parametrize("panel", [None, "Alt+1", "Alt+2", "Alt+3", "Alt+4"])
    def test_the_editor_shows_all(self, page, server, panel):
        open_graph(page, server, "text-to-image")
        expect(card(page, OUTPUTS)).to_be_attached()
        if panel:
            page.keyboard.press(panel)
        calm(page)
        assert not scrolls_sideways(page)
        assert not outside(page, ".bar *:is(button, a, input), .rail button, .panel, .react-flow__controls button")
        assert not overlaps(page, ".bar > *, .bar button")
        assert not cut_off(page)

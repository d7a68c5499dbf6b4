"""How every view looks, in light and dark, in English and Chinese: nothing overlaps, is cut off, lies outside the window or scrolls sideways.

Pictures of all of them go to $FLOWMM_SCREENSHOTS, else to the test's own folder, for eyes to judge the rest.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from pathlib import Path

import pytest
from graph_files import drop
from hands import INPUTS, OUTPUTS, calm, card, open_graph, run_by
from looking import cut_off, outside, overlaps, scrolls_sideways, untold
from playwright.sync_api import Page, expect
from server_process import until

WINDOW = {"width": 1280, "height": 720}
LARGE = {"width": 1920, "height": 1080}
LANGUAGES, THEMES = ("en", "zh"), ("light", "dark")
ABOVE = ".menu, .dialog, .palette, .viewer, .look, .painter, .floating, .sheet, .toast"  # what lies above a page
WHOLE = f".home-bar > *, .bar *:is(button, a, input), .rail button, .panel, .conflict *, .react-flow__controls button, {ABOVE}"
APART = [".home-bar > *", ".graph", ".bar > *, .bar button", ".rail button", ".react-flow__node:not(.react-flow__node-groupBox)", ".panel li", ".menu-item", ".conflict > *"]
APART += [".react-flow__minimap, .react-flow__controls, .react-flow__node:not(.react-flow__node-groupBox)"]


# Cards are in place two frames after the room for them; pictures in view are there.
SETTLED = """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(done)))).then(() =>
  Promise.all([...document.images].filter((one) => one.loading !== 'lazy' || one.checkVisibility()).map((one) => one.decode().catch(() => null))))"""


class Views:
    """Goes through views; of each it takes a picture in every language and theme, and remembers what is wrong with it."""

    def __init__(self, page: Page, other: Page, folder: Path):
        self.page, self.other, self.folder, self.found = page, other, folder, []

    def prefer(self, **choice: str) -> None:
        """Language and look, chosen in another tab: this one follows, whatever is open in it."""
        for name, value in choice.items():
            self.other.evaluate("([name, value]) => localStorage.setItem(`flowmm.${name}`, value)", [name, value])
            expect(self.page.locator("html")).to_have_attribute({"language": "lang", "theme": "data-theme"}[name], value)

    def look(self, name: str) -> None:
        self.page.evaluate(SETTLED)
        for language in LANGUAGES:
            self.prefer(language=language)
            for theme in THEMES:
                self.prefer(theme=theme)
                self.page.screenshot(path=self.folder / f"{name.replace(' ', '-')}.{language}.{theme}.png")
            self.judge(f"{name}, {language}")
        self.prefer(language=LANGUAGES[0])

    def judge(self, view: str) -> None:
        page = self.page
        wrong = [f"{pair} overlap" for selector in APART for pair in overlaps(page, selector)]
        wrong += [f"{one} is cut off" for one in cut_off(page)] + [f"{one} is cut off, and is told nowhere" for one in untold(page)]
        wrong += [f"{one} is outside" for one in outside(page, WHOLE)] + ["it scrolls sideways"] * scrolls_sideways(page)
        self.found += [f"{view}: {one}" for one in dict.fromkeys(wrong)]

    @contextmanager
    def opened(self, name: str):
        """What is opened inside is looked at, and closed again by Escape."""
        yield
        expect(self.page.locator(ABOVE).first).to_be_visible()
        self.look(name)
        self.page.keyboard.press("Escape")
        expect(self.page.locator(ABOVE)).to_have_count(0)

    def check(self) -> None:
        assert not self.found, "\n".join(self.found)


@pytest.fixture
def settings():
    return {"viewport": WINDOW, "reduced_motion": "reduce"}  # else pictures show what is on its way


@pytest.fixture
def views(page, context, server, tmp_path):
    folder = Path(os.environ.get("FLOWMM_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    other = context.new_page()
    other.goto(server.url)
    page.bring_to_front()  # a tab that is behind draws once a second
    return Views(page, other, folder)


def own(server, name: str, template: str, **more) -> str:
    graph = server.http.get(f"/api/graphs/{template}").json()
    server.http.put(f"/api/graphs/{name}", json=graph | more, headers={"If-None-Match": "*"}).raise_for_status()
    return name


def ran(page: Page, server) -> None:
    assert run_by(server, lambda: page.keyboard.press("Control+Enter"))["state"] == "done"
    expect(page.locator(".going")).to_have_count(0)
    calm(page)


def in_large(views: Views, name: str, page: Page) -> None:
    page.set_viewport_size(LARGE)
    page.keyboard.press(".")  # of the editor: all in view
    views.look(name)
    page.set_viewport_size(WINDOW)
    page.keyboard.press(".")


def test_home(page, server, views):
    own(server, "mine", "clip-match", title="Mine")
    page.reload()
    expect(page.locator('a[href="/edit/mine"]')).to_be_visible()
    calm(page)
    views.look("home")
    in_large(views, "home large", page)
    with views.opened("home menu"):
        page.get_by_role("button", name="More of Mine").click()
    with views.opened("home rename"):
        page.get_by_role("button", name="More of Mine").click()
        page.get_by_role("menuitem", name="Rename").click()
    views.check()


def test_editor(page, server, views):
    open_graph(page, server, own(server, "drawn", "text-to-image"))
    calm(page)
    views.look("editor")
    for button in ("File", "Share", "More ways to run", "Language and look"):
        with views.opened(f"menu {button.lower()}"):
            page.get_by_role("button", name=button, exact=True).click()
    page.locator(".react-flow__pane").click(position={"x": 8, "y": 8})
    with views.opened("palette"):
        page.keyboard.press("/")
        page.get_by_role("option").first.wait_for()
    with views.opened("palette searched"):
        page.keyboard.press("/")
        page.keyboard.type("embed")
        page.get_by_role("option").first.wait_for()
    with views.opened("menu of a node"):
        card(page, "paint").locator(".card-head").click(button="right")
    with views.opened("keys"):
        page.get_by_role("button", name="Keyboard shortcuts").click()
    ran(page, server)
    views.look("editor ran")
    in_large(views, "editor large", page)
    page.locator('[data-field="input.seed"] input').fill("92")
    expect(page.locator(".run-area .split button").first).to_contain_text("2 of 4 to run")
    ran(page, server)
    for panel in ("Queue", "Problems", "History", "Gallery"):
        page.get_by_role("tab", name=panel).click()
        page.locator(".panel > :is(div, p)").wait_for()
        views.look(f"panel {panel.lower()}")
    page.get_by_role("tab", name="Gallery").click()
    card(page, OUTPUTS).get_by_role("button", name="Look at it large: image").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name=re.compile("^Compare: ")).first.wait_for()
    views.look("result large")
    dialog.get_by_role("button", name=re.compile("^Compare: ")).first.click()
    views.look("compared side by side")
    with views.opened("compared by slider"):
        dialog.get_by_role("button", name="Slider").click()
    with views.opened("earlier versions"):
        page.get_by_role("button", name="File", exact=True).click()
        page.get_by_role("menuitem", name="Earlier versions").click()
    views.check()


@pytest.mark.parametrize("graph", ["vit-attention", "clip-match", "vit-classify", "caption"])
def test_results(page, server, views, graph):
    open_graph(page, server, own(server, f"shows-{graph}", graph))
    expect(card(page, OUTPUTS)).to_be_attached()
    ran(page, server)
    views.look(f"results {graph}")
    with views.opened(f"large {graph}"):
        card(page, OUTPUTS).get_by_role("button", name="Look at it large").first.click()
    views.check()


def test_the_mask_painter(page, server, views):
    open_graph(page, server, own(server, "masked", "inpaint"))
    calm(page)
    views.look("inpaint")
    page.locator('[data-field="input.mask"] .pictures').hover()
    with views.opened("mask painter"):
        page.get_by_role("button", name="mask · Paint the mask").click()
        page.get_by_role("dialog").locator("canvas").wait_for()
    views.check()


def test_an_empty_graph_and_its_first_nodes(page, server, views):
    open_graph(page, server)
    expect(card(page, OUTPUTS)).to_be_visible()
    calm(page)
    views.look("empty")
    for name in ("sample", "decode latent", "encode prompt"):
        page.keyboard.press("/")
        page.keyboard.type(name)
        page.get_by_role("option").first.wait_for()
        page.keyboard.press("Enter")
    expect(page.locator(".react-flow__node")).to_have_count(5)
    page.keyboard.press(".")  # all in view
    calm(page)
    views.look("first nodes")
    views.check()


def test_all_that_is_in_view_stays_so_when_a_panel_opens_and_the_map_comes_when_something_does_not(page, server, views):
    open_graph(page, server, "caption")
    expect(card(page, OUTPUTS)).to_be_visible()
    overview = page.locator(".react-flow__minimap")
    wide = card(page, OUTPUTS).bounding_box()["width"]
    expect(overview).to_be_hidden()
    page.keyboard.press("Alt+3")
    edge = page.locator(".panel").bounding_box()["x"]
    until(lambda: (box := card(page, OUTPUTS).bounding_box()) and box["x"] + box["width"] <= edge)
    expect(overview).to_be_hidden()
    page.keyboard.press("Alt+3")
    until(lambda: card(page, OUTPUTS).bounding_box()["width"] == pytest.approx(wide, abs=1))
    page.keyboard.press("Control+0")
    expect(overview).to_be_visible()
    page.keyboard.press(".")
    views.prefer(language="zh")
    expect(card(page, INPUTS)).to_have_attribute("aria-label", "输入")  # and what the keyboard comes to is named in the language chosen


def test_groups_notes_and_colours(page, server, views):
    notes = {"about": {"text": "# Captions\n\n*BLIP* writes what it **sees**:\n\n- a picture\n- a text to begin with", "at": [330, -190], "size": [300, 170], "colour": "blue"}}
    groups = {"sees": {"title": "What sees and what writes", "at": [330, 10], "size": [560, 480], "colour": "teal"}}
    graph = server.http.get("/api/graphs/caption").json()
    nodes = {name: [360 + 260 * i, 60] for i, name in enumerate(graph["nodes"])}
    layout = {"notes": notes, "groups": groups, "nodes": nodes, "colours": {next(iter(nodes)): "violet"}, "collapsed": []}
    open_graph(page, server, own(server, "arranged", "caption", layout=layout))
    calm(page)
    views.look("groups and notes")
    views.check()


def test_inside_a_graph(page, server, views):
    open_graph(page, server, own(server, "enclosing", "text-to-image"))
    calm(page)
    for i, node in enumerate(("words", "not_words", "paint")):
        card(page, node).locator(".card-head").click(position={"x": 60, "y": 12}, modifiers=["Control"] if i else [])
    page.keyboard.press("Control+Shift+g")
    expect(card(page, "part")).to_be_visible()
    expect(page.locator(".announcer.said")).to_have_count(0)
    calm(page)
    views.look("a graph as a node")
    with views.opened("menu of a graph"):
        card(page, "part").locator(".card-head").click(button="right")
    page.keyboard.press("Control+d")
    card(page, "part").locator(".card-head").dblclick()
    expect(page.get_by_text("used 2 times")).to_be_visible()
    calm(page)
    views.look("inside a graph")
    views.check()


def test_what_does_not_run_and_reroutes(page, server, views):
    graph = server.http.get("/api/graphs/text-to-image").json()
    nodes = graph["nodes"] | {"latents": {"op": "logic.reroute", "version": 1, "in": {"value": {"from": "paint.latent"}}}}
    nodes["pixels"] = nodes["pixels"] | {"in": nodes["pixels"]["in"] | {"latent": {"from": "latents.value"}}, "mode": "bypass"}
    nodes["not_words"] = nodes["not_words"] | {"mode": "mute"}
    nodes["small"] = {"op": "image.resize", "version": 1, "in": {"image": {"from": "off.image"}}}
    nodes["off"] = {"op": "image.resize", "version": 1, "in": {"image": {"from": "pixels.image"}}, "mode": "mute"}
    open_graph(page, server, own(server, "partly", "text-to-image", nodes=nodes, outputs={"image": {"from": "pixels.image"}, "small": {"from": "small.image"}}))
    calm(page)
    views.look("what does not run")
    page.locator(".react-flow__pane").click(position={"x": 8, "y": 8})
    while not page.locator(".card.far").count():
        page.keyboard.press("-")
    views.look("what does not run from far")
    views.check()


def test_a_file_of_another_program(page, server, views):
    corpus = Path(__file__).parent.parent / "corpus" / "comfyui"
    page.goto(server.url)
    drop(page, "workflow.json", (corpus / "custom_nodes.json").read_bytes(), "application/json")
    with views.opened("import report"):
        page.get_by_role("dialog").wait_for()
        calm(page)
    page.keyboard.press(".")
    calm(page)
    views.look("placeholders")
    views.check()


def test_what_is_wrong(page, server, views, watch):
    watch.allow("status of (404|412|422)")
    graph = server.http.get("/api/graphs/text-to-image").json()
    graph["nodes"]["smaller"] = {"op": "image.resize", "version": 1, "in": {"image": {"from": "paint.latent"}, "width": 16, "height": 16}}
    graph["outputs"]["small"] = {"from": "smaller.image"}
    own(server, "broken", "text-to-image", nodes=graph["nodes"], outputs=graph["outputs"])
    open_graph(page, server, "broken")
    page.get_by_role("tab", name="Problems").click()
    calm(page)
    views.look("problems found")
    etag = server.http.get("/api/graphs/broken").headers["etag"]
    server.http.put("/api/graphs/broken", json=graph | {"title": "Theirs"}, headers={"If-Match": etag}).raise_for_status()
    card(page, INPUTS).locator("textarea").first.fill("mine")
    expect(page.locator(".conflict")).to_be_visible()
    views.look("conflict")
    with views.opened("differences"):
        page.get_by_role("button", name="What differs?").click()
    page.get_by_role("button", name="Take that version").click()
    page.goto(f"{server.url}/edit/nothing-here")
    expect(page.locator(".failed")).to_be_visible()
    views.look("not found")
    views.check()


def test_what_could_not_be_drawn(page, server, views, watch):
    """A part of the page that fails is told in its place, and the rest goes on."""
    watch.allow("status of 404|dynamically imported|Minified React|TypeError|net::ERR_FAILED")
    page.route(re.compile("/parts/Queue-.*"), lambda route: route.abort())
    open_graph(page, server, own(server, "half-drawn", "caption"))
    page.get_by_role("tab", name="Queue").click()
    expect(page.get_by_role("alert")).to_contain_text("This could not be drawn")
    calm(page)
    views.look("panel not drawn")
    page.get_by_role("tab", name="History").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    page.route("**/api/nodes*", lambda route: route.fulfill(json={"nodes": {"vlm.caption_prompt": {}}}))
    page.unroute(re.compile("/parts/Queue-.*"))
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("This could not be drawn")
    expect(page.get_by_role("button", name="Share")).to_be_visible()
    views.look("canvas not drawn")
    views.check()


def test_frames_and_the_sheet_of_a_sweep(page, server, views):
    resize = {"op": "image.resize", "version": 1, "in": {"image": {"from": "input.picture"}, "width": {"value": [4, 8]}, "height": {"value": [8, 16]}}, "each": ["width", "height"]}
    again = {"op": "image.resize", "version": 1, "in": {"image": {"from": "input.picture"}, "width": {"from": "input.width"}, "height": 8}, "loop": {"carry": {"image": "image"}, "most": 3}}
    graph = {"flowmm": 1, "title": "Frames", "inputs": {"picture": {"default": "examples/red-circle.png"}, "width": {"default": 8}},
             "nodes": {"resize": resize, "again": again}, "outputs": {"sizes": {"from": "resize.image"}, "last": {"from": "again.image"}},
             "layout": {"sweep": {"axes": {"picture": ["examples/red-circle.png", "examples/blue-star.png"], "width": [8, 16, 99999]}}}}  # fmt: skip
    server.http.put("/api/graphs/framed", json=graph, headers={"If-None-Match": "*"}).raise_for_status()
    open_graph(page, server, "framed")
    calm(page)
    views.look("frames")
    with views.opened("loop"):
        card(page, "again").get_by_role("button", name="Again and again").click()
    page.get_by_role("button", name="Run × 6").click()
    expect(card(page, OUTPUTS).get_by_role("status").first).to_have_text("6 of 6 done · 2 failed")
    calm(page)
    views.look("sweep")
    with views.opened("sheet of a sweep"):
        page.get_by_role("button", name="Open the sheet of last").click()
    views.check()
    page.set_viewport_size({"width": 390, "height": 760})
    assert not outside(page, ".bar, .bar *:is(a, button, h1)"), "Run is within reach of a thumb"
    page.keyboard.press("Alt+3")
    page.get_by_role("button", name="Frames, a sweep").click()
    expect(page.locator(".dialog button.cell").first).to_be_visible()
    assert not outside(page, ".dialog, .dialog *:is(a, button, select):not(.cells *)"), "on a phone the cells alone are scrolled to"

"""Sweeps in the editor: inputs that take several values, and the labelled sheet as the result; by mouse and keyboard."""

from __future__ import annotations

import csv
import io

import PIL.Image
import pytest
from hands import INPUTS, OUTPUTS, calm, card, open_graph, socket, taken_by
from looking import violations
from playwright.sync_api import expect
from server_process import until

MADE = {
    "flowmm": 1, "title": "Resized", "outputs": {"image": {"from": "small.image"}},
    "inputs": {"picture": {"default": "examples/red-circle.png"}, "width": {"default": 8}, "filter": {"default": "nearest"}},
    "nodes": {"small": {"op": "image.resize", "version": 1, "in": {"image": {"from": "input.picture"}, "width": {"from": "input.width"}, "height": 8, "filter": {"from": "input.filter"}}}},
}  # fmt: skip


@pytest.fixture
def editor(server, page, request):
    """The graph above, saved under the test's name and opened."""
    name = request.node.name.replace("_", "-")[:60]
    assert server.http.put(f"/api/graphs/{name}", json=MADE, headers={"If-None-Match": "*"}).status_code == 200
    open_graph(page, server, name)
    calm(page)
    return name


def widget(page, name: str):
    return page.locator(f'.widget[data-field="input.{name}"]')


def several(page, name: str, values: str) -> None:
    """By mouse."""
    widget(page, name).click(button="right")
    page.get_by_role("menuitem", name="Try several values").click()
    widget(page, name).get_by_role("textbox").fill(values)


def swept(server, act) -> dict:
    """The sweep that an action starts, once all its runs have ended."""
    id_ = taken_by(server, act, "sweep")
    return until(lambda: (made := server.http.get(f"/api/sweeps/{id_}").json())["ended"] and made)


def test_inputs_take_several_values_by_mouse_and_the_sheet_is_the_result(page, server, editor):
    several(page, "width", "4, 8, 16")
    several(page, "filter", "nearest\nlanczos")
    expect(card(page, INPUTS).get_by_text("× 6")).to_be_visible()
    made = swept(server, lambda: page.get_by_role("button", name="Run × 6").click())
    assert made["states"] == {"done": 6} and (made["rows"], made["columns"]) == (["4", "8", "16"], ["nearest", "lanczos"])
    small = card(page, OUTPUTS)
    assert not violations(page)
    expect(small.get_by_role("status")).to_have_text("6 of 6 done")
    expect(small.get_by_role("columnheader")).to_have_text(["filter", "width", "nearest", "lanczos"])
    expect(small.get_by_role("rowheader")).to_have_text(["4", "8", "16"])
    small.get_by_role("button", name="Open the sheet of image").click()
    sheet = page.get_by_role("dialog", name="Sheet: Resized")
    expect(sheet.locator("button.cell img")).to_have_count(6)
    sheet.get_by_role("button", name="width 16, filter lanczos").click()
    opened = page.get_by_role("dialog", name="image")
    expect(opened.get_by_text("lanczos").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(opened).to_have_count(0)
    expect(sheet).to_be_visible()
    with page.expect_download() as taken:
        sheet.get_by_role("link", name="Sheet").click()
    assert PIL.Image.open(taken.value.path()).width > 2 * 160
    with page.expect_download() as taken:
        sheet.get_by_role("link", name="CSV").click()
    rows = list(csv.DictReader(io.StringIO(taken.value.path().read_text())))
    assert [(row["width"], row["filter"], row["image"]) for row in rows][-1] == ("16", "lanczos", "16×8")
    with page.expect_download() as taken:
        sheet.get_by_role("link", name="JSON lines").click()
    assert len(taken.value.path().read_text().splitlines()) == 6


def test_the_same_by_keyboard_side_by_side_and_back_to_one_value(page, server, editor):
    widget(page, "width").locator("input").first.focus()
    page.keyboard.press("Alt+e")
    widget(page, "width").get_by_role("textbox").fill("4..6")
    socket(page, INPUTS, "filter").focus()
    page.keyboard.press("e")
    widget(page, "filter").get_by_role("textbox").fill("nearest\nlanczos\nbicubic")
    expect(page.get_by_role("button", name="Run × 9")).to_be_visible()
    card(page, INPUTS).get_by_role("radio", name="each with each").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("button", name="Run × 3")).to_be_visible()
    made = swept(server, lambda: page.keyboard.press("Control+Enter"))
    assert [cell["inputs"] for cell in made["cells"]] == [{"width": 4, "filter": "nearest"}, {"width": 5, "filter": "lanczos"}, {"width": 6, "filter": "bicubic"}]
    socket(page, INPUTS, "filter").focus()
    page.keyboard.press("e")
    socket(page, INPUTS, "width").focus()
    page.keyboard.press("e")
    expect(page.get_by_role("button", name="Run ×")).to_have_count(0)
    saved = lambda: server.http.get(f"/api/graphs/{editor}").json()  # noqa: E731
    until(lambda: "sweep" not in saved().get("layout", {}) and saved()["inputs"] == MADE["inputs"])
    page.keyboard.press("Control+z")
    expect(page.get_by_role("button", name="Run × 3")).to_be_visible()


def test_a_cell_that_fails_leaves_the_others_and_says_why(page, server, editor):
    several(page, "width", "8, 99999, 4")
    made = swept(server, lambda: page.keyboard.press("Control+Enter"))
    assert made["states"] == {"done": 2, "failed": 1}
    expect(card(page, OUTPUTS).get_by_role("status")).to_have_text("3 of 3 done · 1 failed")
    card(page, OUTPUTS).get_by_role("button", name="Open the sheet of image").click()
    sheet = page.get_by_role("dialog", name="Sheet: Resized")
    expect(sheet.locator("button.cell")).to_have_count(2)
    expect(sheet.get_by_role("img", name="width 99999")).to_contain_text("out of range")


def test_what_is_wrong_with_the_values_is_said_at_the_input_before_anything_runs(page, server, editor):
    several(page, "width", "4, 8")
    several(page, "filter", "nearest\nlanczos\nbicubic")
    card(page, INPUTS).get_by_role("radio", name="side by side").check()
    page.keyboard.press("Alt+2")
    expect(page.get_by_text("differ in number").first).to_be_visible()
    widget(page, "width").get_by_role("textbox").fill("4, 8, lots")
    expect(page.get_by_text("differ in number")).to_have_count(0)
    widget(page, "width").get_by_role("textbox").fill("lots, 4, 8")
    expect(page.get_by_text("a whole number is wanted, not 'lots'").first).to_be_visible()
    widget(page, "width").get_by_role("textbox").fill("8..4")
    page.keyboard.press("Control+Enter")
    expect(widget(page, "width").get_by_role("alert")).to_contain_text("never gets")
    assert not [run for run in server.http.get("/api/runs").json() if run["name"] == editor]


def test_it_is_stopped_as_a_whole_comes_back_after_a_reload_and_lies_in_the_history(page, server, request):
    made = {"flowmm": 1, "title": "Slow", "inputs": {"seed": {"default": 0}}, "outputs": {"image": {"from": "paint.image"}},
            "nodes": {"paint": {"op": "graph:text-to-image", "in": {"seed": {"from": "input.seed"}, "steps": 1000}}}}  # fmt: skip
    assert server.http.put("/api/graphs/slow", json=made, headers={"If-None-Match": "*"}).status_code == 200
    open_graph(page, server, "slow")
    calm(page)
    several(page, "seed", "0..4")
    page.get_by_role("button", name="Run × 5").click()
    expect(card(page, "paint").get_by_role("progressbar")).to_be_visible()  # the cell that is at work is on the nodes
    page.keyboard.press("Alt+1")
    expect(page.get_by_role("button", name="Slow, a sweep").get_by_text("4 waiting")).to_be_visible()
    page.get_by_role("button", name="Stop them all: Slow, a sweep").click()
    expect(card(page, OUTPUTS).get_by_role("status")).to_have_text("5 of 5 done")
    sweep = server.http.get("/api/runs", params={"limit": 1}).json()[0]["sweep"]
    until(lambda: server.http.get(f"/api/sweeps/{sweep}").json()["states"] == {"cancelled": 5})
    page.reload()
    expect(card(page, OUTPUTS).get_by_role("status")).to_have_text("5 of 5 done")
    page.keyboard.press("Alt+3")
    page.get_by_role("button", name="Slow, a sweep").click()
    expect(page.get_by_role("dialog", name="Sheet: Slow").get_by_role("img", name="seed 3: cancelled")).to_be_visible()

"""Sweeps over lists and masks, and lists of numbers as they are written, in the editor; by mouse and keyboard."""

from __future__ import annotations

import PIL.Image
import pytest
from hands import OUTPUTS, calm, card, open_graph
from playwright.sync_api import expect
from test_sweeps_shown import several, swept


def opened(page, server, name: str, nodes: dict, outputs: dict, inputs: dict) -> None:
    """A graph, saved and opened."""
    made = {"flowmm": 1, "title": "Lists", "nodes": nodes, "inputs": {key: {"default": value} for key, value in inputs.items()},
            "outputs": {key: {"from": value} for key, value in outputs.items()}}  # fmt: skip
    assert server.http.put(f"/api/graphs/{name}", json=made, headers={"If-None-Match": "*"}).status_code == 200
    open_graph(page, server, name)
    calm(page)


def test_a_cell_of_several_pictures_shows_them_all_here_and_on_the_sheet_that_is_taken_away(page, server):
    nodes = {
        "small": {"op": "image.resize", "version": 1, "in": {"image": {"from": "input.picture"}, "width": {"from": "input.width"}, "height": 16}},
        "twice": {"op": "image.batch", "version": 1, "in": {"images": {"list": [{"from": "small.image"}, {"from": "small.image"}]}}},
        "apart": {"op": "image.split", "version": 1, "in": {"image": {"from": "twice.image"}}},
    }
    opened(page, server, "apart", nodes, {"pictures": "apart.images"}, {"picture": "examples/red-circle.png", "width": 8})
    several(page, "width", "8, 16")
    made = swept(server, lambda: page.get_by_role("button", name="Run × 2").click())
    assert [cell["outputs"]["pictures"]["type"] for cell in made["cells"]] == ["list[Image]"] * 2
    card(page, OUTPUTS).get_by_role("button", name="Open the sheet of pictures").click()
    sheet = page.get_by_role("dialog", name="Sheet: Lists")
    pictures = sheet.locator("button.cell img")
    expect(pictures).to_have_count(2)
    page.wait_for_function("[...document.querySelectorAll('.sweep-sheet .cell img')].every((one) => one.naturalWidth)")
    wide = pictures.evaluate_all("all => all.map((one) => one.naturalWidth / one.naturalHeight)")
    assert wide[0] == pytest.approx(1, abs=0.1) and wide[1] == pytest.approx(2, abs=0.1), "two of 8 × 16 side by side, two of 16 × 16"
    with page.expect_download() as taken:
        sheet.get_by_role("link", name="Sheet").click()
    assert PIL.Image.open(taken.value.path()).width > 2 * 160
    sheet.get_by_role("button", name="width 16").click()
    expect(page.get_by_role("dialog", name="pictures").get_by_text("1 / 2")).to_be_visible()

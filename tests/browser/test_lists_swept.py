"""Sweeps over lists and masks, and lists of numbers as they are written, in the editor; by mouse and keyboard."""

from __future__ import annotations

import io

import PIL.Image
import pytest
from hands import INPUTS, OUTPUTS, calm, card, open_graph, socket
from playwright.sync_api import expect
from server_process import until
from test_sweeps_shown import several, swept, widget


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
    until(lambda: pictures.evaluate_all("all => all.every((one) => one.naturalWidth)"))
    wide = pictures.evaluate_all("all => all.map((one) => one.naturalWidth / one.naturalHeight)")
    assert wide[0] == pytest.approx(1, abs=0.1) and wide[1] == pytest.approx(2, abs=0.1), "two of 8 × 16 side by side, two of 16 × 16"
    with page.expect_download() as taken:
        sheet.get_by_role("link", name="Sheet").click()
    assert PIL.Image.open(taken.value.path()).width > 2 * 160
    sheet.get_by_role("button", name="width 16").click()
    expect(page.get_by_role("dialog", name="pictures").get_by_text("1 / 2")).to_be_visible()


RESIZED = {"small": {"op": "image.resize", "version": 1, "each": ["width"], "in": {"image": {"from": "input.picture"}, "width": {"from": "input.width"}, "height": 8}}}


def test_a_list_of_numbers_is_written_in_a_row_and_what_is_wrong_is_said_there(page, server):
    opened(page, server, "numbers", RESIZED, {"pictures": "small.image"}, {"picture": "examples/red-circle.png", "width": [4, 8]})
    field = widget(page, "width")
    saved = lambda: server.http.get("/api/graphs/numbers").json()["inputs"]["width"]["default"]  # noqa: E731
    expect(field.get_by_role("textbox")).to_have_value("4, 8")
    field.get_by_role("textbox").fill("4..8..2")
    until(lambda: saved() == [4, 6, 8])
    expect(field.get_by_title("3 items")).to_have_text("×3")
    field.get_by_role("textbox").fill("8..4")
    expect(field.get_by_role("alert")).to_contain_text("never gets")
    field.get_by_role("textbox").fill("4, 0")
    expect(field.get_by_role("alert")).to_contain_text("0 is out of range: 1 to 16384")
    page.get_by_role("tab", name="Problems").click()
    problem = page.locator(".problems .problem").first
    expect(problem.locator("b")).to_have_text("width")
    problem.click()
    expect(card(page, INPUTS)).to_be_focused()
    field.get_by_role("textbox").fill("4\n16")
    until(lambda: saved() == [4, 16])
    expect(field.get_by_role("alert")).to_have_count(0)


def test_lists_of_numbers_are_swept_over_a_line_each(page, server):
    opened(page, server, "lists", RESIZED, {"pictures": "small.image"}, {"picture": "examples/red-circle.png", "width": [4, 8]})
    socket(page, INPUTS, "width").focus()
    page.keyboard.press("e")
    written = widget(page, "width").get_by_role("textbox")
    expect(written).to_have_value("4, 8")
    written.fill("4, 8\n6..8\n16")
    made = swept(server, lambda: page.get_by_role("button", name="Run × 3").click())
    assert made["columns"] == ["4, 8", "6, 7, 8", "16"] and [cell["inputs"]["width"] for cell in made["cells"]] == [[4, 8], [6, 7, 8], [16]]
    assert [cell["outputs"]["pictures"]["summary"]["count"] for cell in made["cells"]] == [2, 3, 1]
    written.fill("4, 8\n0")
    expect(page.get_by_role("button", name="Run × 2")).to_be_visible()
    page.reload()
    expect(widget(page, "width").get_by_role("textbox")).to_have_value("4, 8\n0")
    page.keyboard.press("Alt+e")
    socket(page, INPUTS, "width").focus()
    page.keyboard.press("e")
    expect(page.get_by_role("button", name="Run ×")).to_have_count(0)
    expect(widget(page, "width").get_by_role("textbox")).to_have_value("4, 8")


def test_several_texts_are_swept_over_a_list_a_line_or_one_by_one(page, server):
    nodes = {"filled": {"op": "text.template", "version": 1, "in": {"template": "a {}", "text": {"from": "input.texts"}}}}
    opened(page, server, "texts", nodes, {"text": "filled.text"}, {"texts": ["star", "ring"]})
    field = widget(page, "texts")
    field.click(button="right")
    page.get_by_role("menuitem", name="Try several values").click()
    expect(field.get_by_role("textbox")).to_have_value("star, ring")
    field.get_by_role("textbox").fill('star, 7\n["red, large"]')
    made = swept(server, lambda: page.get_by_role("button", name="Run × 2").click())
    assert [cell["inputs"]["texts"] for cell in made["cells"]] == [["star", "7"], ["red, large"]]
    assert [cell["outputs"]["text"]["summary"]["text"] for cell in made["cells"]] == ["a star\na 7", "a red, large"]
    field.click(button="right")
    page.get_by_role("menuitem", name="One text in turn").click()
    expect(field.get_by_role("textbox")).to_have_value("star\n7\nred, large")
    expect(page.get_by_role("button", name="Run × 3")).to_be_visible()
    field.click(button="right")
    page.get_by_role("menuitem", name="Several texts in turn").click()
    expect(field.get_by_role("textbox")).to_have_value('star\n7\n["red, large"]')


def test_masks_are_swept_over_uploaded_or_painted(page, server):
    nodes = {"paste": {"op": "mask.paste", "version": 1, "in": {"original": {"from": "input.below"}, "painted": {"from": "input.above"}, "mask": {"from": "input.mask"}}}}
    opened(page, server, "masks", nodes, {"image": "paste.image"}, {"below": "examples/red-circle.png", "above": "examples/blue-star.png", "mask": None})
    field = widget(page, "mask")
    field.click(button="right")
    page.get_by_role("menuitem", name="Try several values").click()
    field.locator("input[type=file]").set_input_files([{"name": f"{grey}.png", "mimeType": "image/png", "buffer": plain(grey)} for grey in (0, 255)])
    expect(field.locator(".picture-tile")).to_have_count(2)
    field.hover()
    page.get_by_role("button", name="mask · Paint the mask").click()
    painter = page.get_by_role("dialog")
    expect(painter.locator("canvas")).to_be_focused()
    expect(painter).to_contain_text("0 % painted")
    page.keyboard.press(" ")
    expect(painter).not_to_contain_text(" 0 % painted")
    painter.get_by_role("button", name="Use this mask").click()
    expect(field.locator(".picture-tile")).to_have_count(3)
    made = swept(server, lambda: page.get_by_role("button", name="Run × 3").click())
    assert made["columns"] == ["#1", "#2", "#3"] and made["states"] == {"done": 3}
    assert len({cell["outputs"]["image"]["key"] for cell in made["cells"]}) == 3, "nothing, everything, a spot of it"


def test_an_input_of_one_picture_or_several_takes_them_in_turn(page, server):
    nodes = {"said": {"op": "graph:caption", "in": {"image": {"from": "input.image"}}}}
    opened(page, server, "pictures", nodes, {"text": "said.caption"}, {"image": ["examples/red-circle.png", "examples/blue-star.png"]})
    socket(page, INPUTS, "image").focus()
    page.keyboard.press("e")
    expect(widget(page, "image").locator(".picture-tile")).to_have_count(2)
    made = swept(server, lambda: page.get_by_role("button", name="Run × 2").click())
    assert made["states"] == {"done": 2} and made["columns"] == ["examples/red-circle.png", "examples/blue-star.png"]


def plain(grey: int) -> bytes:
    file = io.BytesIO()
    PIL.Image.new("L", (16, 16), grey).save(file, "PNG")
    return file.getvalue()

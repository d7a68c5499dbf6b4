"""Results in their places, large, compared, on wires; the way back from one to what made it, and onto an input."""

from __future__ import annotations

import re

import pytest
from hands import OUTPUTS, card, open_graph, run_by
from looking import violations
from playwright.sync_api import Locator, Page, expect
from server_process import ServerProcess
from test_runs import own, run_button, seed


def shown(page: Page, output: str) -> Locator:
    return card(page, OUTPUTS).locator(".row.output", has_text=output)


def run(page: Page, server: ServerProcess) -> dict:
    made = run_by(server, lambda: run_button(page).click())
    assert made["state"] == "done", made
    return made


def edge(page: Page, begin: str) -> Locator:
    return page.locator(f'.react-flow__edge[data-id^="{begin}>"] .react-flow__edge-interaction').first


def test_scores_are_bars_labels_are_chips_and_vectors_are_maps(page, server):
    open_graph(page, server, own(server, "labels", "vit-classify"))
    run(page, server)
    expect(card(page, OUTPUTS).locator(".chips .best")).to_contain_text(re.compile(r"red circle\s*9\d\.\d%"))
    open_graph(page, server, own(server, "scores", "clip-match"))
    run(page, server)
    table = card(page, OUTPUTS).locator("table.bars").first
    expect(table.get_by_role("row", name="a red circle")).to_be_visible()
    widths = table.locator("tbody tr").first.locator(".share i").evaluate_all("bars => bars.map(bar => parseFloat(bar.style.width))")
    assert widths[0] == 100 and widths[1] < 20
    open_graph(page, server, own(server, "vectors", "clip-embed"))
    run(page, server)
    maps = card(page, OUTPUTS).get_by_role("img", name=re.compile("values: 2 × 128"))
    expect(maps.first).to_be_visible()


def test_a_map_tells_its_values_under_the_pointer_and_the_cursor_keys(page, server):
    open_graph(page, server, own(server, "map", "clip-embed"))
    run(page, server)
    shown(page, "text_embedding").get_by_role("button", name="Look at it large").click(force=True)
    dialog = page.get_by_role("dialog")
    cosine = dialog.locator("figure", has_text="cosine")
    cosine.get_by_role("img").hover(position={"x": 5, "y": 5})
    expect(cosine.locator("output")).to_have_text("0, 0: 1")
    cosine.get_by_role("img").focus()
    page.keyboard.press("ArrowRight")
    expect(cosine.locator("output")).to_have_text(re.compile(r"^0, 1: -?0\.\d+"))


def test_attention_lies_over_the_picture_it_was_paid_to(page, server):
    open_graph(page, server, own(server, "heeded", "vit-attention"))
    run(page, server)
    laid = shown(page, "heat").locator(".laid")
    expect(laid.locator("img")).to_have_attribute("src", re.compile(r"/api/pictures\?graph=heeded&path=examples%2Fyellow-star\.png"))
    assert laid.locator("img").evaluate("one => one.naturalWidth") > 0
    shown(page, "heat").get_by_label("Over the picture").uncheck()
    expect(shown(page, "heat").locator(".laid")).to_have_count(0)


def test_a_wire_shows_what_flowed_through_it_or_offers_to_compute_it(page, server):
    open_graph(page, server, own(server, "looked-at", seed=81))
    look = page.locator(".look")
    edge(page, "input.prompt").dispatch_event("click", {"clientX": 500, "clientY": 300, "bubbles": True})
    expect(look).to_contain_text("a large red circle on a white background")
    assert not violations(page)
    page.keyboard.press("Escape")
    expect(look).to_have_count(0)
    edge(page, "paint.latent").dispatch_event("click", {"clientX": 500, "clientY": 300, "bubbles": True})
    expect(look).to_contain_text(re.compile("Not computed yet. [34] nodes would run for it."))
    ended = run_by(server, lambda: look.get_by_role("button", name="Run to here").click())
    assert (ended["state"], ended["targets"]) == ("done", ["paint.latent"])
    expect(look).to_contain_text("1×4×8×8 float32")
    look.get_by_label(re.compile("Slice 1 of 4")).fill("2")
    expect(look).to_contain_text("Slice 3 of 4")
    expect(card(page, "pixels").get_by_role("img", name="will run")).to_be_visible()


def test_a_picture_is_looked_at_closely_and_compared_side_by_side_and_by_slider(page, server):
    open_graph(page, server, own(server, "compared", seed=91))
    run(page, server)
    seed(page).fill("92")
    expect(run_button(page)).to_contain_text("2 of 4 to run")
    run(page, server)
    shown(page, "image").get_by_role("button", name="Look at it large: image").click()
    dialog = page.get_by_role("dialog")
    picture = dialog.locator(".stage img")
    expect(picture).to_have_css("image-rendering", "pixelated")
    wide = picture.bounding_box()["width"]
    dialog.get_by_role("button", name="Zoom in").click()
    page.wait_for_timeout(50)
    assert picture.bounding_box()["width"] == pytest.approx(1.5 * wide, rel=0.01)
    dialog.get_by_role("button", name=re.compile("^Compare: ")).first.click()
    expect(dialog.locator(".stage img")).to_have_count(2)
    dialog.get_by_role("button", name="Slider").click()
    dialog.get_by_label("Where one picture ends").fill("25")
    expect(dialog.locator(".stage .above")).to_have_css("clip-path", "inset(0px 75% 0px 0px)")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_two_of_the_gallery_are_compared_and_it_is_filtered(page, server):
    open_graph(page, server, own(server, "filtered", seed=101))
    run(page, server)
    seed(page).fill("102")
    expect(run_button(page)).to_contain_text("2 of 4 to run")
    run(page, server)
    page.get_by_role("tab", name="Gallery").click()
    page.get_by_label("This graph").select_option("This graph")
    expect(page.locator(".gallery .tiles li")).to_have_count(2)
    for box in page.locator(".gallery .tiles input").all():
        box.check(force=True)
    page.locator(".gallery .filters").get_by_role("button", name="Compare").click()
    expect(page.get_by_role("dialog").locator(".stage img")).to_have_count(2)
    page.keyboard.press("Escape")
    page.get_by_label("All kinds").select_option("Score")
    expect(page.get_by_text("No outputs yet.")).to_be_visible()


def test_the_graph_and_inputs_that_made_a_result_come_back_in_one_step(page, server):
    open_graph(page, server, own(server, "restored", seed=111))
    first = run(page, server)
    prompt = page.locator('[data-field="input.prompt"] textarea')
    prompt.fill("a small blue star")
    expect(run_button(page)).to_contain_text("to run")
    run(page, server)
    page.get_by_role("tab", name="History").click()
    page.locator(".past .head").nth(1).click()
    page.get_by_role("button", name="Restore graph and inputs").click()
    expect(prompt).to_have_value("a large red circle on a white background")
    expect(run_button(page)).to_contain_text("all cached")
    assert run(page, server)["outputs"]["image"]["key"] == first["outputs"]["image"]["key"]
    page.get_by_role("button", name="Undo").click()
    expect(prompt).to_have_value("a small blue star")


def test_a_result_is_dragged_onto_an_input(page, server):
    made = server.ended(server.submit("text-to-image"))["outputs"]["image"]
    open_graph(page, server, own(server, "dragged", "caption"))
    page.get_by_role("tab", name="Gallery").click()
    page.get_by_label("All kinds").select_option("Image")
    zone = page.locator('[data-field="input.image"] .pictures')
    page.locator(".gallery .tile").first.drag_to(zone)
    expect(zone.locator("img")).to_have_attribute("src", re.compile("/api/values/"))
    ended = run(page, server)
    assert ended["inputs"]["image"]["value"] and made["key"]
    assert ended["outputs"]["caption"]["summary"]["text"]


def test_a_text_is_copied(page, server, context):
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_graph(page, server, own(server, "copied", "caption"))
    text = run(page, server)["outputs"]["caption"]["summary"]["text"]
    card(page, OUTPUTS).get_by_role("button", name="Copy").click()
    expect(card(page, OUTPUTS).get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == text

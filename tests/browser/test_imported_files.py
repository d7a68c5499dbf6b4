"""Files of other programs dropped on the editor or on the home page: they open as graphs, with a report of what became of them."""

from __future__ import annotations

import io
import re
from pathlib import Path

import PIL.Image
import PIL.PngImagePlugin
import pytest
from graph_files import drop, own_graph, saved
from hands import INPUTS, calm, card, open_graph, wire
from looking import violations
from playwright.sync_api import Page, expect
from server_process import until

COMFY = Path(__file__).parent.parent / "corpus" / "comfyui"
PNG, JSON = "image/png", "application/json"
PARAMETERS = "a cat\nNegative prompt: a dog\nSteps: 3, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 32x32, Model: painter"


def picture(**texts: str) -> bytes:
    info = PIL.PngImagePlugin.PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    file = io.BytesIO()
    PIL.Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=info)
    return file.getvalue()


def report(page: Page):
    return page.get_by_role("dialog", name="Import report")


def group(page: Page, name: str):
    return report(page).get_by_role("region", name=name)


@pytest.mark.parametrize(
    ("name", "data", "media"),
    [
        ("api.json", (COMFY / "text_to_image_api.json").read_bytes(), JSON),
        ("comfy.png", picture(prompt=(COMFY / "text_to_image_api.json").read_text(), workflow=(COMFY / "text_to_image.json").read_text()), PNG),
        ("webui.png", picture(parameters=PARAMETERS), PNG),
    ],
)  # fmt: skip
def test_dropped_on_the_home_page_it_opens_as_a_graph_with_its_report(page, server, name, data, media):
    page.goto(server.url)
    expect(page.locator("li.graph").first).to_be_visible()
    drop(page, name, data, media)
    expect(group(page, "To be given")).to_contain_text("painter" if "webui" in name else "is not here: give it as model")
    expect(group(page, "Mapped").get_by_role("listitem").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(report(page)).to_have_count(0)
    expect(card(page, "paint")).to_be_attached()
    expect(page).to_have_url(f"{server.url}/edit/{name.split('.')[0]}")


def test_it_runs_once_what_is_missing_is_given(page, server):
    page.goto(server.url)
    drop(page, "small.json", (COMFY / "text_to_image_api.json").read_bytes(), JSON)
    group(page, "To be given").get_by_role("button", name="input.model").click()
    expect(report(page)).to_have_count(0)
    expect(card(page, INPUTS)).to_have_class(re.compile(r"\bselected\b"))
    until(lambda: server.http.get("/api/graphs/small").status_code == 200)
    graph = server.http.get("/api/graphs/small").json()
    run = server.http.post("/api/runs", json={"graph": graph, "inputs": {"model": "zoo:sd", "steps": 2, "width": 32, "height": 32}}).json()
    assert server.ended(run["id"])["state"] == "done"


@pytest.fixture
def custom(page, server, request) -> Page:
    """A workflow with nodes that nobody knows here, dropped on the editor of another graph."""
    own_graph(server, "before")
    open_graph(page, server, "before")
    expect(card(page, "join")).to_be_visible()
    drop(page, f"custom {len(request.node.name)}.json", (COMFY / "custom_nodes.json").read_bytes(), JSON, ".react-flow__pane")
    expect(report(page)).to_be_visible()
    return page


def test_the_report_says_what_was_kept_as_a_placeholder_and_is_copied(custom):
    custom.context.grant_permissions(["clipboard-read", "clipboard-write"])
    kept = group(custom, "Placeholders").get_by_role("listitem")
    expect(kept).to_have_count(3)
    expect(kept.nth(1)).to_contain_text(re.compile("My detailer.*Detailer.*#31.*detailer_pack", re.DOTALL))
    expect(report(custom)).to_contain_text("the noise of the first picture that is made from text", ignore_case=True)
    report(custom).get_by_role("button", name="Copy the report").click()
    expect(custom.get_by_text("Copied", exact=True)).to_be_visible()
    lines = custom.evaluate("navigator.clipboard.readText()").splitlines()
    assert "placeholder: FreeU_V2 #30 → freeu_v2 (no node of flowmm does this)" in lines and "mapped: KSampler #3 → paint" in lines


def test_a_line_leads_to_its_card_and_the_report_can_be_opened_again_also_after_a_reload(custom, server):
    group(custom, "Mapped").get_by_role("button", name="paint", exact=True).click()
    expect(card(custom, "paint")).to_be_focused()
    custom.keyboard.press("i")
    expect(report(custom)).to_be_visible()
    custom.keyboard.press("Escape")
    custom.keyboard.press("Control+s")
    saved(custom)
    custom.reload()
    expect(card(custom, "paint")).to_be_attached()
    expect(report(custom)).to_have_count(0)
    custom.get_by_role("button", name="File", exact=True).click()
    custom.get_by_role("menuitem", name="Import report").click()
    expect(group(custom, "Placeholders")).to_contain_text("FreeU_V2")
    custom.keyboard.press("Escape")
    open_graph(custom, server, "before")
    expect(card(custom, "join")).to_be_visible()
    custom.keyboard.press("i")  # of a graph that was not imported there is none
    expect(report(custom)).to_have_count(0)


def test_placeholders_are_on_the_canvas_with_their_wires_and_values(custom, server):
    custom.keyboard.press("Escape")
    custom.keyboard.press(".")
    calm(custom)
    detailer = card(custom, "detailer_pack")
    expect(detailer).to_contain_text("placeholder")
    expect(detailer.locator(".row", has_text="text").last.locator(".kept")).to_have_text("fine details")
    expect(detailer.locator(".kept").first).to_have_text("99")
    expect(card(custom, "freeu_v2").locator(".kept")).to_have_text(["1.3", "1.4", "0.9", "0.2"])
    expect(wire(custom, ("parts", "text_encoder"), ("detailer_pack", "clip"))).to_be_attached()


def test_what_a_placeholder_gives_stays_wired(page, server):
    """Its outputs are those that something reads."""
    nodes = {"odd": {"op": "comfyui:Odd", "in": {"strength": 0.5}}, "join": {"op": "text.join", "version": 1, "in": {"first": {"from": "odd.output_0"}, "second": "x"}}}
    graph = own_graph(server, "odd") | {"nodes": nodes, "inputs": {}}
    server.http.put("/api/graphs/odd-one", json=graph, headers={"If-None-Match": "*"}).raise_for_status()
    open_graph(page, server, "odd-one")
    expect(card(page, "odd")).to_contain_text("output_0")
    expect(wire(page, ("odd", "output_0"), ("join", "first"))).to_be_attached()


def test_on_a_small_screen_the_report_can_be_read(custom):
    custom.set_viewport_size({"width": 390, "height": 800})
    box = report(custom).bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390
    inside = report(custom).locator(".dialog-body").evaluate("one => one.scrollWidth <= one.clientWidth")
    assert inside, "it scrolls sideways"


def test_nothing_serious_is_found_by_axe_in_report_and_placeholders(custom):
    custom.wait_for_timeout(200)  # what fades in has faded in
    found = violations(custom)
    custom.keyboard.press("Escape")
    custom.keyboard.press(".")
    calm(custom)
    assert not found + violations(custom)

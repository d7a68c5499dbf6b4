"""Inside graphs as nodes: pictures that are given there, cards that wait for nobody, names that mean one graph here and another there."""

from __future__ import annotations

import json
from typing import Any

from desk import BLUE_STAR, zone
from hands import INPUTS, OUTPUTS, calm, card, run_by, socket, wire
from playwright.sync_api import Page, expect
from server_process import ServerProcess, until
from test_canvas import GROUND, head, select
from test_graphs_within import join, of, on_server, open_own, own, text_of
from test_picture_widgets import drop

from flowmm.face.find import shipped

SAY: dict[str, Any] = {key: one for key, one in json.loads((shipped() / "caption.json").read_text(encoding="utf-8")).items() if key in ("flowmm", "inputs", "nodes", "outputs")}
DEEP = {"flowmm": 1, "inputs": {}, "nodes": {"s": {"op": "graph:say", "version": 1, "in": {}}}, "outputs": {"caption": of("s.caption")}}
SAID: dict[str, Any] = {
    "title": "Said", "inputs": {}, "nodes": {"p": {"op": "graph:say", "version": 1, "in": {}}, "d": {"op": "graph:deep", "version": 1, "in": {}}},
    "outputs": {"caption": of("p.caption"), "deep": of("d.caption")}, "graphs": {"say": SAY, "deep": DEEP}, "layout": {},
}  # fmt: skip


def given(server: ServerProcess, name: str) -> dict[str, Any]:
    """What the server has of the pictures inside `say`."""
    return on_server(server, name)["graphs"]["say"].get("layout", {}).get("given", {})


def run(page: Page, server: ServerProcess) -> dict[str, Any]:
    made = run_by(server, lambda: page.keyboard.press("Control+Enter"))
    expect(page.locator(".going")).to_have_count(0)
    return made


# ── pictures ────────────────────────────────────────────────────────────────────────────────────


def test_a_picture_given_inside_is_what_runs_see_and_comes_back_with_the_run_that_saw_it(page, server):
    own(server, "said", **SAID)
    open_own(page, server, "said", "p", "d")
    assert "red circle" in text_of(server, run(page, server), "caption")
    page.mouse.dblclick(*head(page, "p"))
    expect(card(page, "pixels")).to_be_visible()
    drop(page, zone(page, "image"), BLUE_STAR.read_bytes())
    until(lambda: "upload" in given(server, "said").get("image", {}))
    upload = given(server, "said")["image"]
    calm(page)
    made = run(page, server)
    assert "blue star" in text_of(server, made, "caption") and "blue star" in text_of(server, made, "deep")
    assert list(made["inputs"].values()) == [upload], "one for all nodes that are this graph"
    assert on_server(server, "said")["inputs"] == {} and on_server(server, "said")["nodes"] == SAID["nodes"]
    expect(zone(page, "image").locator("img")).to_have_attribute("src", f"/api/uploads/{upload['upload']}?size=256")

    zone(page, "image").hover()
    page.get_by_role("button", name="image · Back to the default").click()
    until(lambda: given(server, "said") == {})
    calm(page)
    assert "red circle" in text_of(server, run(page, server), "caption")
    page.get_by_role("tab", name="History").click()
    page.locator(".past .head").nth(1).click()
    page.get_by_role("button", name="Restore graph and inputs").click()
    until(lambda: given(server, "said") == {"image": upload})
    assert on_server(server, "said")["inputs"] == {} and on_server(server, "said")["nodes"] == SAID["nodes"]


def test_a_picture_inside_that_is_gone_is_told_at_the_node_that_would_be_given_it(page, server, watch):
    watch.allow("status of 404")
    gone = SAY | {"layout": {"given": {"image": {"upload": "0" * 32 + ".png"}}}}
    own(server, "gone-inside", **SAID | {"graphs": {"say": gone, "deep": DEEP}})
    open_own(page, server, "gone-inside", "p")
    expect(card(page, "p").locator(".warn")).to_be_visible()
    page.get_by_role("tab", name="Problems").click()
    page.get_by_role("button", name="p.image").click()
    expect(card(page, "p")).to_be_focused()
    page.mouse.dblclick(*head(page, "p"))
    expect(card(page, "pixels")).to_be_visible()
    drop(page, zone(page, "image"), BLUE_STAR.read_bytes())
    expect(page.locator(".problems li")).to_have_count(0)


# ── cards ───────────────────────────────────────────────────────────────────────────────────────


def test_a_graph_is_drawn_with_all_its_wires_before_python_has_spoken_of_it(page, server):
    open_own(page, server, own(server, "not-checked"), "paint")
    select(page, "paint", "pixels")
    with page.expect_response("**/api/check"):
        page.keyboard.press("Control+Shift+g")
    expect(socket(page, "part", "image", "source")).to_be_visible()
    page.keyboard.press("Control+z")
    expect(card(page, "paint")).to_be_visible()
    page.route("**/api/check", lambda route: None)  # no answer any more: what is known of `part` is another by now
    select(page, "words", "paint")
    page.keyboard.press("Control+Shift+g")
    for source, target in ((("parts", "denoiser"), ("part", "denoiser")), (("part", "latent"), ("pixels", "latent")), ((INPUTS, "seed"), ("part", "seed"))):
        expect(wire(page, source, target)).to_be_attached()
        for node, port, side in ((*source, "source"), (*target, "target")):
            expect(socket(page, node, port, side)).to_be_visible()
    page.mouse.dblclick(*head(page, "part"))
    select(page, "paint")
    page.keyboard.press("Control+Shift+g")
    expect(socket(page, "part_2", "latent", "source")).to_be_visible()
    expect(wire(page, ("part_2", "latent"), (OUTPUTS, "latent"))).to_be_attached()
    expect(wire(page, ("words", "conditioning"), ("part_2", "positive"))).to_be_attached()
    page.keyboard.press("u")
    expect(card(page, "part_2")).to_have_count(0)
    expect(wire(page, ("words", "conditioning"), ("paint", "positive"))).to_be_attached()
    page.unroute_all(behavior="ignoreErrors")


# ── names ───────────────────────────────────────────────────────────────────────────────────────


def test_a_node_pasted_where_its_graphs_name_means_another_brings_its_own(page, server, context):
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.url)

    def ended(end: str, **more: Any) -> dict[str, Any]:
        return {"flowmm": 1, "inputs": {"text": {}}, "nodes": {"one": join(of("input.text"), end)}, "outputs": {"text": of("one.text")}, **more}

    inner = {"flowmm": 1, "inputs": {"text": {}}, "nodes": {"one": {"op": "graph:x", "version": 1, "in": {"text": of("input.text")}}}, "outputs": {"text": of("one.text")}}
    own(
        server, "two-of-a-name", title="Two", inputs={}, outputs={"p": of("p.text"), "d": of("d.text")},
        layout={"nodes": {":inputs": [0, 0], "p": [340, 0], "d": [640, 0], ":outputs": [940, 0]}},
        nodes={"p": {"op": "graph:x", "version": 1, "in": {"text": "ho"}}, "d": {"op": "graph:d", "version": 1, "in": {"text": "hi"}}},
        graphs={"x": ended("outer"), "d": inner | {"graphs": {"x": ended("inner")}}},
    )  # fmt: skip
    open_own(page, server, "two-of-a-name", "p", "d")
    select(page, "p")
    page.keyboard.press("Control+c")
    page.mouse.dblclick(*head(page, "d"))
    expect(card(page, "one")).to_be_visible()
    page.mouse.move(*GROUND)
    page.keyboard.press("Control+v")
    expect(card(page, "p")).to_be_visible()
    until(lambda: on_server(server, "two-of-a-name")["graphs"]["d"]["nodes"].get("p"))
    saved = on_server(server, "two-of-a-name")["graphs"]["d"]
    assert saved["nodes"]["p"]["op"] == "graph:x_2" and saved["graphs"] == {"x": ended("inner"), "x_2": ended("outer")}
    select(page, "one")
    page.keyboard.press("u")
    expect(card(page, "one_2").locator(".card-title")).to_contain_text("Join")
    page.keyboard.press("Alt+ArrowUp")
    expect(card(page, "d")).to_be_visible()
    calm(page)
    made = run(page, server)
    assert [text_of(server, made, name) for name in ("p", "d")] == ["ho outer", "hi inner"]

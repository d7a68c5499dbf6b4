"""Graphs as nodes: made of what is selected, gone into and out of, taken apart, put in from the palette. What is computed stays the same."""

from __future__ import annotations

import re
from typing import Any

import pytest
from graph_files import saved
from hands import INPUTS, OUTPUTS, calm, card, drag, middle, open_graph, run_by, socket, wire
from looking import violations
from playwright.sync_api import Page, expect
from server_process import ServerProcess, until
from test_canvas import GROUND, along, chosen, head, menu, select


def way(page: Page):
    return page.get_by_role("navigation", name="The graph that is shown")


def own(server: ServerProcess, name: str, **more: Any) -> str:
    """A graph of the person's own, whatever was there."""
    graph = server.http.get("/api/graphs/text-to-image").json() | more
    there = server.http.get(f"/api/graphs/{name}")
    mine = there.status_code == 200 and there.headers["X-Flowmm-Own"] == "true"
    headers = {"If-Match": there.headers["etag"]} if mine else {"If-None-Match": "*"}
    server.http.put(f"/api/graphs/{name}", json=graph, headers=headers).raise_for_status()
    return name


def on_server(server: ServerProcess, name: str) -> dict[str, Any]:
    return server.http.get(f"/api/graphs/{name}").json()


def open_own(page: Page, server: ServerProcess, name: str, *see: str) -> None:
    open_graph(page, server, name)
    for node in see:
        expect(card(page, node)).to_be_visible()
    calm(page)


def join(first: Any, second: Any) -> dict[str, Any]:
    return {"op": "text.join", "version": 1, "in": {"first": first, "second": second}}


def of(source: str) -> dict[str, str]:
    return {"from": source}


TWICE = {
    "flowmm": 1, "title": "Twice", "inputs": {"text": {}, "end": {"default": "!", "title": "The end"}},
    "nodes": {"one": join(of("input.text"), of("input.text")), "two": join(of("one.text"), of("input.end"))}, "outputs": {"twice": of("two.text")},
}  # fmt: skip
NESTED = {
    "flowmm": 1, "title": "Nested", "inputs": {"start": {"default": "ho"}},
    "nodes": {"p": {"op": "graph:twice", "in": {"text": of("input.start")}}, "q": {"op": "graph:twice", "in": {"text": of("p.twice"), "end": "?"}}},
    "outputs": {"out": of("q.twice"), "half": of("p.twice")}, "graphs": {"twice": TWICE},
    "layout": {"nodes": {":inputs": [0, 0], "p": [340, 0], "q": [640, 0], ":outputs": [940, 0]}},
}  # fmt: skip


def nested(page: Page, server: ServerProcess, name: str) -> None:
    own(server, name, **NESTED)
    open_own(page, server, name, "p", "q")


def key_of(run: dict[str, Any], output: str) -> str:
    assert run["state"] == "done", run["error"]
    return run["outputs"][output]["key"]


def text_of(server: ServerProcess, run: dict[str, Any], output: str) -> str:
    assert run["state"] == "done", run["error"]
    return server.http.get(f"/api/runs/{run['id']}/outputs/{output}").text.strip()


# ── making ──────────────────────────────────────────────────────────────────────────────────────


def test_what_is_selected_becomes_a_graph_by_key_and_computes_the_same(page, server):
    open_own(page, server, own(server, "made"), "paint")
    before = run_by(server, lambda: page.keyboard.press("Control+Enter"))
    expect(page.locator(".going")).to_have_count(0)
    select(page, "words", "not_words", "paint")
    page.keyboard.press("Control+Shift+g")
    expect(card(page, "part")).to_be_visible()
    assert chosen(page) == {"part"} and card(page, "paint").count() == 0
    expect(wire(page, ("part", "latent"), ("pixels", "latent"))).to_be_attached()
    expect(wire(page, ("parts", "denoiser"), ("part", "denoiser"))).to_be_attached()
    expect(page.locator(".run-area .split button").first).to_contain_text("all cached")  # the keys are the same
    after = run_by(server, lambda: page.keyboard.press("Control+Enter"))
    assert key_of(after, "image") == key_of(before, "image") and after["executed"] == 0
    saved(page)
    made = on_server(server, "made")
    assert set(made["graphs"]["part"]["nodes"]) == {"words", "not_words", "paint"} and set(made["nodes"]) == {"parts", "avoided", "part", "pixels"}
    page.keyboard.press("Control+z")
    expect(card(page, "paint")).to_be_visible()
    expect(card(page, "part")).to_have_count(0)
    saved(page)
    assert "graphs" not in on_server(server, "made")


def test_a_graph_is_made_by_the_menu_of_a_selection(page, server):
    open_own(page, server, own(server, "made-by-menu"), "paint")
    select(page, "paint", "pixels")
    page.mouse.click(*head(page, "paint"), button="right")
    menu(page, "Make a graph of these").click()
    expect(card(page, "part")).to_be_visible()
    expect(wire(page, ("part", "image"), (OUTPUTS, "image"))).to_be_attached()


def test_nodes_that_another_lies_between_are_refused_in_words(page, server):
    open_own(page, server, own(server, "refused"), "paint")
    select(page, "words", "pixels")
    page.keyboard.press("Control+Shift+g")
    expect(page.locator(".toast")).to_contain_text("These nodes cannot be one graph: paint waits for some of them")
    expect(page.locator(".toast")).to_contain_text("Select paint as well.")
    expect(card(page, "part")).to_have_count(0)


# ── going in and out ────────────────────────────────────────────────────────────────────────────


def test_a_double_click_leads_inside_and_the_way_above_leads_back(page, server):
    nested(page, server, "entered")
    page.mouse.dblclick(*head(page, "p"))
    expect(card(page, "one")).to_be_visible()
    assert card(page, "q").count() == 0
    expect(way(page).get_by_role("listitem")).to_have_text(["Nested", "Twice"])
    expect(way(page)).to_contain_text("used 2 times")
    field = card(page, INPUTS).locator('[data-field="input.end"] :is(input, textarea)')
    expect(field).to_have_value("!")
    field.fill("!!")
    field.press("Tab")
    way(page).get_by_role("button", name="Nested").click()
    expect(card(page, "q")).to_be_visible()
    expect(way(page)).to_have_count(0)
    saved(page)
    assert on_server(server, "entered")["graphs"]["twice"]["inputs"]["end"] == {"default": "!!", "title": "The end"}
    page.keyboard.press("Control+z")  # undo leads to where the edit was made
    expect(card(page, "one")).to_be_visible()
    expect(field).to_have_value("!")
    saved(page)
    assert on_server(server, "entered")["graphs"] == NESTED["graphs"]


def test_keys_lead_inside_and_back_to_the_card_as_it_was_left(page, server):
    nested(page, server, "by-keys")
    drag(page, GROUND, (GROUND[0] - 60, GROUND[1] - 90))
    left = card(page, "q").bounding_box()
    select(page, "q")
    page.keyboard.press("Alt+ArrowDown")
    expect(card(page, INPUTS)).to_be_focused()
    expect(card(page, "two")).to_be_visible()
    page.keyboard.press("Alt+ArrowUp")
    expect(card(page, "q")).to_be_focused()
    assert chosen(page) == {"q"} and card(page, "q").bounding_box() == pytest.approx(left, abs=1)


def test_graphs_lie_in_graphs_to_any_depth(page, server):
    nested(page, server, "deep")
    page.mouse.dblclick(*head(page, "p"))
    expect(card(page, "one")).to_be_visible()
    select(page, "two")
    page.keyboard.press("Control+Shift+g")
    page.mouse.dblclick(*head(page, "part"))
    expect(way(page).get_by_role("listitem")).to_have_text(["Nested", "Twice", "part"])
    expect(card(page, "two")).to_be_visible()
    way(page).get_by_role("button", name="part").click()  # its title is written in place
    page.keyboard.type("Ending")
    page.keyboard.press("Enter")
    expect(way(page).get_by_role("listitem")).to_have_text(["Nested", "Twice", "Ending"])
    page.get_by_role("button", name="Back to the graph around").click()
    expect(card(page, "part").locator(".card-title")).to_contain_text("Ending")
    page.get_by_role("button", name="Back to the graph around").click()
    run = run_by(server, lambda: page.keyboard.press("Control+Enter"))
    assert text_of(server, run, "out") == "ho ho ! ho ho ! ?"


def test_cards_inside_tell_what_a_run_does_with_them(page, server):
    own(server, "watched")
    open_own(page, server, "watched", "paint")
    select(page, "words", "paint")
    page.keyboard.press("Control+Shift+g")
    page.locator('[data-field="input.seed"] input').fill("4711")
    page.mouse.dblclick(*head(page, "part"))
    expect(card(page, "paint").get_by_role("img", name="will run")).to_be_visible()
    run = run_by(server, lambda: page.keyboard.press("Control+Enter"))
    assert run["state"] == "done"
    expect(card(page, "paint").locator(".state.done")).to_be_visible()
    page.keyboard.press("Alt+ArrowUp")
    expect(card(page, "part").locator(".state.done")).to_be_visible()


def test_inside_one_sees_the_picture_so_far_and_outside_it_is_on_the_node_that_holds_it(page, server):
    graph = on_server(server, "text-to-image")
    open_own(page, server, own(server, "sampled", inputs=graph["inputs"] | {"steps": {"default": 400}, "seed": {"default": 23}}), "paint")
    select(page, "words", "paint")
    page.keyboard.press("Control+Shift+g")
    page.mouse.dblclick(*head(page, "part"))
    expect(card(page, "paint")).to_be_visible()
    page.keyboard.press("Control+Enter")
    expect(card(page, "paint").get_by_role("progressbar")).to_have_attribute("aria-valuemax", "400")
    expect(card(page, "paint").locator("img.meanwhile")).to_be_visible()
    page.keyboard.press("Alt+ArrowUp")
    expect(card(page, "part").get_by_role("progressbar")).to_have_attribute("aria-valuemax", "400")
    expect(card(page, "part").locator("img.meanwhile")).to_be_visible()
    page.keyboard.press("Control+Alt+Enter")
    expect(page.locator(".going")).to_have_count(0)


def test_what_is_shown_inside_is_accessible(page, server):
    nested(page, server, "accessible")
    page.mouse.dblclick(*head(page, "p"))
    expect(way(page)).to_be_visible()
    calm(page)
    assert violations(page) == []


def test_a_problem_inside_is_told_at_the_card_that_has_it_and_the_panel_leads_there(page, server):
    wrong = TWICE | {"nodes": TWICE["nodes"] | {"two": {"op": "text.join", "version": 1, "in": {"first": of("one.text"), "second": of("input.end"), "separator": 7}}}}
    own(server, "wrong-inside", **NESTED | {"graphs": {"twice": wrong}})
    open_own(page, server, "wrong-inside", "p")
    expect(card(page, "p").locator(".warn")).to_be_visible()
    page.get_by_role("tab", name="Problems").click()
    page.get_by_role("button", name="p/two.separator").click()
    expect(card(page, "two")).to_be_focused()
    expect(card(page, "two").locator(".row.lit")).to_be_visible()
    expect(card(page, "two").locator(".warn")).to_be_visible()
    expect(card(page, "one").locator(".warn")).to_have_count(0)
    expect(way(page)).to_be_visible()


def test_a_value_inside_is_looked_at_on_its_wire(page, server):
    nested(page, server, "looked")
    run_by(server, lambda: page.keyboard.press("Control+Enter"))
    page.mouse.dblclick(*head(page, "q"))
    for source, target, text in ((("one", "text"), ("two", "first"), "ho ho ! ho ho !"), ((INPUTS, "text"), ("one", "first"), "ho ho !"), ((INPUTS, "end"), ("two", "second"), "?")):
        page.mouse.click(*along(wire(page, source, target), 0.2))
        expect(page.locator(".look")).to_contain_text(text)
        page.keyboard.press("Escape")
        expect(page.locator(".look")).to_have_count(0)


def test_a_run_to_a_node_inside_runs_what_it_needs_and_no_more(page, server):
    own(server, "to-inside", **NESTED | {"inputs": {"start": {"default": "to inside"}}})
    open_own(page, server, "to-inside", "p")
    page.mouse.dblclick(*head(page, "p"))
    select(page, "one")
    run = run_by(server, lambda: page.keyboard.press("Control+Shift+Enter"))
    assert run["state"] == "done" and run["executed"] == 1 and list(run["outputs"]) == ["p/one.text"]
    expect(card(page, "one").locator(".state.done")).to_be_visible()


# ── taking apart ────────────────────────────────────────────────────────────────────────────────


def test_a_graph_is_unpacked_by_key_in_one_step_and_computes_the_same(page, server):
    nested(page, server, "unpacked")
    before = run_by(server, lambda: page.keyboard.press("Control+Enter"))
    expect(page.locator(".going")).to_have_count(0)
    select(page, "q")
    page.keyboard.press("u")
    expect(card(page, "two")).to_be_visible()
    expect(card(page, "q")).to_have_count(0)
    assert chosen(page) == {"one", "two"}
    expect(wire(page, ("p", "twice"), ("one", "first"))).to_be_attached()
    expect(wire(page, ("two", "text"), (OUTPUTS, "out"))).to_be_attached()
    calm(page)
    after = run_by(server, lambda: page.keyboard.press("Control+Enter"))
    assert key_of(after, "out") == key_of(before, "out") and after["executed"] == 0
    boxes = {one.get_attribute("data-id"): one.bounding_box() for one in page.locator(".react-flow__node").all()}
    assert not [pair for pair in pairs(boxes) if covered(boxes[pair[0]], boxes[pair[1]])]
    saved(page)
    assert on_server(server, "unpacked")["nodes"]["two"]["in"]["second"] == "?" and "twice" in on_server(server, "unpacked")["graphs"]
    page.keyboard.press("Control+z")
    expect(card(page, "q")).to_be_visible()
    expect(card(page, "two")).to_have_count(0)


def test_what_runs_more_than_once_is_not_unpacked_and_it_is_said_why(page, server):
    nodes = {"p": {"op": "graph:twice", "in": {"text": {"value": ["a", "b"]}}, "each": ["text"]}}
    own(server, "each-kept", **NESTED | {"nodes": nodes, "outputs": {"out": of("p.twice")}})
    open_own(page, server, "each-kept", "p")
    select(page, "p")
    page.keyboard.press("u")
    expect(page.locator(".toast")).to_contain_text("p cannot be unpacked: it is muted, bypassed, or runs more than once")
    expect(card(page, "p")).to_be_visible()
    page.mouse.dblclick(*head(page, "p"))
    expect(card(page, "two")).to_be_visible()
    page.mouse.click(*GROUND, button="right")
    menu(page, "Back to the graph around").click()
    expect(card(page, "p")).to_be_visible()


def pairs(names) -> list[tuple[str, str]]:
    every = sorted(names)
    return [(one, other) for i, one in enumerate(every) for other in every[i + 1 :]]


def covered(one: dict[str, float], other: dict[str, float]) -> bool:
    across = min(one["x"] + one["width"], other["x"] + other["width"]) - max(one["x"], other["x"])
    down = min(one["y"] + one["height"], other["y"] + other["height"]) - max(one["y"], other["y"])
    return across > 1 and down > 1


def test_the_last_use_takes_its_definition_along_and_undo_brings_it_back(page, server):
    nested(page, server, "tidy")
    for node in ("q", "p"):
        page.mouse.click(*head(page, node), button="right")
        menu(page, "Unpack the graph").click()
        expect(card(page, node)).to_have_count(0)
    expect(card(page, "one_2")).to_be_visible()
    saved(page)
    assert "graphs" not in on_server(server, "tidy")
    page.keyboard.press("Control+z")
    saved(page)
    assert on_server(server, "tidy")["graphs"] == NESTED["graphs"]


# ── saved graphs ────────────────────────────────────────────────────────────────────────────────


def pick(page: Page, text: str, op: str) -> None:
    page.mouse.move(*GROUND)
    page.keyboard.press("/")
    page.get_by_role("dialog", name="Add …").get_by_role("combobox").fill(text)
    page.get_by_role("dialog", name="Add …").locator(f'[data-op="{op}"]').click()


def test_a_saved_graph_is_put_in_as_one_node_entered_and_left_by_the_browsers_back(page, server):
    own(server, "twice-saved", **TWICE | {"inputs": {**TWICE["inputs"], "text": {"default": "ho"}}, "layout": {}})
    own(server, "uses-saved", **NESTED | {"nodes": {"p": join(of("input.start"), "x")}, "outputs": {"out": of("p.text")}, "graphs": {}})
    open_own(page, server, "uses-saved", "p")
    pick(page, "Twice", "graph:twice-saved")
    made = card(page, "twice_saved")
    expect(made.locator(".card-title")).to_have_text("Twice")
    expect(made.get_by_role("button", name="Input text, Text")).to_be_visible()
    expect(made.locator('[data-field="twice_saved.end"]')).to_contain_text("The end")
    saved(page)
    made.get_by_role("button", name="Open the graph inside").click()
    expect(page).to_have_url(re.compile("/edit/twice-saved$"))
    expect(card(page, "two")).to_be_visible()
    page.go_back()
    expect(made).to_be_visible()
    expect(page).to_have_url(re.compile("/edit/uses-saved$"))


def test_a_saved_graph_is_unpacked_with_the_graphs_that_it_defines(page, server):
    own(server, "saved-nested", **NESTED)
    nested(page, server, "takes-nested")
    pick(page, "Nested", "graph:saved-nested")
    expect(card(page, "saved_nested").get_by_role("button", name="Output out, Text")).to_be_visible()
    drag(page, middle(socket(page, "saved_nested", "out", "source")), middle(card(page, OUTPUTS).locator(".hint")))
    calm(page)
    before = run_by(server, lambda: page.keyboard.press("Control+Enter"))
    expect(page.locator(".going")).to_have_count(0)
    select(page, "saved_nested")
    page.keyboard.press("u")
    expect(card(page, "p_2")).to_be_visible()
    calm(page)
    after = run_by(server, lambda: page.keyboard.press("Control+Enter"))
    assert key_of(after, "out_2") == key_of(before, "out_2") and after["executed"] == 0
    saved(page)
    assert list(on_server(server, "takes-nested")["graphs"]) == ["twice"], "one that says the same is shared"


def test_a_graph_that_would_hold_itself_is_told_in_words(page, server, watch):
    watch.allow("status of 422")
    nested(page, server, "itself")
    pick(page, "itself", "graph:itself")
    expect(card(page, "itself").locator(".warn")).to_be_visible()
    page.get_by_role("tab", name="Problems").click()
    expect(page.locator(".problems")).to_contain_text("the graph holds itself, by way of itself")
    page.mouse.dblclick(*head(page, "p"))
    expect(card(page, "one")).to_be_visible()
    pick(page, "Twice", "graph:twice")
    expect(card(page, "twice").locator(".warn")).to_be_visible()
    expect(page.locator(".problems")).to_contain_text("p holds itself, by way of twice")


# ── settings made inputs ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", ["key", "mouse", "menu"])
def test_a_setting_inside_becomes_a_widget_of_the_node_outside(page, server, how):
    own(server, f"promoted-{how}")
    open_own(page, server, f"promoted-{how}", "paint")
    select(page, "words", "paint")
    page.keyboard.press("Control+Shift+g")
    page.mouse.dblclick(*head(page, "part"))
    field = card(page, "paint").locator('[data-field="paint.strength"]')
    field.locator("input").fill("0.5")
    field.locator("input").press("Tab")
    if how == "key":
        field.locator("input").focus()
        page.keyboard.press("Alt+i")
        expect(socket(page, "paint", "strength", "target")).to_be_focused()
    elif how == "mouse":
        field.hover()
        field.get_by_role("button", name="strength · Make it an input of the graph").click()
    else:
        field.locator(".head").click(button="right")
        menu(page, "Make it an input of the graph").click()
    expect(wire(page, (INPUTS, "strength"), ("paint", "strength"))).to_be_attached()
    page.get_by_role("button", name="strength: more").focus()
    page.keyboard.press("Enter")
    menu(page, "Name, title and help").click()
    page.get_by_label("Title").last.fill("How much")
    page.keyboard.press("Enter")
    page.keyboard.press("Alt+ArrowUp")
    outside = card(page, "part").locator('[data-field="part.strength"]')
    expect(outside).to_contain_text("How much")
    expect(outside.locator("input")).to_have_value("0.5")
    assert "0 – 1" in outside.locator("[data-help]").first.get_attribute("data-help")


def test_another_name_of_an_input_or_output_inside_is_followed_outside(page, server):
    nested(page, server, "renamed")
    page.mouse.dblclick(*head(page, "q"))
    for name, now in (("end", "last"), ("twice", "both")):
        button = page.get_by_role("button", name=f"{'The end' if name == 'end' else name}: more")
        button.focus()
        page.keyboard.press("Enter")
        menu(page, "Name").click()
        page.get_by_label("Name", exact=True).fill(now)
        page.keyboard.press("Enter")
    page.keyboard.press("Alt+ArrowUp")
    expect(wire(page, ("p", "both"), ("q", "text"))).to_be_attached()
    expect(wire(page, ("q", "both"), (OUTPUTS, "out"))).to_be_attached()
    expect(card(page, "q").locator('[data-field="q.last"] :is(input, textarea)')).to_have_value("?")
    page.mouse.dblclick(*head(page, "q"))
    expect(card(page, "one")).to_be_visible()
    button = page.get_by_role("button", name="both: more")
    button.focus()
    page.keyboard.press("Enter")
    menu(page, "Delete the output").click()
    expect(card(page, OUTPUTS).locator(".row.output")).to_have_count(0)
    page.keyboard.press("Alt+ArrowUp")
    expect(card(page, "q")).to_be_visible()
    assert page.locator('.react-flow__edge[data-id^="p.both"], .react-flow__edge[data-id^="q.both"]').count() == 0


# ── the clipboard ───────────────────────────────────────────────────────────────────────────────


def test_a_copied_node_brings_its_graph_into_another(page, server, context):
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.url)
    nested(page, server, "copied-from")
    select(page, "p")
    page.keyboard.press("Control+c")
    open_own(page, server, own(server, "copied-to", **NESTED | {"nodes": {"r": join(of("input.start"), "x")}, "outputs": {"out": of("r.text")}, "graphs": {}}), "r")
    page.mouse.move(*GROUND)
    page.keyboard.press("Control+v")
    expect(card(page, "p").locator(".card-title")).to_contain_text("Twice")
    page.mouse.dblclick(*head(page, "p"))
    expect(card(page, "two")).to_be_visible()
    saved(page)
    until(lambda: on_server(server, "copied-to").get("graphs", {}).get("twice") == TWICE)


def test_what_mends_a_graph_by_itself_is_offered_while_it_is_shown(page, server):
    nodes = {"one": {"op": "text.join", "version": 1, "in": TWICE["nodes"]["one"]["in"] | {"nothing": 1}}, "two": TWICE["nodes"]["two"]}
    own(server, "mended", **NESTED | {"graphs": {"twice": TWICE | {"nodes": nodes}}})
    open_own(page, server, "mended", "p")
    page.get_by_role("tab", name="Problems").click()
    expect(page.locator(".problems .repairs")).to_have_count(0)
    page.get_by_role("button", name="p/one.nothing").click()
    page.locator(".problems .repairs button").click()
    expect(page.locator(".problems li")).to_have_count(0)
    saved(page)
    assert on_server(server, "mended")["graphs"]["twice"]["nodes"]["one"]["in"] == TWICE["nodes"]["one"]["in"]

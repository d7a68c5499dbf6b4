"""Nodes muted and bypassed in the editor: by key and by menu, one step of undo, seen on the cards, obeyed by runs."""

from __future__ import annotations

import re

import pytest
from graph_files import own_graph, put, saved
from hands import INPUTS, OUTPUTS, calm, card, open_graph, run_by, wire
from looking import violations
from playwright.sync_api import Page, expect
from server_process import until

CHAIN = {
    "first": {"op": "text.join", "version": 1, "in": {"first": {"from": "input.prompt"}, "second": "one"}},
    "second": {"op": "text.join", "version": 1, "in": {"first": {"from": "first.text"}, "second": "two"}},
    "third": {"op": "text.join", "version": 1, "in": {"first": {"from": "second.text"}, "second": "three"}},
}


@pytest.fixture
def chain(page, server, request) -> Page:
    name = re.sub(r"\W+", "-", request.node.name)[:60].strip("-").replace("_", "-")
    graph = own_graph(server, name, "begin") | {"nodes": CHAIN, "outputs": {"last": {"from": "third.text"}, "early": {"from": "first.text"}}}
    put(server, name, graph)
    open_graph(page, server, name)
    expect(card(page, "third")).to_be_visible()
    calm(page)
    page.graph = name
    return page


def select(page: Page, *nodes: str) -> None:
    for i, node in enumerate(nodes):
        card(page, node).locator(".card-head b").click(modifiers=["Control"] if i else [])


def modes(page: Page) -> dict[str, str]:
    """What is seen on the cards."""
    seen = {node: card(page, node).locator("article").get_attribute("data-mode") for node in CHAIN}
    return {node: mode for node, mode in seen.items() if mode}


def kept(server, page: Page) -> dict[str, str]:
    nodes = server.http.get(f"/api/graphs/{page.graph}").json()["nodes"]
    return {name: node["mode"] for name, node in nodes.items() if "mode" in node}


def text(server, run, output: str) -> str:
    return server.http.get(f"/api/runs/{run['id']}/outputs/{output}").text.strip()


@pytest.mark.parametrize("keys", ["m", "Control+m"])
def test_a_muted_node_takes_along_what_cannot_do_without_it_and_that_is_seen(chain, server, keys):
    select(chain, "second")
    chain.keyboard.press(keys)
    until(lambda: modes(chain) == {"second": "mute", "third": "off"})
    expect(card(chain, "second").locator(".mode")).to_have_text("muted")
    expect(card(chain, "third").locator(".mode")).to_have_attribute("title", "Left out: `second` is muted")
    expect(card(chain, "third").locator("article")).to_have_attribute("aria-label", re.compile("left out"))
    expect(card(chain, OUTPUTS)).to_contain_text("Left out: second is muted")
    expect(wire(chain, ("first", "text"), ("second", "first")).locator("g").first).to_have_class(re.compile(r"\boff\b"))
    expect(wire(chain, (INPUTS, "prompt"), ("first", "first")).locator("g").first).not_to_have_class(re.compile(r"\boff\b"))
    run = run_by(server, lambda: chain.keyboard.press("Control+Enter"))
    assert run["state"] == "done" and list(run["outputs"]) == ["early"] and text(server, run, "early") == "begin one"
    chain.keyboard.press(keys)
    until(lambda: modes(chain) == {})
    run = run_by(server, lambda: chain.keyboard.press("Control+Enter"))
    assert text(server, run, "last") == "begin one two three"


@pytest.mark.parametrize("keys", ["b", "Control+b"])
def test_a_bypassed_node_hands_on_what_it_is_given(chain, server, keys):
    select(chain, "second")
    chain.keyboard.press(keys)
    until(lambda: modes(chain) == {"second": "bypass"})
    expect(card(chain, "second").locator(".mode")).to_have_text("bypassed")
    run = run_by(server, lambda: chain.keyboard.press("Control+Enter"))
    assert text(server, run, "last") == "begin one three"


def test_the_selection_is_switched_together_by_its_menu_in_one_step_and_saved(chain, server, watch):
    watch.allow("status of 422.*/api/plan")  # while every output needs what is muted, there is nothing to plan
    select(chain, "first", "third")
    card(chain, "third").locator(".card-head").click(button="right")
    chain.get_by_role("menuitem", name="Bypass or not").click()
    until(lambda: modes(chain) == {"first": "bypass", "third": "bypass"})
    chain.keyboard.press("Control+s")
    saved(chain)
    assert kept(server, chain) == {"first": "bypass", "third": "bypass"}
    card(chain, "third").locator(".card-head").click(button="right")
    chain.get_by_role("menuitem", name="Mute or not").click()
    until(lambda: modes(chain) == {"first": "mute", "second": "off", "third": "mute"})
    chain.keyboard.press("Control+z")
    until(lambda: modes(chain) == {"first": "bypass", "third": "bypass"})
    chain.keyboard.press("Control+z")
    until(lambda: modes(chain) == {})


def test_from_far_and_on_the_map_it_is_seen_too(chain):
    select(chain, "second")
    chain.keyboard.press("m")
    until(lambda: modes(chain) == {"second": "mute", "third": "off"})
    chain.keyboard.press("Escape")
    colours = chain.locator(".react-flow__minimap-node").evaluate_all("all => all.map((one) => getComputedStyle(one).fill)")
    assert len(set(colours)) == 2, colours  # those that run, and those that do not
    while not chain.locator(".card.far").count():
        chain.keyboard.press("-")
    expect(card(chain, "third").locator(".card.far")).to_have_attribute("data-mode", "off")
    expect(chain.locator(".far-wires .wire.off")).to_have_count(1)
    expect(chain.locator(".far-wires .wire:not(.off)")).to_have_count(1)


def test_nothing_serious_is_found_by_axe(chain):
    select(chain, "second")
    chain.keyboard.press("m")
    until(lambda: modes(chain) == {"second": "mute", "third": "off"})
    select(chain, "first")
    chain.keyboard.press("b")
    until(lambda: modes(chain) == {"first": "bypass", "second": "mute", "third": "off"})
    assert not violations(chain)

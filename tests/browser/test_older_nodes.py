"""Nodes of an older version: seen on the card, upgraded one by one or all at once, told in words."""

from __future__ import annotations

import os
import re

import pytest
from browsing import serving
from graph_files import put, saved
from hands import calm, card, open_graph, run_by, wire
from playwright.sync_api import Page, expect
from server_process import until

PACK = """from typing import NamedTuple

from flowmm import node


class Multiplied(NamedTuple):
    product: int


@node(version=2)
def multiplied(number: int, factor: int = 1) -> Multiplied:
    return Multiplied(number * factor)


@multiplied.migrate(1, result="product")  # version 1 took `times` and gave `result`
def _(inputs):
    return {("factor" if port == "times" else port): value for port, value in inputs.items()}


@node(version=2)
def fragile(number: int = 1) -> int:
    return number


@fragile.migrate(1)
def _(inputs):
    return inputs["what is not there"]
"""
OLD = "older:maths.multiplied"
INNER = {"inputs": {"x": {}}, "nodes": {"n": {"op": OLD, "version": 1, "in": {"number": {"from": "input.x"}, "times": 2}}}, "outputs": {"out": {"from": "n.result"}}}
GRAPH = {
    "flowmm": 1, "inputs": {"x": {"default": 3}}, "graphs": {"inner": INNER},
    "nodes": {
        "first": {"op": OLD, "version": 1, "in": {"number": {"from": "input.x"}, "times": 4}},
        "second": {"op": OLD, "version": 1, "in": {"number": {"from": "first.result"}, "times": 5}},
        "inside": {"op": "graph:inner", "in": {"x": {"from": "second.result"}}},
    },
    "outputs": {"out": {"from": "inside.out"}},
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One with an installed pack, of whose node there was a version 1."""
    place = tmp_path_factory.mktemp("installed")
    files = {"older/__init__.py": "", "older/maths.py": PACK, "older-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: older\nVersion: 1.0\n",
             "older-1.0.dist-info/entry_points.txt": "[flowmm.packs]\nolder = older\n"}  # fmt: skip
    for name, text in files.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(place), prepend=os.pathsep)
        with serving(tmp_path_factory.mktemp("served") / "home") as made:
            yield made


@pytest.fixture
def old(page, server) -> Page:
    put(server, "old", GRAPH)
    open_graph(page, server, "old")
    expect(card(page, "second")).to_be_visible()
    calm(page)
    return page


def versions(server) -> dict[str, int]:
    graph = server.http.get("/api/graphs/old").json()
    nodes = graph["nodes"] | {f"inner.{name}": node for name, node in graph["graphs"]["inner"]["nodes"].items()}
    return {name: node["version"] for name, node in nodes.items() if "version" in node}


def older(page: Page, node: str):
    return card(page, node).get_by_role("button", name="Made with version 1; 2 is installed")


def given(server, run) -> int:
    assert run["state"] == "done", run
    return server.http.get(f"/api/runs/{run['id']}/outputs/out").json()


def test_an_older_graph_runs_as_it_is(old, server):
    assert given(server, run_by(server, lambda: old.keyboard.press("Control+Enter"))) == 120
    assert versions(server) == {"first": 1, "second": 1, "inner.n": 1}


def test_an_older_node_shows_the_ports_and_values_that_it_has(old):
    expect(wire(old, ("first", "result"), ("second", "number"))).to_be_attached()
    expect(card(old, "first").locator(".row", has_text="times").locator(".kept")).to_have_text("4")
    older(old, "first").click()
    old.keyboard.press("Escape")
    expect(old.locator('[data-field="first.factor"] input')).to_have_value("4")


def test_one_is_upgraded_by_its_badge_with_whatever_reads_it_and_undone_in_one_step(old, server):
    expect(older(old, "second")).to_be_visible()
    older(old, "first").click()
    told = old.get_by_role("dialog", name="Upgraded")
    expect(told).to_contain_text(re.compile("`?first`? is of version 2"))
    expect(told).to_contain_text("first.factor")
    old.keyboard.press("Escape")
    expect(older(old, "first")).to_have_count(0)
    expect(older(old, "second")).to_be_visible()
    expect(wire(old, ("first", "product"), ("second", "number"))).to_be_attached()
    old.keyboard.press("Control+s")
    saved(old)
    assert versions(server) == {"first": 2, "second": 1, "inner.n": 1}
    old.keyboard.press("Control+z")
    expect(older(old, "first")).to_be_visible()


def test_the_selection_is_upgraded_by_key(old, server):
    for i, node in enumerate(("first", "second")):
        card(old, node).locator(".card-head b").click(modifiers=["Control"] if i else [])
    old.keyboard.press("v")
    expect(old.get_by_role("dialog", name="Upgraded")).to_contain_text("second.factor")
    old.keyboard.press("Escape")
    old.keyboard.press("Control+s")
    saved(old)
    assert versions(server) == {"first": 2, "second": 2, "inner.n": 1}


@pytest.mark.parametrize("by", ["key", "menu"])
def test_all_are_upgraded_at_once_those_inside_graphs_too_and_give_the_same(old, server, by):
    if by == "key":
        old.keyboard.press("Shift+V")
    else:
        old.locator(".react-flow__pane").click(button="right", position={"x": 20, "y": 20})
        old.get_by_role("menuitem", name="Upgrade all older nodes").click()
    told = old.get_by_role("dialog", name="Upgraded")
    expect(told).to_contain_text("in the definition inner")
    told.get_by_role("button", name="Close").last.click()
    expect(old.locator(".card .old")).to_have_count(0)
    assert given(server, run_by(server, lambda: old.keyboard.press("Control+Enter"))) == 120
    until(lambda: versions(server) == {"first": 2, "second": 2, "inner.n": 2})
    old.locator(".react-flow__pane").click(button="right", position={"x": 20, "y": 20})
    expect(old.get_by_role("menuitem", name="Arrange by wires")).to_be_visible()
    expect(old.get_by_role("menuitem", name="Upgrade all older nodes")).to_have_count(0)


def test_what_could_not_be_brought_up_is_told_with_what_to_do(page, server):
    put(server, "fragile", GRAPH | {"nodes": {"it": {"op": "older:maths.fragile", "version": 1, "in": {"number": 7}}}, "outputs": {"out": {"from": "it.value"}}})
    open_graph(page, server, "fragile")
    older(page, "it").click()
    told = page.get_by_role("dialog", name="Upgraded")
    expect(told).to_contain_text("could not be brought from version 1 of older:maths.fragile to 2: KeyError")
    expect(told).to_contain_text("Look at its inputs; tell the pack's author.")

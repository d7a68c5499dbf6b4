"""More of the surface: all at once, cards in line, wires led elsewhere, loops, the clipboard by menu, fingers instead of a mouse."""

from __future__ import annotations

import re

import pytest
from browsing import person
from hands import INPUTS, OUTPUTS, calm, card, connect, drag, middle, open_graph, socket, wire
from playwright.sync_api import expect
from test_canvas import GROUND, chosen, menu, place, select

ALL = {INPUTS, OUTPUTS, "avoided", "not_words", "paint", "parts", "pixels", "words"}


def chain(server, name: str, length: int) -> None:
    """A graph of texts, each joined from the one before."""
    nodes = {f"text_{i}": {"op": "text.join", "version": 1, "in": {"first": {"from": f"text_{i - 1}.text" if i else "input.start"}}} for i in range(length)}
    places = {":inputs": [0, 0], **{one: [340 + 290 * i, 60 * (i % 2)] for i, one in enumerate(nodes)}, ":outputs": [340 + 290 * length, 0]}
    graph = {
        "flowmm": 1, "title": name, "inputs": {"start": {"default": "a"}}, "nodes": nodes, "outputs": {"text": {"from": f"text_{length - 1}.text"}},
        "layout": {"nodes": places},
    }  # fmt: skip
    assert server.http.put(f"/api/graphs/{name}", json=graph, headers={"If-None-Match": "*"}).is_success


def test_everything_is_selected_by_key_and_let_go_by_a_click(painting):
    painting.mouse.click(*GROUND)
    painting.keyboard.press("Control+a")
    assert chosen(painting) == ALL
    before = {node: place(painting, node) for node in ALL}
    painting.keyboard.press("ArrowRight")
    assert {node: place(painting, node) for node in ALL} == {node: (x + 10, y) for node, (x, y) in before.items()}
    painting.mouse.click(*GROUND)
    assert chosen(painting) == set()


@pytest.mark.parametrize(("key", "side"), [("ArrowLeft", "left"), ("ArrowRight", "right"), ("ArrowUp", "top"), ("ArrowDown", "bottom")])
def test_cards_come_into_line(painting, key, side):
    nodes = ("avoided", "words", "paint")
    select(painting, *nodes)
    sides = lambda: {node: painting.evaluate("([node, side]) => document.querySelector(`[data-id=${node}]`).getBoundingClientRect()[side]", [node, side]) for node in nodes}  # noqa: E731
    before = sides()
    painting.keyboard.press(f"Alt+Shift+{key}")
    outermost = (min if side in ("left", "top") else max)(before.values())
    assert sides() == pytest.approx(dict.fromkeys(nodes, outermost), abs=1)
    painting.keyboard.press("Control+z")
    assert sides() == pytest.approx(before, abs=0.1)


def test_cards_are_given_even_gaps_downwards(painting):
    nodes = ("avoided", "parts", "paint")
    select(painting, *nodes)
    painting.keyboard.press("Alt+Shift+v")
    boxes = sorted((card(painting, node).bounding_box() for node in nodes), key=lambda box: box["y"])
    above, below = (after["y"] - before["y"] - before["height"] for before, after in zip(boxes, boxes[1:]))
    assert abs(above - below) < 2


@pytest.mark.parametrize(("end", "to", "now"), [
    ("target", ("paint", "negative"), (("words", "conditioning"), ("paint", "negative"))),
    ("source", ("not_words", "conditioning"), (("not_words", "conditioning"), ("paint", "positive"))),
])  # fmt: skip
def test_a_wire_is_led_elsewhere_by_its_end(painting, end, to, now):
    old = wire(painting, ("words", "conditioning"), ("paint", "positive"))
    grip = old.locator(f".react-flow__edgeupdater-{end}")
    away = -14 if end == "target" else 14  # beside the socket, which lies above it
    x, y = middle(grip)
    drag(painting, (x + away / 2, y), middle(socket(painting, *to, end)))
    expect(wire(painting, *now)).to_be_attached()
    expect(old).to_have_count(0)
    painting.keyboard.press("Control+z")
    expect(old).to_be_attached()


def test_a_wire_whose_end_is_dropped_where_it_does_not_fit_stays(painting):
    old = wire(painting, ("words", "conditioning"), ("paint", "positive"))
    x, y = middle(old.locator(".react-flow__edgeupdater-target"))
    drag(painting, (x - 7, y), middle(socket(painting, "pixels", "latent", "target")), let_go=False)
    expect(socket(painting, "pixels", "latent", "target")).to_have_class(re.compile(r"\bfades\b"))
    painting.mouse.up()
    expect(painting.locator(".socket.fades")).to_have_count(0)
    expect(old).to_be_attached()


def test_a_loop_of_many_nodes_is_refused_and_it_is_said_why(page, server):
    chain(server, "chain", 4)
    open_graph(page, server, "chain")
    calm(page)
    drag(page, middle(socket(page, "text_3", "text", "source")), middle(socket(page, "text_0", "second", "target")), let_go=False)
    expect(page.get_by_role("tooltip")).to_contain_text("loop")
    expect(socket(page, "text_0", "second", "target")).to_have_class(re.compile(r"\bfades\b"))
    page.mouse.up()
    expect(page.locator(".socket.fades")).to_have_count(0)
    expect(wire(page, ("text_3", "text"), ("text_0", "second"))).to_have_count(0)
    connect(page, ("text_0", "text"), ("text_3", "second"))  # the other way round it is no loop


def test_a_piece_is_pasted_where_the_menu_was_opened(painting, context):
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    select(painting, "pixels")
    painting.keyboard.press("Control+c")
    painting.mouse.click(*GROUND, button="right")
    menu(painting, "Paste").click()
    expect(card(painting, "pixels_2")).to_be_visible()
    assert chosen(painting) == {"pixels_2"}
    box = card(painting, "pixels_2").bounding_box()
    assert abs(box["x"] - GROUND[0]) < box["width"] and abs(box["y"] - GROUND[1]) < box["height"], box


# ── by finger ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def touched(browser, server, watch):
    """The same graph under a finger."""
    there = person(browser, server, watch, has_touch=True)
    page = there.new_page()
    open_graph(page, server, "text-to-image")
    expect(card(page, "paint")).to_be_visible()
    calm(page)
    yield page
    there.close()
    watch.check()


def test_a_tap_on_a_socket_and_one_on_another_join_them(touched):
    socket(touched, "words", "conditioning", "source").tap()
    expect(socket(touched, "paint", "negative", "target")).to_have_class(re.compile(r"\bfits\b"))
    expect(touched.locator(".announcer")).to_contain_text("words.conditioning")
    socket(touched, "pixels", "latent", "target").tap()
    expect(touched.locator(".announcer")).to_contain_text("wants a Latent")
    expect(wire(touched, ("words", "conditioning"), ("pixels", "latent"))).to_have_count(0)
    socket(touched, "paint", "negative", "target").tap()
    expect(wire(touched, ("words", "conditioning"), ("paint", "negative"))).to_be_attached()
    expect(touched.locator(".socket.fits")).to_have_count(0)


def test_a_tap_on_the_ground_lets_a_wire_go(touched):
    socket(touched, "words", "conditioning", "source").tap()
    expect(touched.locator(".socket.fits").first).to_be_visible()
    touched.touchscreen.tap(*GROUND)
    expect(touched.locator(".socket.fits")).to_have_count(0)

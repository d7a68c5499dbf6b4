"""Reroutes: bends that are put into wires by mouse and by keyboard, moved, and taken out again."""

from __future__ import annotations

import pytest
from hands import INPUTS, OUTPUTS, along, calm, card, drag, middle, run_by, socket, wire
from playwright.sync_api import Page, expect

PAINTED = ("paint", "latent"), ("pixels", "latent")
GROUND = (720, 780)  # a place of the window with nothing on it
INTO, OUT = (("paint", "latent"), ("reroute", "value")), (("reroute", "value"), ("pixels", "latent"))


def colour(page: Page, source, target) -> str:
    return wire(page, source, target).locator(".react-flow__edge-path").evaluate("one => getComputedStyle(one).stroke")


def is_bent(page: Page) -> None:
    expect(wire(page, *INTO)).to_be_attached()
    expect(wire(page, *OUT)).to_be_attached()
    expect(wire(page, *PAINTED)).to_have_count(0)


def is_straight(page: Page) -> None:
    expect(wire(page, *PAINTED)).to_be_attached()
    expect(card(page, "reroute")).to_have_count(0)


def test_a_double_click_on_a_wire_puts_one_there_and_delete_joins_the_wire_again(painting):
    before, place = colour(painting, *PAINTED), along(wire(painting, *PAINTED))
    painting.mouse.dblclick(*place)
    is_bent(painting)
    expect(painting.locator(".look")).to_have_count(0)
    x, y = middle(card(painting, "reroute"))
    assert abs(x - place[0]) < 3 and abs(y - place[1]) < 3
    calm(painting)
    assert colour(painting, *INTO) == colour(painting, *OUT) == before, "the colour is that of what goes through"
    painting.keyboard.press("Delete")
    is_straight(painting)
    painting.keyboard.press("Control+z")
    is_bent(painting)
    painting.keyboard.press("Control+z")
    is_straight(painting)


def test_it_is_dragged_by_its_dot_takes_more_wires_and_the_graph_gives_the_same(painting, server):
    plain = run_by(server, lambda: painting.keyboard.press("Control+Enter"))["outputs"]["image"]["key"]
    painting.mouse.dblclick(*along(wire(painting, *PAINTED)))
    is_bent(painting)
    x, y = middle(card(painting, "reroute"))
    drag(painting, (x, y), (x + 30, y + 90))
    assert middle(card(painting, "reroute")) == pytest.approx((x + 30, y + 90), abs=4)
    drag(painting, middle(socket(painting, "reroute", "value", "source")), middle(card(painting, OUTPUTS).locator(".card-head")))
    expect(wire(painting, ("reroute", "value"), (OUTPUTS, "value"))).to_be_attached()
    painting.keyboard.press("Control+z")
    assert run_by(server, lambda: painting.keyboard.press("Control+Enter"))["outputs"]["image"]["key"] == plain


def test_by_keyboard_all_wires_of_a_socket_run_through_one(painting):
    wires = [(("parts", "tokenizer"), (node, "tokenizer")) for node in ("words", "not_words")]
    socket(painting, "parts", "tokenizer", "source").focus()
    painting.keyboard.press("r")
    expect(card(painting, "reroute")).to_be_focused()
    for _, target in wires:
        expect(wire(painting, ("reroute", "value"), target)).to_be_attached()
    expect(card(painting, "reroute").locator("article")).to_have_attribute("aria-label", "Reroute")
    expect(socket(painting, "reroute", "value", "source")).to_have_attribute("aria-label", "Output value, Tokenizer[813 tokens]")
    painting.keyboard.press("Control+a")  # wires at it are selected too
    painting.keyboard.press("Control+z")
    for one in wires:
        expect(wire(painting, *one)).to_be_attached()


def test_the_menu_of_a_wire_and_of_a_socket_puts_one_in(painting):
    painting.mouse.click(*along(wire(painting, *PAINTED)), button="right")
    painting.get_by_role("menuitem", name="Put a reroute on the wire").click()
    is_bent(painting)
    socket(painting, "words", "text", "target").click(button="right")
    painting.get_by_role("menuitem", name="Put a reroute on the wire").click()
    expect(wire(painting, (INPUTS, "prompt"), ("reroute_2", "value"))).to_be_attached()
    expect(wire(painting, ("reroute_2", "value"), ("words", "text"))).to_be_attached()


def test_taken_out_with_a_box_around_it_its_wires_stay(painting):
    painting.mouse.dblclick(*along(wire(painting, *PAINTED)))
    is_bent(painting)
    drag(painting, middle(card(painting, "reroute")), GROUND)
    painting.keyboard.press("Escape")
    painting.keyboard.down("Shift")
    drag(painting, (GROUND[0] - 40, GROUND[1] + 40), (GROUND[0] + 40, GROUND[1] - 40))
    painting.keyboard.up("Shift")
    expect(painting.locator(".react-flow__node.selected")).to_have_count(1)
    painting.keyboard.press("Delete")
    is_straight(painting)


def test_from_far_it_is_there(painting):
    painting.mouse.dblclick(*along(wire(painting, *PAINTED)))
    is_bent(painting)
    while not painting.locator(".card.far").count():
        painting.keyboard.press("-")
    expect(card(painting, "reroute").locator(".card.bend.far")).to_be_visible()


def test_it_gets_a_name_which_stands_above_it(painting):
    painting.mouse.dblclick(*along(wire(painting, *PAINTED)))
    is_bent(painting)
    place = middle(card(painting, "reroute"))
    painting.keyboard.press("F2")
    field = painting.get_by_role("dialog", name="Rename the node").get_by_label("Name")
    expect(field).to_be_focused()
    field.fill("paint")
    expect(painting.get_by_role("dialog").get_by_role("alert")).to_be_visible()
    expect(painting.get_by_role("button", name="Done")).to_be_disabled()
    field.fill("latents")
    painting.keyboard.press("Enter")
    expect(card(painting, "latents").locator(".bend-name")).to_have_text("latents")
    expect(card(painting, "latents")).to_be_focused()
    expect(wire(painting, ("latents", "value"), ("pixels", "latent"))).to_be_attached()
    assert middle(card(painting, "latents")) == pytest.approx(place, abs=2)
    painting.keyboard.press("Control+z")
    is_bent(painting)


def test_any_node_is_renamed_from_its_menu(painting):
    card(painting, "paint").locator(".card-head").click(button="right")
    painting.get_by_role("menuitem", name="Rename the node").click()
    painting.keyboard.type("draw")
    painting.keyboard.press("Enter")
    expect(wire(painting, ("draw", "latent"), ("pixels", "latent"))).to_be_attached()
    expect(card(painting, "draw")).to_contain_text("· draw")

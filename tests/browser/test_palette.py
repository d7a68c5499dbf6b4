"""The palette: where it opens, what it offers, how it is searched, what picking does."""

from __future__ import annotations

import pytest
from hands import card, drag, middle, open_graph, socket, wire
from playwright.sync_api import Page, expect

GROUND = (720, 700)  # a place of the window with nothing on it, in an empty graph and in text-to-image


def palette(page: Page):
    return page.get_by_role("dialog", name="Add …")


def field(page: Page):
    return palette(page).get_by_role("combobox")


def options(page: Page):
    return palette(page).get_by_role("option")


@pytest.fixture
def empty(page, server) -> Page:
    open_graph(page, server)
    return page


def sample_is_put_on_the_ground(page: Page) -> None:
    field(page).fill("sample")
    expect(options(page).first).to_have_attribute("data-op", "diffusion.sample")
    options(page).first.click()
    expect(palette(page)).to_have_count(0)
    box = card(page, "sample").bounding_box()
    assert abs(box["x"] - GROUND[0]) < 5 and abs(box["y"] - GROUND[1]) < 60


def test_a_double_click_on_the_ground_puts_a_node_there(empty):
    empty.mouse.dblclick(*GROUND)
    sample_is_put_on_the_ground(empty)


def test_so_does_one_that_comes_with_the_ground(page, server):
    page.add_init_script("""new MutationObserver((_, watch) => {
      const ground = document.querySelector('.react-flow__pane')
      if (!ground) return
      watch.disconnect()
      ground.dispatchEvent(new MouseEvent('dblclick', { bubbles: true, clientX: %d, clientY: %d }))
    }).observe(document, { subtree: true, childList: true })""" % GROUND)
    open_graph(page, server)
    sample_is_put_on_the_ground(page)


def test_a_key_opens_it_and_the_keyboard_does_all(empty):
    empty.keyboard.press("/")
    empty.keyboard.type("decode latent")
    empty.keyboard.press("Enter")
    expect(card(empty, "decode")).to_be_visible()
    empty.keyboard.press("/")
    empty.keyboard.press("Escape")
    expect(palette(empty)).to_have_count(0)


def test_arrows_go_through_the_list(empty):
    empty.keyboard.press("/")
    expect(options(empty).first).to_have_attribute("aria-selected", "true")
    empty.keyboard.press("ArrowDown")
    expect(options(empty).nth(1)).to_have_attribute("aria-selected", "true")
    expect(field(empty)).to_have_attribute("aria-activedescendant", "palette-1")


@pytest.mark.parametrize(
    ("text", "op"),
    [
        ("encode prompt", "diffusion.encode_prompt"), ("编码提示词", "diffusion.encode_prompt"), ("dfusn.smpl", "diffusion.sample"),
        ("noise step by step", "diffusion.sample"),
    ],
    ids=["title", "Chinese title", "letters of its name", "help"],
)
def test_a_node_is_found_by(empty, text, op):
    empty.keyboard.press("/")
    field(empty).fill(text)
    expect(palette(empty).locator(f'[data-op="{op}"]')).to_be_visible()


def test_what_was_picked_last_comes_first(empty):
    for name in ("decode latent", "join text"):
        empty.keyboard.press("/")
        empty.keyboard.type(name)
        empty.keyboard.press("Enter")
        expect(palette(empty)).to_have_count(0)
    empty.keyboard.press("/")
    expect(palette(empty).locator("h3").first).to_have_text("Recent")
    assert [one.get_attribute("data-op") for one in options(empty).all()[:2]] == ["text.join", "diffusion.decode"]


def test_a_wire_let_go_over_the_ground_offers_what_fits_and_joins_it(painting):
    drag(painting, middle(socket(painting, "paint", "latent", "source")), GROUND)
    expect(options(painting).first).to_be_visible()
    offered = {one.get_attribute("data-op") for one in options(painting).all()}
    assert "diffusion.decode" in offered and "clip.load" not in offered
    palette(painting).locator('[data-op="diffusion.decode"]').click()
    expect(wire(painting, ("paint", "latent"), ("decode", "latent"))).to_be_attached()
    painting.keyboard.press("Control+z")  # the node and its wire are one step
    expect(card(painting, "decode")).to_have_count(0)


def test_an_input_that_is_let_go_offers_what_makes_it(painting):
    drag(painting, middle(socket(painting, "paint", "positive", "target")), GROUND)
    palette(painting).locator('[data-op="diffusion.encode_prompt"]').click()
    expect(wire(painting, ("encode_prompt", "conditioning"), ("paint", "positive"))).to_be_attached()
    expect(wire(painting, ("words", "conditioning"), ("paint", "positive"))).to_have_count(0)


def test_where_a_wire_fits_several_ports_one_is_chosen(painting):
    drag(painting, middle(socket(painting, "avoided", "text", "source")), GROUND)
    palette(painting).locator('[data-op="text.join"]').click()
    palette(painting).get_by_role("button", name="second").click()
    expect(wire(painting, ("avoided", "text"), ("join", "second"))).to_be_attached()


def test_a_saved_graph_is_put_in_as_one_node(painting):
    painting.keyboard.press("/")
    field(painting).fill("Label a picture")
    palette(painting).locator('[data-op="graph:clip-zero-shot"]').click()
    expect(card(painting, "clip_zero_shot")).to_be_visible()
    expect(card(painting, "clip_zero_shot").locator(".card-title")).to_have_text("Label a picture")
    expect(card(painting, "clip_zero_shot").locator(".socket.source").first).to_be_attached()
    painting.keyboard.press("Control+z")
    expect(card(painting, "clip_zero_shot")).to_have_count(0)


def test_notes_and_groups_are_in_it_too(empty):
    empty.keyboard.press("/")
    field(empty).fill("note")
    palette(empty).locator('[data-op="note"]').click()
    empty.keyboard.type("# Hello")
    empty.mouse.click(200, 800)
    expect(empty.locator(".note h1")).to_have_text("Hello")

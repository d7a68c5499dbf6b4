"""The surface by mouse and by keyboard: wires, cards, groups, notes, menus, the clipboard, the ways to look."""

from __future__ import annotations

import json
import re

import pytest
from hands import INPUTS, OUTPUTS, along, calm, card, connect, drag, middle, open_graph, socket, wire
from playwright.sync_api import Page, expect

GROUND = (720, 780)  # a place of the window with nothing on it in text-to-image


def menu(page: Page, line: str):
    return page.get_by_role("menu").last.get_by_role("menuitem", name=re.compile(f"^{re.escape(line)}"))


def head(page: Page, node: str) -> tuple[float, float]:
    """A place to take a card by."""
    box = card(page, node).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + 10


def place(page: Page, node: str) -> tuple[float, float]:
    """Where a card is, in px of the surface."""
    found = card(page, node).evaluate("one => new DOMMatrix(getComputedStyle(one).transform)")
    return found["e"], found["f"]


def chosen(page: Page) -> set[str]:
    return {one.get_attribute("data-id") for one in page.locator(".react-flow__node.selected").all()}


def select(page: Page, *nodes: str) -> None:
    for i, node in enumerate(nodes):
        page.mouse.move(*head(page, node))
        page.keyboard.down("Control") if i else None
        page.mouse.click(*head(page, node))
        page.keyboard.up("Control") if i else None
    assert chosen(page) == set(nodes)


# ── wires ───────────────────────────────────────────────────────────────────────────────────────


def test_a_new_wire_takes_the_place_of_the_old_one(painting):
    old, new = (("not_words", "conditioning"), ("paint", "negative")), (("words", "conditioning"), ("paint", "negative"))
    connect(painting, *new)
    expect(wire(painting, *old)).to_have_count(0)
    painting.keyboard.press("Control+z")
    expect(wire(painting, *old)).to_be_attached()
    expect(wire(painting, *new)).to_have_count(0)
    painting.keyboard.press("Control+Shift+z")
    expect(wire(painting, *new)).to_be_attached()


def test_what_fits_a_held_wire_lights_up_and_the_rest_says_why_not(painting):
    drag(painting, middle(socket(painting, "words", "conditioning", "source")), middle(socket(painting, "pixels", "latent", "target")), let_go=False)
    expect(socket(painting, "paint", "negative", "target")).to_have_class(re.compile(r"\bfits\b"))
    expect(socket(painting, "pixels", "latent", "target")).to_have_class(re.compile(r"\bfades\b"))
    expect(painting.get_by_role("tooltip")).to_contain_text("wants a Latent")
    painting.mouse.up()
    expect(wire(painting, ("words", "conditioning"), ("pixels", "latent"))).to_have_count(0)
    expect(painting.locator(".socket.fades")).to_have_count(0)


def test_a_loop_is_refused_while_the_wire_is_held(painting):
    drag(painting, middle(socket(painting, "not_words", "text", "target")), middle(socket(painting, "avoided", "text", "source")), let_go=True)
    drag(painting, middle(socket(painting, "avoided", "text", "source")), middle(socket(painting, "avoided", "text", "target")))
    expect(wire(painting, ("avoided", "text"), ("avoided", "text"))).to_have_count(0)


def test_alt_and_a_click_cut_a_wire(painting):
    one = wire(painting, ("paint", "latent"), ("pixels", "latent"))
    box = along(one)
    painting.keyboard.down("Alt")
    painting.mouse.click(*box)
    painting.keyboard.up("Alt")
    expect(one).to_have_count(0)


def test_a_socket_tells_the_shape_and_space_of_what_flows(painting):
    socket(painting, "paint", "latent", "source").hover()
    tip = painting.get_by_role("tooltip")
    expect(tip).to_contain_text("paint.latent")
    expect(tip).to_contain_text(re.compile(r"Latent \d+×\d+×\d+ · .*zoo:sd"))


def test_a_wire_dropped_on_the_inputs_card_makes_an_input(painting):
    drag(painting, middle(socket(painting, "paint", "strength", "target")), head(painting, INPUTS))
    expect(wire(painting, (INPUTS, "strength"), ("paint", "strength"))).to_be_attached()


def test_a_wire_dropped_on_the_outputs_card_makes_an_output(painting):
    drag(painting, middle(socket(painting, "paint", "latent", "source")), head(painting, OUTPUTS))
    expect(wire(painting, ("paint", "latent"), (OUTPUTS, "latent"))).to_be_attached()


def test_a_wire_dropped_on_a_card_finds_its_port_or_asks(painting):
    painting.keyboard.press("Control+z")
    drag(painting, middle(socket(painting, "not_words", "conditioning", "source")), head(painting, "paint"))
    menu(painting, "positive").click()
    expect(wire(painting, ("not_words", "conditioning"), ("paint", "positive"))).to_be_attached()


def test_a_list_takes_one_wire_more(page, server):
    open_graph(page, server)
    for name, times in (("image.resize", 2), ("image.batch", 1)):
        for _ in range(times):
            page.keyboard.press("/")
            page.keyboard.type(name)
            page.get_by_role("option").first.click()
            page.keyboard.press("Escape")
    page.mouse.click(200, 850)
    page.keyboard.press("l")
    calm(page)
    page.wait_for_timeout(600)  # the view moves to where all is seen
    connect(page, ("resize", "image"), ("batch", "images"))
    calm(page)
    connect(page, ("resize_2", "image"), ("batch", "images"))
    expect(wire(page, ("resize", "image"), ("batch", "images"))).to_be_attached()


def test_a_card_dropped_on_a_wire_goes_into_it(painting):
    painting.mouse.dblclick(*GROUND)
    painting.keyboard.type("image.resize")
    painting.keyboard.press("Enter")
    at = along(wire(painting, ("pixels", "image"), (OUTPUTS, "image")))
    drag(painting, head(painting, "resize"), (at[0], at[1] - 14))
    expect(wire(painting, ("pixels", "image"), ("resize", "image"))).to_be_attached()
    expect(wire(painting, ("resize", "image"), (OUTPUTS, "image"))).to_be_attached()


# ── cards ───────────────────────────────────────────────────────────────────────────────────────


def test_a_box_selects_and_delete_deletes(painting):
    left, right = head(painting, "words"), head(painting, "not_words")
    painting.keyboard.down("Shift")
    top, bottom = min(left[1], right[1]), max(left[1], right[1])
    drag(painting, (min(left[0], right[0]) - 100, top - 22), (max(left[0], right[0]) + 60, bottom + 20))
    painting.keyboard.up("Shift")
    assert chosen(painting) == {"words", "not_words"}
    painting.keyboard.press("Delete")
    expect(card(painting, "words")).to_have_count(0)
    painting.keyboard.press("Control+z")
    expect(wire(painting, ("words", "conditioning"), ("paint", "positive"))).to_be_attached()


def test_a_duplicate_is_fed_as_the_first_is(painting):
    select(painting, "words")
    painting.keyboard.press("Control+d")
    expect(wire(painting, ("parts", "tokenizer"), ("words_2", "tokenizer"))).to_be_attached()
    assert chosen(painting) == {"words_2"}


def test_a_piece_goes_by_clipboard_into_another_graph(painting, context, server):
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    select(painting, "paint", "pixels")
    painting.keyboard.press("Control+c")
    text = json.loads(painting.evaluate("navigator.clipboard.readText()"))
    assert text["flowmm"] == 1 and set(text["nodes"]) == {"paint", "pixels"}
    other = context.new_page()
    open_graph(other, server)
    other.mouse.move(*GROUND)
    other.keyboard.press("Control+v")
    expect(wire(other, ("paint", "latent"), ("pixels", "latent"))).to_be_attached()
    expect(wire(other, (INPUTS, "seed"), ("paint", "seed"))).to_be_attached()
    other.keyboard.press("Control+x")
    expect(card(other, "paint")).to_have_count(0)
    other.keyboard.press("Control+v")
    expect(card(other, "paint")).to_be_attached()


def test_a_group_moves_what_lies_in_it(painting):
    select(painting, "words", "not_words")
    painting.keyboard.press("Control+g")
    group = painting.locator(".group-head")
    expect(group).to_be_visible()
    before = place(painting, "words"), place(painting, "paint")
    at = middle(group)
    drag(painting, at, (at[0] + 40, at[1] - 30))
    after = place(painting, "words"), place(painting, "paint")
    assert after[0] != before[0] and after[1] == before[1]
    painting.keyboard.press("Control+z")
    assert place(painting, "words") == before[0]


def test_a_group_has_a_title_and_a_colour(painting):
    select(painting, "words", "not_words")
    painting.keyboard.press("Control+g")
    painting.locator(".group-head").dblclick()
    painting.keyboard.type("Prompts")
    painting.keyboard.press("Enter")
    expect(painting.get_by_role("region", name="Prompts")).to_be_visible()
    painting.locator(".group-head").click(button="right")
    painting.get_by_role("menuitem", name="Teal").click()
    expect(painting.locator('.group[data-colour="teal"]')).to_be_visible()


def test_a_note_is_written_in_markdown_and_never_runs_what_it_holds(painting):
    painting.mouse.click(*GROUND)
    painting.keyboard.press("n")
    painting.keyboard.type("**bold** <img src=x onerror=alert(1)>")
    painting.mouse.click(*GROUND)
    expect(painting.locator(".note strong")).to_have_text("bold")
    expect(painting.locator(".note img")).to_have_count(0)


def test_cards_fold_and_have_colours(painting):
    select(painting, "paint")
    painting.keyboard.press("c")
    assert card(painting, "paint").bounding_box()["height"] < 60
    card(painting, "paint").click(button="right", position={"x": 60, "y": 10})
    painting.get_by_role("menuitem", name="Violet").click()
    expect(card(painting, "paint").locator('[data-colour="violet"]')).to_be_visible()


def test_cards_are_aligned_and_given_even_gaps(painting):
    select(painting, "avoided", "words", "paint")
    painting.keyboard.press("Alt+Shift+ArrowUp")
    assert len({place(painting, node)[1] for node in ("avoided", "words", "paint")}) == 1
    painting.keyboard.press("Alt+Shift+h")
    boxes = sorted((card(painting, node).bounding_box() for node in ("avoided", "words", "paint")), key=lambda box: box["x"])
    gaps = [after["x"] - before["x"] - before["width"] for before, after in zip(boxes, boxes[1:], strict=False)]
    assert abs(gaps[0] - gaps[1]) < 2


def test_a_key_arranges_all_and_one_step_undoes_it(painting):
    before = place(painting, "paint")
    drag(painting, head(painting, "paint"), (head(painting, "paint")[0] - 60, head(painting, "paint")[1] + 90))
    moved = place(painting, "paint")
    assert moved != before
    painting.keyboard.press("l")
    painting.wait_for_function("one => new DOMMatrix(getComputedStyle(document.querySelector('[data-id=\"paint\"]')).transform).e !== one", arg=moved[0])
    painting.keyboard.press("Control+z")
    assert place(painting, "paint") == moved


def test_find_jumps_to_a_card(painting):
    painting.keyboard.press("Control+f")
    painting.keyboard.type("pixels")
    painting.keyboard.press("Enter")
    expect(painting.locator('.react-flow__node.selected[data-id="pixels"]')).to_be_visible()
    painting.keyboard.press("Escape")
    expect(painting.get_by_role("search")).to_have_count(0)


# ── the keyboard ────────────────────────────────────────────────────────────────────────────────


def test_tab_walks_the_cards_in_the_order_of_the_graph(painting):
    card(painting, INPUTS).focus()
    walked = []
    for _ in range(7):
        painting.keyboard.press("Tab")
        painting.wait_for_timeout(200)
        walked.append(painting.evaluate("document.activeElement.dataset.id"))
    assert set(walked) == {"parts", "words", "avoided", "not_words", "paint", "pixels", OUTPUTS}
    assert walked.index("parts") < walked.index("words") < walked.index("paint") < walked.index("pixels") < walked.index(OUTPUTS)


def test_arrows_move_what_is_selected_in_one_step_of_undo(painting):
    select(painting, "paint")
    before = place(painting, "paint")
    for _ in range(3):
        painting.keyboard.press("ArrowDown")
    assert place(painting, "paint") == (before[0], before[1] + 30)
    painting.keyboard.press("Control+z")
    assert place(painting, "paint") == before


def test_a_wire_is_drawn_by_keyboard_alone(painting):
    """A socket is taken up, the keyboard walks what fits it, Enter joins."""
    socket(painting, "words", "conditioning", "source").focus()
    painting.keyboard.press("Enter")
    said = painting.locator(".announcer")
    expect(said).to_contain_text("Tab walks them")
    for _ in range(12):
        painting.keyboard.press("Tab")
        painting.wait_for_timeout(260)
        if "paint.negative" in said.inner_text():
            break
    assert painting.evaluate("document.activeElement.dataset.handleid") == "negative"
    painting.keyboard.press("Enter")
    expect(wire(painting, ("words", "conditioning"), ("paint", "negative"))).to_be_attached()
    expect(said).to_contain_text("is joined to paint.negative")


def test_escape_lets_a_wire_go(painting):
    socket(painting, "words", "conditioning", "source").focus()
    painting.keyboard.press("Enter")
    expect(painting.locator(".socket.fits").first).to_be_visible()
    painting.keyboard.press("Escape")
    expect(painting.locator(".socket.fits")).to_have_count(0)


def test_the_sheet_lists_every_key(painting):
    painting.mouse.click(*GROUND)
    painting.keyboard.press("?")
    sheet = painting.get_by_role("dialog", name="Keyboard shortcuts")
    for words in ("Duplicate", "Find a card", "Arrange by wires", "Take up a socket; join it here"):
        expect(sheet.get_by_text(words, exact=True)).to_be_visible()
    painting.keyboard.press("Escape")
    expect(sheet).to_have_count(0)


@pytest.mark.parametrize(
    ("at", "line"),
    [("ground", "Arrange by wires"), ("card", "Duplicate"), ("socket", "Make it an input of the graph"), ("wire", "Cut this wire")],
)
def test_there_is_a_menu_for(painting, at, line):
    if at == "ground":
        painting.mouse.click(*GROUND, button="right")
    elif at == "card":
        painting.mouse.click(*head(painting, "paint"), button="right")
    elif at == "socket":
        socket(painting, "paint", "positive", "target").click(button="right")
    else:
        painting.mouse.click(*along(wire(painting, ("paint", "latent"), ("pixels", "latent"))), button="right")
    expect(menu(painting, line)).to_be_visible()
    painting.keyboard.press("Escape")
    expect(painting.get_by_role("menu")).to_have_count(0)


def test_a_menu_opens_by_key_and_its_lines_work(painting):
    card(painting, "pixels").focus()
    painting.keyboard.press("Shift+F10")
    menu(painting, "Duplicate").press("Enter")
    expect(card(painting, "pixels_2")).to_be_visible()


def test_chinese_is_spoken_here_too(painting):
    painting.evaluate("localStorage.setItem('flowmm.language', 'zh')")
    painting.reload()
    expect(card(painting, "paint")).to_be_visible()
    calm(painting)
    painting.mouse.click(*GROUND, button="right")
    expect(menu(painting, "自动排列")).to_be_visible()

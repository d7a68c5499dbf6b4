"""Every widget but those of pictures, by mouse and by keyboard: what a person does to it is what the graph then says, and what a run is given."""

from __future__ import annotations

from desk import Desk, zone
from hands import INPUTS, calm, card, drag, middle
from looking import violations
from playwright.sync_api import expect
from server_process import until

# ── texts ───────────────────────────────────────────────────────────────────────────────────────


def test_a_text_is_written_in_its_place_and_on_a_large_page(desk, page):
    here = desk("text-to-image")
    here.control("prompt").fill("a small blue star")
    here.input_becomes("prompt", "a small blue star")
    here.control("prompt").hover()
    page.get_by_role("button", name="prompt · Write on a large page").click()
    large = page.get_by_role("dialog").get_by_label("prompt", exact=True)
    expect(large).to_be_focused()
    page.keyboard.type(" on a white background")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(here.control("prompt")).to_be_focused()
    here.input_becomes("prompt", "a small blue star on a white background")


def test_typing_is_one_step_of_undo_and_pauses_begin_another(desk, page):
    here = desk("text-to-image")
    before = here.control("prompt").input_value()
    here.control("prompt").focus()
    page.keyboard.press("End")
    page.keyboard.type(" and a red square")
    page.get_by_role("button", name="Undo").click()
    expect(here.control("prompt")).to_have_value(before)


def test_several_texts_are_lines_in_their_order(desk, page):
    here = desk("clip-match")
    texts = here.control("texts")
    expect(texts).to_have_value("\n".join(["a cyan square", "a red circle", "a red square", "a large cyan circle"]))
    texts.fill("a red circle")
    texts.press("End")
    texts.press("Enter")
    expect(texts).to_have_value("a red circle\n")
    page.keyboard.type("a blue star")
    here.input_becomes("texts", ["a red circle", "a blue star"])


def test_one_text_becomes_several_from_the_menu(desk, page):
    here = desk("text-to-image")
    here.control("prompt").click(button="right")
    page.get_by_role("menuitem", name="Several texts").click()
    here.input_becomes("prompt", ["a large red circle on a white background"])


# ── numbers ─────────────────────────────────────────────────────────────────────────────────────


def test_a_number_is_written_and_stepped_by_keys(desk, page):
    here = desk("image-to-image")
    strength = here.control("strength")
    strength.fill("0.5")
    strength.press("ArrowUp")
    expect(strength).to_have_value("0.51")
    strength.press("Shift+ArrowUp")
    expect(strength).to_have_value("0.61")
    strength.press("Alt+ArrowDown")
    expect(strength).to_have_value("0.609")
    here.input_becomes("strength", 0.609)


def test_a_number_out_of_its_range_is_told_so_in_its_place_and_goes_nowhere(desk, page):
    here = desk("image-to-image")
    strength = here.control("strength")
    strength.fill("7")
    expect(page.get_by_role("alert")).to_have_text("At most 1")
    expect(strength).to_have_attribute("aria-invalid", "true")
    strength.press("Enter")
    expect(strength).to_have_value("0.8")
    assert here.value("strength") == 0.8


def test_a_number_is_dragged_by_its_name_and_its_arrows_step_it(desk, page):
    here = desk("image-to-image")
    name = card(page, INPUTS).locator("label", has_text="strength")
    x, y = middle(name)
    drag(page, (x, y), (x - 80, y))
    expect(here.control("strength")).to_have_value("0.6")
    here.control("strength").hover()
    page.get_by_role("button", name="strength · more").click()
    expect(here.control("strength")).to_have_value("0.61")
    here.input_becomes("strength", 0.61)


def test_the_wheel_turns_a_number_only_while_one_works_on_it(desk, page):
    here = desk("image-to-image")
    strength = here.control("strength")
    before = strength.bounding_box()
    strength.hover()
    page.mouse.wheel(0, -120)
    expect(strength).to_have_value("0.8")
    until(lambda: strength.bounding_box() != before)  # the canvas was zoomed instead
    strength.focus()
    strength.hover()
    zoomed = strength.bounding_box()
    page.mouse.wheel(0, 120)
    expect(strength).to_have_value("0.79")
    assert strength.bounding_box() == zoomed


def test_a_slider_moves_by_keys_by_mouse_and_by_its_number(desk, page):
    here = desk("text-to-image")
    thumb = page.get_by_role("slider", name="count")
    thumb.focus()
    thumb.press("ArrowRight")
    expect(here.control("count")).to_have_value("2")
    x, y = middle(thumb)
    drag(page, (x, y), (x + 300, y))
    expect(here.control("count")).to_have_value("64")
    here.control("count").fill("3")
    here.input_becomes("count", 3)


def test_a_default_looks_like_one_and_comes_back(desk, page):
    here = desk("text-to-image")
    here.more()
    steps = here.control("steps")
    expect(steps).to_have_value("")
    expect(steps).to_have_attribute("placeholder", "Default")
    steps.fill("7")
    here.input_becomes("steps", 7)
    page.get_by_role("button", name="steps · Back to the default").click()
    expect(steps).to_have_value("")
    here.input_becomes("steps", None)


# ── seeds ───────────────────────────────────────────────────────────────────────────────────────


def test_dice_roll_another_seed(desk, page):
    here = desk("text-to-image")
    page.get_by_role("button", name="seed · Roll another seed").click()
    until(lambda: here.value("seed") != 0)
    assert here.value("seed") == int(here.control("seed").input_value())


def test_a_seed_counts_on_after_each_run_which_had_the_one_before(desk, page):
    here = desk("text-to-image")
    page.get_by_role("button", name="seed · After each run: Keep it").click()
    page.get_by_role("option", name="Count on by one").click()
    first = here.run()
    expect(here.control("seed")).to_have_value("1")
    document = here.server.http.get(f"/api/runs/{first['id']}/graph").json()
    assert document["inputs"]["seed"]["default"] == 0
    page.get_by_role("button", name="Undo").click()
    expect(here.control("seed")).to_have_value("0")


# ── choices ─────────────────────────────────────────────────────────────────────────────────────


def test_a_choice_is_searched_and_picked_by_keyboard(desk, page):
    here = desk("text-to-image")
    here.more()
    here.control("scheduler").press("Enter")
    page.keyboard.type("euler an")
    expect(page.get_by_role("option")).to_have_count(2)  # and what was typed
    page.keyboard.press("Enter")
    here.input_becomes("scheduler", "euler_ancestral")
    expect(here.control("scheduler")).to_be_focused()


def test_a_choice_is_picked_by_mouse(desk, page):
    here = desk("vit-attention")
    here.control("fusion").click()
    expect(page.get_by_role("option")).to_have_text(["meandefault", "max", "min"])
    page.get_by_role("option", name="max").click()
    here.input_becomes("fusion", "max")


def test_yes_or_no_is_ticked_by_mouse_and_by_keyboard(desk, page):
    here = desk("inpaint")
    here.control("fit").click()
    here.input_becomes("fit", False)
    here.control("fit").press(" ")
    here.input_becomes("fit", True)


# ── models ──────────────────────────────────────────────────────────────────────────────────────


def test_models_that_fit_come_first_and_others_say_why_they_do_not(desk, page):
    here = desk("control")
    here.control("control").click()
    options = page.get_by_role("option")
    expect(options.first).to_contain_text("sd-control")
    expect(options.first).to_have_attribute("aria-selected", "true")
    clip = page.get_by_role("option", name="CLIPModel")
    expect(clip).to_have_class("picker-option faded")
    assert "CLIPModel does not have" in clip.get_attribute("title")
    assert not violations(page)


def test_a_model_that_is_missing_is_told_with_the_command_that_gets_it(desk, page):
    here = desk("text-to-image")
    here.control("model").press("Enter")
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.type("hf:someone/something")
    page.keyboard.press("Enter")
    here.input_becomes("model", "hf:someone/something")
    calm(page)
    here.control("model").click()
    told = page.get_by_role("alert").filter(has_text="This model is not here")
    expect(told).to_contain_text("flowmm models pull someone/something")
    expect(page.get_by_role("option").first).to_contain_text("sd")
    page.get_by_role("option").first.click()
    here.input_becomes("model", "zoo:sd")


# ── the card of inputs ──────────────────────────────────────────────────────────────────────────


def names(here: Desk) -> list[str]:
    return list(here.document["inputs"])


def test_an_input_is_renamed_and_told_about(desk, page):
    here = desk("text-to-image")
    page.get_by_role("button", name="prompt: more").press("Enter")
    page.get_by_role("menuitem", name="Name, title and help").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Name").fill("2 words")
    expect(form.get_by_role("alert")).to_contain_text("Letters, digits and _ only")
    form.get_by_label("Name").fill("wish")
    form.get_by_label("Title").fill("What to draw")
    form.get_by_role("button", name="Done").click()
    expect(here.control("What to draw")).to_have_value("a large red circle on a white background")
    until(lambda: "wish" in names(here))
    document = here.document
    assert document["nodes"]["words"]["in"]["text"] == {"from": "input.wish"} and document["inputs"]["wish"]["title"] == "What to draw"


def test_inputs_are_put_in_order_by_keyboard_and_by_mouse(desk, page):
    here = desk("text-to-image")
    assert names(here)[:3] == ["prompt", "negative", "seed"]
    grip = page.get_by_role("button", name="seed: more")
    grip.focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    here.becomes(lambda: names(here)[:3], ["seed", "prompt", "negative"])
    expect(page.get_by_role("status").filter(has_text="seed is now number 1")).to_be_attached()
    page.locator('[data-field="input.prompt"]').hover()
    page.get_by_role("button", name="prompt: more").drag_to(page.locator('[data-field="input.seed"]'), target_position={"x": 40, "y": 2})
    here.becomes(lambda: names(here)[:3], ["prompt", "seed", "negative"])


def test_an_input_is_deleted_and_its_value_stays_where_it_was_fed(desk, page):
    here = desk("text-to-image")
    here.control("seed").fill("9")
    page.get_by_role("button", name="seed: more").press("Enter")
    page.get_by_role("menuitem", name="Delete the input").click()
    until(lambda: "seed" not in names(here))
    assert here.document["nodes"]["paint"]["in"]["seed"] == 9


def test_a_setting_becomes_an_input_and_a_setting_again(desk, page):
    here = desk("text-to-image")
    setting = page.locator('[data-field="pixels.tile"]')
    setting.get_by_role("checkbox").check()
    setting.hover()
    page.get_by_role("button", name="tile · Make it an input of the graph").click()
    expect(page.locator('[data-field="input.tile"]').get_by_role("checkbox")).to_be_checked()
    until(lambda: "tile" in names(here))
    assert here.document["nodes"]["pixels"]["in"]["tile"] == {"from": "input.tile"}
    page.get_by_role("button", name="tile · Set it here instead").press("Enter")
    expect(setting.get_by_role("checkbox")).to_be_checked()
    until(lambda: "tile" not in names(here))
    assert here.document["nodes"]["pixels"]["in"]["tile"] is True


def test_what_a_value_is_for_is_told_at_its_name_with_its_range(desk, page):
    desk("text-to-image")
    card(page, INPUTS).locator("label", has_text="count").hover()
    expect(page.get_by_role("tooltip")).to_contain_text("1 – 64")


def test_everything_is_said_in_chinese_too(desk, page):
    page.evaluate("localStorage.setItem('flowmm.language', 'zh')")
    desk("inpaint")
    zone(page, "mask").hover()
    page.get_by_role("button", name="mask · 绘制遮罩").click()
    expect(page.get_by_role("dialog")).to_contain_text("使用此遮罩")

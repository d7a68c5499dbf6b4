"""Every widget by mouse and by keyboard: what a person does to it is what the graph then says, and what a run is given."""

from __future__ import annotations

import base64
import io
import json
from itertools import count

import pytest
from hands import INPUTS, calm, card, drag, middle, open_graph, run_by
from PIL import Image
from playwright.sync_api import Locator, Page, expect
from server_process import ServerProcess, until

from flowmm.face.find import shipped

NUMBERS = count(1)
BLUE_STAR = shipped() / "examples/blue-star.png"


class Desk:
    """A page with a graph of its own, and what the server has of it. A value may take a moment to be saved."""

    def __init__(self, page: Page, server: ServerProcess, shipped_name: str, **changes):
        self.page, self.server = page, server
        self.name = f"{shipped_name}-{next(NUMBERS)}"
        document = json.loads((shipped() / f"{shipped_name}.json").read_text(encoding="utf-8")) | changes
        assert server.http.put(f"/api/graphs/{self.name}", json=document, headers={"If-None-Match": "*"}).status_code < 300
        open_graph(page, server, self.name)
        expect(card(page, INPUTS)).to_be_visible()
        calm(page)

    @property
    def document(self) -> dict:
        return self.server.http.get(f"/api/graphs/{self.name}").json()

    def value(self, name: str):
        return self.document["inputs"][name].get("default", "nothing")

    def given(self, name: str):
        return self.document.get("layout", {}).get("given", {}).get(name, "nothing")

    def becomes(self, look, wanted) -> None:
        seen = []
        try:
            until(lambda: seen.append(look()) or seen[-1] == wanted, 20)
        except AssertionError:
            raise AssertionError(f"it is {seen[-1]!r}, not {wanted!r}") from None

    def input_becomes(self, name: str, wanted) -> None:
        self.becomes(lambda: self.value(name), wanted)

    def control(self, name: str) -> Locator:
        return card(self.page, INPUTS).get_by_label(name, exact=True)

    def more(self) -> None:
        """Show the settings that nobody has set."""
        card(self.page, INPUTS).get_by_role("button", name="more settings").click()

    def output(self, run: dict, name: str) -> Image.Image:
        return Image.open(io.BytesIO(self.server.http.get(f"/api/runs/{run['id']}/outputs/{name}").content)).convert("RGB")

    def run(self) -> dict:
        run = run_by(self.server, lambda: self.page.keyboard.press("Control+Enter"))
        assert run["state"] == "done", run
        return run


@pytest.fixture
def desk(page, server):
    return lambda name, **changes: Desk(page, server, name, **changes)


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


# ── pictures ────────────────────────────────────────────────────────────────────────────────────


def transfer(page: Page, *files: bytes, value: dict | None = None):
    """What a person drags or has copied."""
    return page.evaluate_handle(
        """([files, value]) => {
          const data = new DataTransfer()
          for (const file of files) data.items.add(new File([Uint8Array.from(atob(file), c => c.charCodeAt(0))], "a.png", { type: "image/png" }))
          if (value) data.setData("application/x-flowmm-value", JSON.stringify(value))
          return data
        }""",
        [[base64.b64encode(file).decode() for file in files], value],
    )


def drop(page: Page, on: Locator, *files: bytes, value: dict | None = None) -> None:
    on.dispatch_event("drop", {"dataTransfer": transfer(page, *files, value=value)})


def paste(page: Page, on: Locator, *files: bytes) -> None:
    on.focus()
    event = "(one, clipboardData) => one.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }))"
    on.evaluate(event, transfer(page, *files))


def pixels(image: Image.Image) -> bytes:
    return image.convert("RGB").tobytes()


def upload_of(here: Desk, name: str) -> Image.Image:
    """The picture that an input is given, as the server has it."""
    until(lambda: isinstance(here.given(name), dict))
    return Image.open(io.BytesIO(here.server.http.get(f"/api/uploads/{here.given(name)['upload']}").content))


def said(here: Desk) -> str:
    """What a run of `caption` says of the picture."""
    run = here.run()
    return here.server.http.get(f"/api/runs/{run['id']}/outputs/{next(iter(run['outputs']))}").text


def zone(page: Page, name: str) -> Locator:
    return page.locator(f'[data-field="input.{name}"] .pictures')


def test_a_shipped_example_is_shown(desk, page):
    desk("inpaint")
    for name in ("image", "mask"):
        expect(zone(page, name).locator("img")).to_have_js_property("naturalWidth", 128)


def test_a_picture_comes_by_the_file_chooser(desk, page):
    here = desk("caption")
    zone(page, "image").hover()
    with page.expect_file_chooser() as chosen:
        page.get_by_role("button", name="image · Upload").click()
    chosen.value.set_files(BLUE_STAR)
    assert pixels(upload_of(here, "image")) == pixels(Image.open(BLUE_STAR))
    assert here.value("image") == "examples/red-circle.png"  # the document still means the same elsewhere


def test_a_picture_is_dropped_and_the_graph_runs_on_it_after_a_reload_too(desk, page):
    here = desk("caption")
    drop(page, zone(page, "image"), BLUE_STAR.read_bytes())
    upload_of(here, "image")
    assert "blue star" in said(here)
    page.reload()
    expect(zone(page, "image").locator("img")).to_have_attribute("src", f"/api/uploads/{here.given('image')['upload']}?size=256")
    assert "blue star" in said(here)
    zone(page, "image").hover()
    page.get_by_role("button", name="image · Back to the default").click()
    here.becomes(lambda: here.given("image"), "nothing")


def test_a_picture_is_pasted(desk, page):
    here = desk("caption")
    paste(page, here.control("image"), BLUE_STAR.read_bytes())
    assert pixels(upload_of(here, "image")) == pixels(Image.open(BLUE_STAR))


def test_what_is_no_picture_is_refused_in_its_place(desk, page, watch):
    watch.allow("status of 415")
    here = desk("caption")
    drop(page, zone(page, "image"), b"no picture at all")
    expect(zone(page, "image").get_by_role("alert")).to_contain_text("no PNG, JPEG or WebP picture")
    assert here.given("image") == "nothing"


def test_a_picture_that_is_gone_is_told_in_its_place_and_another_takes_it(desk, page, watch):
    watch.allow("status of 404")
    here = desk("caption", layout={"given": {"image": {"upload": "0" * 32 + ".png"}}})
    field = page.locator('[data-field="input.image"]')
    field.hover()
    expect(field.get_by_role("alert").filter(has_text="there is no upload")).to_be_visible()
    drop(page, zone(page, "image"), BLUE_STAR.read_bytes())
    expect(field.get_by_role("alert")).to_have_count(0)
    assert "blue star" in said(here)


def test_a_result_is_taken_from_earlier_ones(desk, page):
    made = desk("text-to-image").run()["outputs"]["image"]["key"]
    here = desk("caption")
    zone(page, "image").hover()
    page.get_by_role("button", name="image · From earlier").click()
    page.get_by_role("dialog").get_by_role("button", name="Text to image").first.click()
    here.becomes(lambda: here.given("image"), {"value": made})


def test_a_result_is_dropped_on_an_input(desk, page):
    made = desk("text-to-image").run()["outputs"]["image"]["key"]
    here = desk("caption")
    drop(page, zone(page, "image"), value={"value": made})
    here.becomes(lambda: here.given("image"), {"value": made})


def test_several_pictures_are_put_in_order_and_taken_away_by_keyboard(desk, page):
    here = desk("clip-match")
    tiles = zone(page, "image").locator(".picture-tile")
    expect(tiles).to_have_count(2)
    tiles.first.focus()
    page.keyboard.press("Shift+ArrowRight")
    here.input_becomes("image", ["examples/red-circle.png", "examples/cyan-square.png"])
    drop(page, zone(page, "image"), BLUE_STAR.read_bytes())
    expect(tiles).to_have_count(3)
    tiles.first.focus()
    page.keyboard.press("Delete")
    expect(tiles).to_have_count(2)
    until(lambda: here.given("image")[0] == "examples/cyan-square.png" and "upload" in here.given("image")[1])


def test_a_mask_is_painted_over_its_picture_and_only_there_is_painted_anew(desk, page):
    here = desk("inpaint")
    zone(page, "mask").hover()
    page.get_by_role("button", name="mask · Paint the mask").click()
    painter = page.get_by_role("dialog")
    expect(painter).to_contain_text("Paint over image")
    painter.get_by_role("button", name="Clear").click()
    expect(painter).to_contain_text("0 % painted")
    board = painter.locator("canvas")
    box = board.bounding_box()
    begin, end = (box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.5), (box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.5)
    drag(page, begin, end)
    painter.get_by_role("button", name="Use this mask").click()
    expect(painter).to_have_count(0)
    mask = upload_of(here, "mask").convert("L")
    assert mask.size == (128, 128) and set(mask.tobytes()) == {0, 255}
    assert mask.getpixel((64, 64)) == 255 and mask.getpixel((64, 10)) == 0 and mask.getpixel((64, 118)) == 0
    made = here.output(here.run(), "image")
    original = Image.open(shipped() / "examples/red-circle.png").convert("RGB")
    inside = [made.getpixel((x, y)) != original.getpixel((x, y)) for x in range(128) for y in range(128) if mask.getpixel((x, y))]
    outside = [made.getpixel((x, y)) != original.getpixel((x, y)) for x in range(128) for y in range(128) if not mask.getpixel((x, y))]
    assert any(inside) and not any(outside)


def test_a_mask_is_painted_by_keyboard_and_undone(desk, page):
    desk("inpaint")
    here_mask = zone(page, "mask")
    here_mask.hover()
    page.get_by_role("button", name="mask · Paint the mask").press("Enter")
    painter = page.get_by_role("dialog")
    expect(painter.locator("canvas")).to_be_focused()
    page.keyboard.press("Delete")
    expect(painter).to_contain_text("0 % painted")
    page.keyboard.press("i")
    expect(painter).to_contain_text("100 % painted")
    page.keyboard.press("Control+z")
    expect(painter).to_contain_text("0 % painted")
    page.keyboard.press("]")
    page.keyboard.press(" ")
    expect(painter).not_to_contain_text(" 0 % painted")
    page.keyboard.press("e")
    page.keyboard.press(" ")
    expect(painter).to_contain_text("0 % painted")
    page.keyboard.press("Escape")
    expect(painter).to_have_count(0)


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

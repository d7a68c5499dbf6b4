"""Pictures and masks as inputs, by mouse and by keyboard: chosen, dropped, pasted, taken from earlier ones, painted."""

from __future__ import annotations

import base64
import io

from desk import BLUE_STAR, Desk, zone
from hands import drag
from PIL import Image
from playwright.sync_api import Locator, Page, expect
from server_process import until

from flowmm.face.find import shipped


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

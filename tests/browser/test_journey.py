"""The whole way of somebody new: from an empty page to a picture, another picture, the same picture in another tab, and in a form."""

from __future__ import annotations

import base64

import pytest
from hands import INPUTS, OUTPUTS, calm, card, connect, drag, middle, opened, run_by, shown_picture, socket, wire
from playwright.sync_api import expect

from flowmm.zoo.judge import judge

PROMPT = "a large red circle on a white background"


def seen(picture):
    """What is in a picture of the small world, read from its pixels."""
    reading = judge(picture)
    assert reading.clean, reading
    return [(thing.size, thing.colour, thing.shape) for thing in reading.things], reading.background


def move(page, node, x, y):
    """Take a card by its head and put it elsewhere."""
    head = card(page, node).locator(".card-head")
    box = card(page, node).bounding_box()
    begin = middle(head)
    drag(page, begin, (begin[0] + x - box["x"], begin[1] + y - box["y"]))


def pick(page, op, port=None):
    """A line of the palette that has come up, and if the wire fits several of the node's ports, one of them."""
    page.locator(f'[role="option"][data-op="{op}"]').click()
    if port:
        page.get_by_role("button", name=port, exact=True).click()


def draw(page, source, at, op, port=None):
    """Let a wire go over the ground, and pick what it leads to."""
    drag(page, middle(socket(page, *source)), at)
    pick(page, op, port)


def build(page):
    """Text to image from nothing, by mouse; only words and numbers are typed."""
    move(page, INPUTS, 20, 70)
    move(page, OUTPUTS, 1080, 70)
    page.mouse.dblclick(40, 460)
    pick(page, "diffusion.load")
    draw(page, ("load", "text_encoder"), (400, 230), "diffusion.encode_prompt")
    connect(page, ("load", "tokenizer"), ("encode_prompt", "tokenizer"))
    drag(page, middle(socket(page, "encode_prompt", "text", "target")), middle(card(page, INPUTS)))
    expect(wire(page, (INPUTS, "text"), ("encode_prompt", "text"))).to_be_attached()
    draw(page, ("encode_prompt", "conditioning"), (720, 200), "diffusion.sample", "positive")
    for port in ("denoiser", "schedule"):
        connect(page, ("load", port), ("sample", port))
    draw(page, ("sample", "latent"), (1060, 560), "diffusion.decode")
    connect(page, ("load", "autoencoder"), ("decode", "autoencoder"))
    drag(page, middle(socket(page, "decode", "image", "source")), middle(card(page, OUTPUTS)))
    expect(wire(page, ("decode", "image"), (OUTPUTS, "image"))).to_be_attached()
    card(page, "load").get_by_label("source", exact=True).click()
    page.get_by_role("option").filter(has_text="StableDiffusionPipeline").first.click()
    card(page, INPUTS).get_by_label("text", exact=True).fill(PROMPT)
    card(page, "sample").get_by_label("guidance", exact=True).fill("1")  # more would need a negative prompt
    set_seed(page, 3)


def set_seed(page, number):
    card(page, "sample").get_by_label("seed", exact=True).fill(str(number))
    page.mouse.click(700, 860)  # away from the field
    calm(page)


@pytest.fixture(scope="module")
def bag():
    """What is carried from one part of the way to the next."""
    return {}


def test_from_an_empty_page_to_the_right_picture_by_mouse(page, server, bag):
    page.get_by_role("link", name="New graph").click()
    expect(card(page, OUTPUTS)).to_be_visible()
    build(page)
    run = run_by(server, lambda: page.get_by_role("button", name="Run").first.click())
    assert run["state"] == "done", run["error"]
    assert seen(shown_picture(page, run, "image")) == ([("large", "red", "circle")], "white")

    # Another seed: what is above the sampler is there already.
    set_seed(page, 4)
    for node, again in {"encode_prompt": 0, "sample": 1, "decode": 1}.items():
        expect(card(page, node).locator(".state.todo")).to_have_count(again)
    expect(page.get_by_role("button", name="Run").first).to_contain_text("2 of 3 to run")
    again = run_by(server, lambda: page.get_by_role("button", name="Run").first.click())
    assert again["state"] == "done" and again["executed"] == 2, again
    picture = shown_picture(page, again, "image")
    assert seen(picture) == ([("large", "red", "circle")], "white")
    expect(page.locator(".save-state")).to_contain_text("Saved")
    bag |= {"run": again["id"], "picture": picture, "name": page.url.rpartition("/")[2]}


def test_the_pictures_png_dropped_into_a_new_tab_restores_what_made_it(page, server, bag):
    png = server.http.get(f"/api/runs/{bag['run']}/outputs/image", params={"shape": "file"}).content
    page.get_by_role("link", name="New graph").wait_for()
    page.evaluate("""(png) => {
      const data = new DataTransfer()
      data.items.add(new File([Uint8Array.from(atob(png), (c) => c.charCodeAt(0))], 'picture.png', { type: 'image/png' }))
      for (const type of ['dragenter', 'dragover', 'drop'])
        document.body.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }))
    }""", base64.b64encode(png).decode())  # fmt: skip
    expect(card(page, "sample")).to_be_visible()
    expect(card(page, INPUTS).get_by_label("text", exact=True)).to_have_value(PROMPT)
    expect(card(page, "sample").get_by_label("seed", exact=True)).to_have_value("4")
    calm(page)
    run = run_by(server, lambda: page.get_by_role("button", name="Run").first.click())
    assert run["state"] == "done" and run["executed"] == 0, run  # the same graph and inputs: all of it is cached
    assert shown_picture(page, run, "image").tobytes() == bag["picture"].tobytes()


def test_the_form_of_the_graph_gives_the_same_picture(page, server, watch, bag):
    page.goto(f"{server.url}/edit/{bag['name']}")
    expect(card(page, "sample")).to_be_visible()
    page.get_by_role("button", name="Share", exact=True).click()
    watch.allow(r"/app/|favicon|manifest")  # gradio's own page
    with page.context.expect_page(timeout=90_000) as page_of_form:  # the first form brings gradio with it
        page.get_by_role("menuitem", name="Open as a form").click()
    form = page_of_form.value
    expect(form.get_by_role("textbox").first).to_have_value(PROMPT)
    run = run_by(server, lambda: form.get_by_role("button", name="Run").first.click())
    assert run["state"] == "done", run["error"]
    png = server.http.get(f"/api/runs/{run['id']}/outputs/image", params={"shape": "file"}).content
    assert opened(png).tobytes() == bag["picture"].tobytes()

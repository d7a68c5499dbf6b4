"""Graphs leave the editor as files and as code, and come back from files."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import PIL.Image
import pytest
from graph_files import drop, names, opened, own_graph, put, saved, text_field
from hands import card, open_graph, run_by
from looking import both_themes, violations
from playwright.sync_api import Page, expect
from server_process import TOKEN, until

import flowmm
from flowmm.face.find import shipped

PNG, JSON = "image/png", "application/json"


def share(page: Page, item: str) -> None:
    page.get_by_role("button", name="Share").click()
    page.get_by_role("menuitem", name=item).click()


def downloaded(page: Page, item: str, path) -> bytes:
    with page.expect_download() as download:
        share(page, item)
    download.value.save_as(path)
    return path.read_bytes()


def copied(page: Page, item: str) -> str:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    share(page, item)
    expect(page.get_by_text("Copied", exact=True)).to_be_visible()
    return page.evaluate("navigator.clipboard.readText()")


def photo(colour: tuple[int, int, int] = (10, 200, 30)) -> bytes:
    file = io.BytesIO()
    PIL.Image.new("RGB", (16, 16), colour).save(file, "PNG")
    return file.getvalue()


def result(server, name: str, **inputs) -> bytes:
    """The picture that a run of a shipped graph gives."""
    run = server.http.post("/api/runs", json={"graph": name, "name": name, "inputs": inputs}).json()
    ended = server.ended(run["id"])
    assert ended["state"] == "done", ended
    return server.http.get(f"/api/runs/{run['id']}/outputs/{next(iter(ended['outputs']))}").content


# ── out ─────────────────────────────────────────────────────────────────────────────────────────


def test_the_json_is_the_document_that_the_server_has(page, server, tmp_path):
    own_graph(server, "as-json")
    opened(page, server, "as-json")
    text_field(page).fill("exported")
    page.keyboard.press("Control+s")
    saved(page)
    data = downloaded(page, "Download JSON", tmp_path / "as-json.json")
    assert json.loads(data) == server.http.get("/api/graphs/as-json").json()
    assert flowmm.load(tmp_path / "as-json.json").inputs["prompt"].default == "exported"


def test_the_png_is_a_picture_of_the_whole_graph_that_opens_it(page, context, server, tmp_path):
    opened(page, server, "text-to-image")
    page.locator(".react-flow").hover()
    page.mouse.wheel(0, -800)  # most cards are out of view
    data = downloaded(page, "Download PNG", tmp_path / "graph.png")
    picture = PIL.Image.open(io.BytesIO(data)).convert("RGB")
    assert picture.width > 1_500 and len(picture.getcolors(1 << 24)) > 50
    assert flowmm.load(tmp_path / "graph.png").document.nodes == flowmm.load("text-to-image").document.nodes
    other = context.new_page()
    other.goto(server.url)
    drop(other, "graph.png", data, PNG)
    expect(card(other, "paint")).to_be_visible()


def test_a_picture_on_the_canvas_is_in_the_png(page, server, tmp_path):
    """Results are drawn into it, though they come from the server."""
    open_graph(page, server, "vit-attention")
    expect(card(page, "vit")).to_be_visible()
    assert run_by(server, lambda: page.keyboard.press("Control+Enter"))["state"] == "done"
    picture = PIL.Image.open(io.BytesIO(downloaded(page, "Download PNG", tmp_path / "graph.png"))).convert("RGB")
    dark = sum(count for count, colour in picture.getcolors(1 << 24) if max(colour) < 40)
    assert dark > 10_000  # the star lies on black


@pytest.fixture
def text_graph(page, server):
    name = "quotes"
    own_graph(server, name, "it's \"quoted\"")
    opened(page, server, name)
    return page


def test_the_shell_script_runs_the_graph_and_saves_what_it_gives(text_graph, server, tmp_path):
    script = copied(text_graph, "Copy as curl")
    assert TOKEN not in script
    done = subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, env=os.environ | {"FLOWMM_TOKEN": TOKEN}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "text.txt").read_text() == "it's \"quoted\" it's \"quoted\"\n"


@pytest.mark.parametrize("item", ["from this server", "on this machine"])
def test_the_python_runs_the_graph(text_graph, server, tmp_path, item):
    script = copied(text_graph, item)
    assert TOKEN not in script
    environment = os.environ | {"FLOWMM_TOKEN": TOKEN, "FLOWMM_HOME": str(server.home)}
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "text.txt").read_text() == "it's \"quoted\" it's \"quoted\"\n"


def test_the_python_script_is_the_one_that_the_command_line_writes_and_it_runs(text_graph, server, tmp_path):
    environment = os.environ | {"FLOWMM_HOME": str(server.home)}
    with text_graph.expect_download() as download:
        text_graph.keyboard.press("Control+Shift+E")
    assert download.value.suggested_filename == "quotes.py"
    by_menu = downloaded(text_graph, "Download Python script", tmp_path / "quotes.py")
    command = [sys.executable, "-c", "from flowmm.cli import main; main()", "export", "quotes", "--python"]
    wanted = subprocess.run(command, env=environment, capture_output=True, timeout=120)
    assert by_menu == wanted.stdout and b"argparse" in by_menu, wanted.stderr
    done = subprocess.run([sys.executable, "quotes.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "text.txt").read_text() == "it's \"quoted\" it's \"quoted\"\n"


def test_a_graph_that_cannot_run_becomes_no_script_and_says_why(page, server, watch):
    watch.allow("status of 422")
    graph = own_graph(server, "half")
    del graph["nodes"]["join"]["in"]["second"]
    graph["nodes"]["join"]["op"] = "text.no_such_node"
    put(server, "half", graph)
    open_graph(page, server, "half")
    expect(card(page, "join")).to_be_visible()
    share(page, "Download Python script")
    expect(page.get_by_role("alert")).to_contain_text("text.no_such_node")


def test_code_names_what_is_typed_also_if_it_was_not_saved_yet(text_graph, server):
    text_field(text_graph).fill("just typed")
    assert '"just typed"' in copied(text_graph, "from this server")
    assert server.http.get("/api/graphs/quotes").json()["inputs"]["prompt"]["default"] == "just typed"


@both_themes
def test_the_graphs_form_opens_in_a_tab_of_its_own(text_graph, context, server, watch):
    watch.allow(r"/app/|favicon")  # gradio's own page
    with context.expect_page() as made:
        share(text_graph, "Open as a form")
    assert made.value.url == f"{server.url}/app/quotes/"
    expect(made.value.get_by_role("textbox").first).to_have_value("it's \"quoted\"")
    assert not violations(made.value)


# ── in ──────────────────────────────────────────────────────────────────────────────────────────


def test_json_that_is_dropped_on_the_editor_becomes_a_graph_of_ones_own(page, server):
    document = own_graph(server, "elsewhere", "from a file")
    opened(page, server, "elsewhere")
    drop(page, "My Drop.json", json.dumps(document).encode(), JSON, ".react-flow__pane")
    expect(page).to_have_url(f"{server.url}/edit/my-drop")
    expect(text_field(page)).to_have_value("from a file")
    assert server.http.get("/api/graphs/my-drop").json()["nodes"] == document["nodes"]


def test_a_picture_that_a_graph_made_brings_back_its_inputs_and_their_pictures(page, server):
    upload = server.http.post("/api/uploads", content=photo(), headers={"Content-Type": PNG}).json()["id"]
    data = result(server, "vit-attention", image={"upload": upload}, opacity=0.25)
    page.goto(server.url)
    drop(page, "image.png", data, PNG)
    expect(page).to_have_url(f"{server.url}/edit/vit-attention-2")
    made = server.http.get("/api/graphs/vit-attention-2").json()
    assert made["inputs"]["opacity"]["default"] == 0.25 and made["layout"]["given"] == {"image": {"upload": upload}}


def test_a_picture_from_another_machine_says_which_inputs_are_missing(page, server):
    carried = json.loads(PIL.Image.open(io.BytesIO(result(server, "vit-attention"))).text["flowmm"])
    carried["inputs"]["image"] = {"file": "holiday.png", "sha256": "0" * 64}
    info = PIL.PngImagePlugin.PngInfo()
    info.add_itxt("flowmm", json.dumps(carried))
    file = io.BytesIO()
    PIL.Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=info)
    page.goto(server.url)
    drop(page, "image.png", file.getvalue(), PNG)
    expect(page.get_by_role("alert")).to_contain_text("image (holiday.png)")


@pytest.mark.parametrize(
    ("name", "data", "media", "why"),
    [
        ("photo.png", photo(), PNG, "carries no flowmm graph"), ("notes.json", b"[1, 2]", JSON, "graph"), ("half.json", b"{", JSON, "JSON"),
        ("notes.txt", b"hello", "text/plain", "is no graph"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_graph_is_refused_in_words_and_changes_nothing(page, server, watch, name, data, media, why):
    watch.allow("status of (400|422)")
    before = names(server)
    page.goto(server.url)
    expect(page.locator("li.graph").first).to_be_visible()
    drop(page, name, data, media)
    expect(page.get_by_role("alert")).to_contain_text(why)
    assert page.url == f"{server.url}/" and names(server) == before


def test_a_file_is_opened_from_a_button_too(page, server, tmp_path):
    path = tmp_path / "chosen.json"
    path.write_bytes((shipped() / "caption.json").read_bytes())
    page.goto(server.url)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Open a file…").click()
    chooser.value.set_files(path)
    expect(page).to_have_url(f"{server.url}/edit/chosen")


def test_what_is_open_is_saved_before_a_file_takes_its_place(page, server):
    document = own_graph(server, "in-the-way")
    opened(page, server, "in-the-way")
    text_field(page).fill("unsaved")
    drop(page, "newcomer.json", json.dumps(document).encode(), JSON)
    expect(page).to_have_url(f"{server.url}/edit/newcomer")
    until(lambda: server.http.get("/api/graphs/in-the-way").json()["inputs"]["prompt"]["default"] == "unsaved")


def test_a_graph_is_duplicated_from_its_menu(page, server):
    put(server, "twice", own_graph(server, "twice"))
    open_graph(page, server, "twice")
    page.get_by_role("button", name="File").click()
    page.get_by_role("menuitem", name="Duplicate").click()
    expect(page).to_have_url(f"{server.url}/edit/twice-2")
    assert server.http.get("/api/graphs/twice-2").json()["nodes"] == server.http.get("/api/graphs/twice").json()["nodes"]

"""The home page: templates and one's own graphs, found, opened, renamed, copied, thrown away and brought back."""

from __future__ import annotations

import re

import pytest
from graph_files import GONE, names, own_graph
from hands import card
from playwright.sync_api import Locator, Page, expect
from server_process import until

from flowmm.face.find import shipped

SHIPPED = sorted(path.stem for path in shipped().glob("*.json"))


def graph(page: Page, name: str) -> Locator:
    return page.locator("li.graph").filter(has=page.locator(f'a[href="/edit/{name}"]'))


def choose(page: Page, name: str, item: str) -> None:
    """From the menu of a graph's card."""
    graph(page, name).hover()
    graph(page, name).get_by_role("button").click()
    page.get_by_role("menuitem", name=item).click()


def home(page: Page, server) -> Page:
    page.goto(server.url)
    expect(graph(page, SHIPPED[0])).to_be_visible()
    return page


# ── the gallery ─────────────────────────────────────────────────────────────────────────────────


def test_each_template_has_a_picture_and_a_sentence_before_anything_ran(page):
    expect(graph(page, SHIPPED[0])).to_be_visible()
    for name in SHIPPED:
        one = graph(page, name)
        expect(one.locator("h3")).not_to_be_empty()
        assert re.search(r"[.?!)]$", one.locator(".graph-said > p").inner_text()), name
        address = one.locator(".tile").evaluate("tile => getComputedStyle(tile).backgroundImage.slice(5, -2)")
        assert page.request.get(address).headers["content-type"] == "image/webp"


def test_templates_stand_in_the_order_that_teaches_the_field(page):
    expect(graph(page, SHIPPED[0])).to_be_visible()
    headings = page.locator("h2").all_inner_texts()
    assert [heading.lower() for heading in headings] == ["yours", "understanding", "generation", "both at once"]


@pytest.mark.parametrize(("query", "first"), [("inpaint", "inpaint"), ("局部重绘", "inpaint"), ("UniToken 同一张", "unitoken-two-readings")])
def test_a_search_finds_graphs_in_either_language(page, query, first):
    page.get_by_role("searchbox").fill(query)
    expect(page.locator("li.graph a").first).to_have_attribute("href", f"/edit/{first}")
    assert page.locator("li.graph").count() < len(SHIPPED)


def test_a_search_without_a_hit_says_so(page):
    page.get_by_role("searchbox").fill("zzzz")
    expect(page.get_by_text("No graph is called “zzzz”")).to_be_visible()


def test_ones_own_graph_shows_what_it_gave_last(page, server):
    own_graph(server, "shows", "a purple ring")
    run = server.http.post("/api/runs", json={"graph": "shows"}).json()
    assert server.ended(run["id"])["state"] == "done"
    home(page, server)
    expect(graph(page, "shows").locator(".cover")).to_contain_text("a purple ring")


def test_a_picture_that_was_made_is_on_the_card(page, server):
    document = server.http.get("/api/graphs/vit-attention").json()
    assert server.ended(server.http.post("/api/runs", json={"graph": document, "name": "vit-attention"}).json()["id"])["state"] == "done"
    picture = graph(home(page, server), "vit-attention").locator("img")
    expect(picture).to_be_visible()
    until(lambda: picture.evaluate("one => one.complete && one.naturalWidth > 0"))


# ── files ───────────────────────────────────────────────────────────────────────────────────────


def test_what_was_changed_last_comes_first(page, server):
    for name in ("older", "newer"):
        own_graph(server, name)
    home(page, server)
    own = page.locator("section").filter(has=page.locator("#yours")).locator("li.graph a").first
    expect(own).to_have_attribute("href", "/edit/newer")


def test_a_graph_gets_another_title_and_name_and_keeps_its_past(page, server):
    own_graph(server, "before", "one")
    home(page, server)
    choose(page, "before", "Rename")
    dialog = page.get_by_role("dialog", name="Rename")
    dialog.get_by_label("Title").fill("Afterwards")
    dialog.get_by_label("Name").fill("after")
    dialog.get_by_role("button", name="Save").click()
    expect(graph(page, "after").locator("h3")).to_have_text("Afterwards")
    assert "before" not in names(server) and len(server.http.get("/api/graphs/after/history").json()) == 1


@pytest.mark.parametrize(("name", "why"), [("../up", "letters"), ("taken", "there is a graph")])
def test_a_name_that_cannot_be_is_refused_in_words(page, server, watch, name, why):
    watch.allow("status of 409")
    own_graph(server, "taken"), own_graph(server, "wishes")
    home(page, server)
    choose(page, "wishes", "Rename")
    dialog = page.get_by_role("dialog", name="Rename")
    dialog.get_by_label("Name").fill(name)
    if dialog.get_by_role("button", name="Save").is_enabled():
        dialog.get_by_role("button", name="Save").click()
    expect(dialog.locator("small")).to_contain_text(re.compile(why, re.IGNORECASE))
    assert "wishes" in names(server)


def test_a_template_can_be_copied_without_opening_it(page, server):
    home(page, server)
    choose(page, "caption", "Duplicate")
    expect(graph(page, "caption-2")).to_be_visible()
    assert server.http.get("/api/graphs/caption-2").json() == server.http.get("/api/graphs/caption").json()


def test_a_graph_goes_to_the_trash_and_one_click_brings_it_back(page, server):
    own_graph(server, "thrown")
    home(page, server)
    choose(page, "thrown", "Move to the trash")
    expect(graph(page, "thrown")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(graph(page, "thrown")).to_be_visible()


def test_the_trash_lists_what_was_deleted_and_restores_it(page, server):
    own_graph(server, "buried", "deep")
    home(page, server)
    choose(page, "buried", "Move to the trash")
    expect(graph(page, "buried")).to_have_count(0)
    page.get_by_role("button", name="Trash").click()
    page.get_by_role("button", name="Restore: buried").click()
    page.get_by_role("button", name="Close").first.click()
    expect(graph(page, "buried")).to_be_visible()
    assert server.http.get("/api/graphs/buried").json()["inputs"]["prompt"]["default"] == "deep"


def test_what_is_in_the_trash_is_deleted_for_good_after_one_question(page, server):
    own_graph(server, "burnt")
    home(page, server)
    choose(page, "burnt", "Move to the trash")
    expect(graph(page, "burnt")).to_have_count(0)
    page.get_by_role("button", name="Trash").click()
    page.get_by_role("button", name="Delete for good: burnt").click()
    expect(page.get_by_role("button", name="Restore: burnt")).to_be_visible()
    page.get_by_role("button", name="Really? There is no way back: burnt").click()
    expect(page.get_by_role("button", name="Restore: burnt")).to_have_count(0)
    assert all(item["name"] != "burnt" for item in server.http.get("/api/trash").json())


def test_a_template_cannot_be_thrown_away(page, server):
    graph(home(page, server), "ask").hover()
    graph(page, "ask").get_by_role("button").click()
    expect(page.get_by_role("menuitem", name="Duplicate")).to_be_visible()
    expect(page.get_by_role("menuitem", name="Move to the trash")).to_have_count(0)


def test_a_graph_that_cannot_be_read_says_why_and_spoils_nothing(page, server):
    (server.home / "graphs").mkdir(exist_ok=True)
    (server.home / "graphs" / "broken.json").write_text("{")
    try:
        home(page, server)
        expect(graph(page, "broken")).to_contain_text("Cannot be opened")
    finally:
        (server.home / "graphs" / "broken.json").unlink()


def test_new_graph_opens_an_empty_one(page, server):
    page.get_by_role("link", name="New graph").click()
    expect(page.get_by_role("button", name="Untitled")).to_be_visible()
    expect(card(page, ":inputs")).to_be_visible()


# ── the page itself ─────────────────────────────────────────────────────────────────────────────


def test_the_editor_is_fetched_while_nobody_waits(page):
    """Home stands without the editor's code, and has it by the time it is wanted."""
    fetched = lambda: page.evaluate("performance.getEntriesByType('resource').map(one => [one.name, one.startTime])")  # noqa: E731
    until(lambda: any("/Editor-" in name for name, _ in fetched()))
    graphs = next(at for name, at in fetched() if name.endswith("/api/graphs"))
    assert all(at > graphs for name, at in fetched() if "/Editor-" in name)


def test_a_server_that_is_gone_is_told_and_asked_again(page, server, watch):
    watch.allow(GONE)
    expect(graph(page, "ask")).to_be_visible()
    page.route("**/api/graphs", lambda route: route.abort())
    page.get_by_role("link", name="New graph").click()
    page.get_by_role("link", name="All graphs").click()
    expect(page.get_by_role("alert")).to_contain_text("server cannot be reached")
    page.unroute("**/api/graphs")
    page.get_by_role("button", name="Try again").click()
    expect(graph(page, "ask")).to_be_visible()


def test_words_are_those_of_the_language_chosen_and_stay_so(page, server):
    page.get_by_role("button", name="Language and look").click()
    page.get_by_role("menuitemcheckbox", name="中文").click()
    expect(page.get_by_role("link", name="新建流程图")).to_be_visible()
    expect(graph(page, "text-to-image").locator("h3")).to_have_text("文字生成图片")
    page.reload()
    expect(page.get_by_role("link", name="新建流程图")).to_be_visible()
    assert page.locator("html").get_attribute("lang") == "zh"


def test_the_look_follows_the_system_until_one_is_chosen(page):
    ground = lambda: page.evaluate("getComputedStyle(document.body).backgroundColor")  # noqa: E731
    page.emulate_media(color_scheme="light")
    light = ground()
    page.emulate_media(color_scheme="dark")
    dark = ground()
    assert light != dark
    page.get_by_role("button", name="Language and look").click()
    page.get_by_role("menuitemcheckbox", name="Light").click()
    assert ground() == light
    page.reload()
    assert ground() == light


def test_a_graph_is_reached_and_opened_by_keyboard(page, server):
    expect(graph(page, "ask")).to_be_visible()
    link = page.locator('a[href="/edit/ask"]')
    page.get_by_role("searchbox").focus()
    for _ in range(40):
        page.keyboard.press("Tab")
        if link.evaluate("one => one === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{server.url}/edit/ask")


def test_nothing_jumps_when_pictures_and_graphs_arrive(page, server):
    page.add_init_script("""window.shift = 0; new PerformanceObserver((list) => {
        for (const one of list.getEntries()) window.shift += one.value }).observe({ type: 'layout-shift', buffered: true })""")
    home(page, server)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.shift") < 0.02

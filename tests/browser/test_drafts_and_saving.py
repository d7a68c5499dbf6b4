"""What is typed is never lost, and never overwrites another's work."""

from __future__ import annotations

import re

import pytest
from graph_files import GONE, names, opened, own_graph, prompt_of, put, saved, state, text_field, until_saved
from hands import open_graph
from playwright.sync_api import expect
from server_process import until

# ── saving ──────────────────────────────────────────────────────────────────────────────────────


def test_the_first_edit_of_a_template_becomes_a_copy_of_ones_own_and_says_so(page, server):
    shipped = prompt_of(server, "text-to-image")
    opened(page, server, "text-to-image")
    expect(state(page)).to_have_text("Template")
    text_field(page).fill("a blue star")
    expect(page.get_by_role("status").filter(has_text="a copy of your own, `text-to-image-2`")).to_be_visible()
    expect(page).to_have_url(f"{server.url}/edit/text-to-image-2")
    assert (prompt_of(server, "text-to-image-2"), prompt_of(server, "text-to-image")) == ("a blue star", shipped)
    expect(text_field(page)).to_be_focused()  # nothing was drawn anew under the person's hands
    page.get_by_role("button", name="Undo").click()
    expect(text_field(page)).to_have_value(shipped)


def test_a_new_graph_is_saved_under_a_name_from_its_title(page, server):
    open_graph(page, server)
    page.get_by_role("button", name="Untitled").click()
    page.keyboard.type("Red & blue")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{server.url}/edit/red-blue")
    assert server.http.get("/api/graphs/red-blue").json()["title"] == "Red & blue"


def test_control_s_saves_at_once_also_from_a_field(page, server):
    own_graph(server, "at-once")
    opened(page, server, "at-once")
    text_field(page).fill("now")
    page.keyboard.press("Control+s")
    saved(page)
    assert prompt_of(server, "at-once") == "now"


def test_an_edit_that_is_undone_writes_nothing(page, server):
    own_graph(server, "nothing-written")
    before = server.http.get("/api/graphs/nothing-written").headers["etag"]
    opened(page, server, "nothing-written")
    text_field(page).fill("x")
    page.get_by_role("button", name="Undo").click()
    page.wait_for_timeout(2_500)
    assert server.http.get("/api/graphs/nothing-written").headers["etag"] == before
    assert server.http.get("/api/graphs/nothing-written/history").json() == []


def test_a_title_is_edited_in_the_language_that_is_shown(page, server):
    put(server, "titled", own_graph(server, "titled") | {"title": {"en": "Old", "zh": "旧"}})
    opened(page, server, "titled")
    page.get_by_role("button", name="Old").click()
    page.keyboard.type("New")
    page.keyboard.press("Enter")
    until(lambda: server.http.get("/api/graphs/titled").json()["title"] == {"en": "New", "zh": "旧"})
    assert page.title() == "New · flowmm"


def test_escape_leaves_a_title_as_it_was(page, server):
    own_graph(server, "escaped")
    opened(page, server, "escaped")
    page.get_by_role("button", name="Escaped").click()
    page.keyboard.type("Never mind")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Escaped")).to_be_visible()
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()


# ── losing nothing ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def unsaved(page, server, watch):
    """A function that opens a new graph of this name and types, the server taking nothing of it until the page has been loaded anew."""
    watch.allow("ERR_FAILED")

    def type_and_reload(name: str, text: str) -> None:
        own_graph(server, name, "the saved one")
        opened(page, server, name)
        page.route("**/api/graphs/*", lambda route: route.abort() if route.request.method == "PUT" else route.continue_())
        text_field(page).fill(text)
        page.reload()
        expect(page.get_by_text("What you had not saved is here again")).to_be_visible()
        expect(text_field(page)).to_have_value(text)
        page.unroute("**/api/graphs/*")

    return type_and_reload


def test_a_reload_in_the_middle_of_typing_keeps_every_letter(unsaved, server):
    unsaved("reloaded", "typed just before the reload")
    until_saved(server, "reloaded", "typed just before the reload")


# A disk slower than the person: what is put is not written, and nobody hears that it was.
NEVER_WRITTEN = """IDBObjectStore.prototype.put = function () { return this.getAll() }
Object.defineProperty(IDBTransaction.prototype, "oncomplete", { set(done) { if (this.mode === "readonly") this.addEventListener("complete", done) } })"""
FULL = "() => { Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError') } }"


def test_so_does_one_that_is_faster_than_the_browser_writes(page, unsaved, server):
    page.add_init_script(NEVER_WRITTEN)
    unsaved("too-fast", "typed faster than written")
    until_saved(server, "too-fast", "typed faster than written")


def test_a_page_that_can_keep_nothing_asks_before_it_is_left(page, server):
    page.add_init_script(NEVER_WRITTEN)
    own_graph(server, "nowhere")
    opened(page, server, "nowhere")
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.evaluate(FULL)
    text_field(page).click()  # a browser asks only those who did something
    text_field(page).fill("typed and left at once")
    page.reload()
    assert asked == ["beforeunload"]


def test_what_was_taken_back_can_be_discarded(page, unsaved, server):
    unsaved("discarded", "not wanted")
    page.get_by_role("button", name="Discard it").click()
    expect(text_field(page)).to_have_value("the saved one")
    until_saved(server, "discarded", "the saved one")


def test_a_server_that_is_killed_and_started_again_gets_what_was_typed_meanwhile(page, server, watch):
    watch.allow(GONE)
    own_graph(server, "restarted")
    opened(page, server, "restarted")
    server.kill()
    text_field(page).fill("typed without a server")
    expect(state(page)).to_have_text("Offline")
    page.wait_for_timeout(2_000)
    server.start()
    until_saved(server, "restarted", "typed without a server")
    saved(page)


def test_a_tab_that_was_closed_without_a_server_left_its_edits(page, context, server, watch):
    watch.allow(GONE)
    own_graph(server, "closed")
    opened(page, server, "closed")
    server.kill()
    text_field(page).fill("typed, then closed")
    expect(state(page)).to_have_text("Offline")
    page.close()
    server.start()
    again = opened(context.new_page(), server, "closed")
    expect(text_field(again)).to_have_value("typed, then closed")
    until_saved(server, "closed", "typed, then closed")


def test_a_browser_without_a_network_keeps_edits_until_it_is_back(page, context, server, watch):
    watch.allow(GONE)
    own_graph(server, "offline")
    opened(page, server, "offline")
    context.set_offline(True)
    text_field(page).fill("typed on the train")
    expect(state(page)).to_have_text("Offline")
    context.set_offline(False)
    until_saved(server, "offline", "typed on the train")
    saved(page)


def test_a_new_graph_that_was_never_saved_waits_on_the_home_page(page, context, server, watch):
    watch.allow(GONE)
    open_graph(page, server)
    context.set_offline(True)
    page.get_by_role("button", name="Untitled").click()
    page.keyboard.type("From the train")
    page.keyboard.press("Enter")
    expect(state(page)).to_have_text("Offline")
    page.get_by_role("link", name="All graphs").click()
    page.get_by_role("link", name="From the train Not saved yet").click()
    expect(page.get_by_role("button", name="From the train")).to_be_visible()
    context.set_offline(False)
    until(lambda: "from-the-train" in names(server))


@pytest.fixture
def orphan(page, context, server, watch):
    """A home page at which a graph was edited without a server, and then removed from it by others."""
    watch.allow(GONE), watch.allow("status of 404")
    own_graph(server, "orphan")
    opened(page, server, "orphan")
    context.set_offline(True)
    text_field(page).fill("written alone")
    expect(state(page)).to_have_text("Offline")
    page.close()
    server.http.delete("/api/graphs/orphan", headers={"If-Match": server.http.get("/api/graphs/orphan").headers["etag"]})
    context.set_offline(False)
    made = context.new_page()
    made.goto(server.url)
    return made


def test_edits_of_a_graph_that_is_gone_are_listed_and_become_it_again(orphan, server):
    orphan.get_by_role("link", name="Orphan Not saved yet").click()
    expect(text_field(orphan)).to_have_value("written alone")
    until(lambda: "orphan" in names(server))
    assert prompt_of(server, "orphan") == "written alone"


def test_edits_that_nobody_wants_are_discarded(orphan, server):
    card = orphan.locator("li.graph").filter(has_text="Not saved yet").filter(has_text="Orphan")
    card.hover()
    card.get_by_role("button").click()
    orphan.get_by_role("menuitem", name="Discard it").click()
    expect(card).to_have_count(0)
    orphan.reload()
    expect(orphan.get_by_role("link", name="Ask about a picture")).to_be_visible()
    expect(card).to_have_count(0)


def test_leaving_for_the_home_page_saves_first(page, server):
    own_graph(server, "left")
    opened(page, server, "left")
    text_field(page).fill("and away")
    page.get_by_role("link", name="All graphs").click()
    until_saved(server, "left", "and away")


# ── two at one graph ────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def both(page, context, server, watch, request):
    """Two tabs on one graph, of which the second has saved another prompt while the first had edits of its own."""
    watch.allow("status of 412")
    name = f"both-{re.sub('[^a-z]+', '-', request.node.name)}"[:60].rstrip("-")
    own_graph(server, name)
    other = context.new_page()
    opened(page, server, name)
    opened(other, server, name)
    text_field(other).fill("theirs")
    saved(other)
    until_saved(server, name, "theirs")
    text_field(page).fill("mine")
    expect(page.get_by_role("alert").filter(has_text="changed in another tab")).to_be_visible()
    page.bring_to_front()
    return page, name


def test_a_change_in_another_tab_is_told_and_nothing_is_overwritten(both, server):
    page, name = both
    page.wait_for_timeout(2_500)
    assert prompt_of(server, name) == "theirs"
    expect(text_field(page)).to_have_value("mine")


def test_what_differs_is_shown(both):
    page, _ = both
    page.get_by_role("button", name="What differs?").click()
    dialog = page.get_by_role("dialog", name="What differs")
    expect(dialog).to_contain_text("Input prompt")
    expect(dialog.locator("del")).to_have_text("theirs")
    expect(dialog.locator("ins")).to_have_text("mine")


def test_the_other_version_is_taken_and_ones_own_is_a_step_of_undo_away(both, server):
    page, name = both
    page.get_by_role("button", name="Take that version").click()
    expect(text_field(page)).to_have_value("theirs")
    expect(page.locator(".conflict")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(text_field(page)).to_have_value("mine")
    until_saved(server, name, "mine")


def test_ones_own_version_goes_on_as_a_copy(both, server):
    page, name = both
    page.get_by_role("button", name="Keep mine as a copy").click()
    expect(page).to_have_url(f"{server.url}/edit/{name}-2")
    assert (prompt_of(server, name), prompt_of(server, f"{name}-2")) == ("theirs", "mine")


def test_a_conflict_outlives_a_reload(both):
    page, _ = both
    page.reload()
    expect(page.get_by_role("alert").filter(has_text="changed in another tab")).to_be_visible()
    expect(text_field(page)).to_have_value("mine")


def test_a_graph_that_was_removed_elsewhere_can_be_saved_again(page, server, watch):
    watch.allow("status of (404|412)")
    own_graph(server, "removed")
    opened(page, server, "removed")
    etag = server.http.get("/api/graphs/removed").headers["etag"]
    server.http.delete("/api/graphs/removed", headers={"If-Match": etag})
    text_field(page).fill("still wanted")
    expect(page.get_by_role("alert").filter(has_text="was removed elsewhere")).to_be_visible()
    page.get_by_role("button", name="Save mine again").click()
    until(lambda: "removed" in names(server))
    assert prompt_of(server, "removed") == "still wanted"


# ── earlier versions ────────────────────────────────────────────────────────────────────────────


def test_an_earlier_version_is_looked_at_and_restored_as_one_step_of_undo(page, server):
    own_graph(server, "past", "first")
    opened(page, server, "past")
    for prompt in ("second", "third"):
        text_field(page).fill(prompt)
        page.keyboard.press("Control+s")
        until_saved(server, "past", prompt)
    page.get_by_role("button", name="Saved").click()
    dialog = page.get_by_role("dialog", name="Earlier versions")
    expect(dialog.locator(".versions li")).to_have_count(2)
    dialog.locator(".versions li button").last.click()
    expect(dialog.locator("del")).to_have_text("first")
    dialog.get_by_role("button", name="Restore this version").click()
    expect(text_field(page)).to_have_value("first")
    page.get_by_role("button", name="Undo").click()
    expect(text_field(page)).to_have_value("third")

"""What a run will do, does and did: on the nodes, in the bar, in the queue; problems with their cures."""

from __future__ import annotations

import json
import re

import pytest
from hands import INPUTS, OUTPUTS, card, open_graph, run_by, taken_by, wire
from playwright.sync_api import Locator, Page, expect
from server_process import ServerProcess, until

LONG = 1000  # steps: longer than what a test does meanwhile; it is cancelled
SOME = 300  # steps: long enough to load a page or start a server meanwhile, and waited for


def own(server: ServerProcess, name: str, template: str = "text-to-image", **inputs) -> str:
    """A graph of one's own like a template, with other defaults; saved anew it is another graph."""
    graph = server.http.get(f"/api/graphs/{template}").json()
    for key, value in inputs.items():
        graph["inputs"][key]["default"] = value
    save(server, name, graph)
    return name


def save(server: ServerProcess, name: str, graph: dict) -> None:
    answer = server.http.put(f"/api/graphs/{name}", content=json.dumps(graph), headers={"Content-Type": "application/json", "If-None-Match": "*"})
    assert answer.status_code == 200, answer.text


def run_button(page: Page) -> Locator:
    return page.locator(".run-area .split button").first


def seed(page: Page) -> Locator:
    return page.locator('[data-field="input.seed"] input')


def waiting(server: ServerProcess) -> list[str]:
    return [run["id"] for run in server.http.get("/api/queue").json()["waiting"]]


def row(page: Page, title: str) -> Locator:
    return page.locator(".queue ol > li", has_text=title)


def test_before_a_run_one_sees_what_it_would_do_and_after_it_what_it_took(page, server):
    open_graph(page, server, own(server, "forecast", seed=11))
    expect(run_button(page)).to_contain_text(re.compile(r"4 of 4 to run|\d of \d to run"))
    expect(card(page, "paint").get_by_role("img", name="will run")).to_be_visible()
    expect(card(page, "parts").get_by_label("costs nothing")).to_be_visible()
    expect(page.locator(".forecast")).to_contain_text("MB")
    assert run_by(server, lambda: page.keyboard.press("Control+Enter"))["state"] == "done"
    expect(run_button(page)).to_contain_text("all cached")
    expect(card(page, "paint").locator(".state.done")).to_contain_text(re.compile(r"\d s"))
    seed(page).fill("12")
    expect(run_button(page)).to_contain_text("2 of 4 to run")
    expect(card(page, "paint").get_by_role("img", name="will run")).to_be_visible()
    expect(card(page, "words").locator(".state.done")).to_have_attribute("title", re.compile("now cached"))


def test_while_it_samples_the_card_counts_steps_and_shows_the_picture_so_far(page, server):
    open_graph(page, server, own(server, "sampling", seed=21, steps=LONG))
    run_button(page).click()
    progress = card(page, "paint").get_by_role("progressbar")
    expect(progress).to_have_attribute("aria-valuemax", str(LONG))
    expect(progress).to_contain_text(re.compile(rf"\d+/{LONG} · \d+ s"))
    expect(card(page, "paint").locator("img.meanwhile")).to_be_visible()
    expect(card(page, OUTPUTS).locator("img.coming")).to_be_attached()
    expect(page.locator(".going")).to_contain_text(re.compile(r"\d of \d nodes"))
    page.keyboard.press("Control+Alt+Enter")
    expect(page.locator(".going")).to_have_count(0)
    expect(progress).to_have_count(0)
    assert server.http.get("/api/runs", params={"limit": 1}).json()[0]["state"] == "cancelled"


def test_a_text_is_seen_while_it_is_written(page, server):
    page.add_init_script("""new MutationObserver(() => { for (const one of document.querySelectorAll('p.coming')) (window.seen ??= []).push(one.textContent) })
        .observe(document, { subtree: true, childList: true, characterData: true })""")
    open_graph(page, server, own(server, "written", "caption"))
    run = run_by(server, lambda: run_button(page).click())
    text = run["outputs"]["caption"]["summary"]["text"]
    expect(card(page, OUTPUTS)).to_contain_text(text)
    seen = page.evaluate("window.seen ?? []")
    assert all(text.startswith(one.strip()) for one in seen), seen  # a short one may come at once


def test_runs_in_a_row_are_shown_one_after_the_other(page, server):
    open_graph(page, server, own(server, "in-a-row", seed=31, steps=60))
    ids = []
    for number in ("31", "32", "33"):
        seed(page).fill(number)
        expect(run_button(page)).to_be_enabled()
        ids.append(taken_by(server, lambda: page.keyboard.press("Control+Enter")))
    last = [server.ended(one) for one in ids][-1]
    assert last["state"] == "done"
    expect(page.locator(".going")).to_have_count(0)
    expect(card(page, OUTPUTS).locator("img").first).to_have_attribute("src", re.compile(f"/api/runs/{last['id']}/"))


def test_a_run_of_a_script_is_in_the_queue_and_not_on_the_nodes(page, server):
    open_graph(page, server, own(server, "mine", seed=41))
    page.get_by_role("tab", name="Queue").click()
    theirs = server.submit("text-to-image", inputs={"seed": 42, "steps": LONG})
    expect(page.locator(".queue progress")).to_be_visible()
    expect(page.locator(".queue .what").first).to_contain_text(re.compile(r"[1-9] of \d nodes"))
    assert server.run(theirs)["state"] == "running"  # it is told while it goes on
    expect(card(page, "paint").get_by_role("progressbar")).to_have_count(0)
    page.get_by_role("button", name="Interrupt: Text to image").click()
    assert server.ended(theirs)["state"] == "cancelled"
    expect(page.locator(".queue .cancelled").first).to_contain_text("cancelled")


def test_the_queue_is_reordered_by_keys_and_by_mouse_and_cancelled(page, server):
    open_graph(page, server, own(server, "ordered"))
    page.get_by_role("tab", name="Queue").click()
    first = server.submit("text-to-image", inputs={"seed": 51, "steps": LONG})
    until(lambda: server.run(first)["state"] == "running")
    graph = server.http.get("/api/graphs/vit-classify").json()
    a, b, c = (server.submit({**graph, "title": title}) for title in ("Apple", "Berry", "Cherry"))
    rows = page.locator(".queue ol > li")
    expect(rows).to_have_count(3)
    row(page, "Cherry").focus()
    page.keyboard.press("Alt+ArrowUp")
    until(lambda: waiting(server) == [a, c, b])
    expect(rows).to_have_text([re.compile(one) for one in ("Apple", "Cherry", "Berry")])
    row(page, "Berry").drag_to(row(page, "Apple"))
    until(lambda: waiting(server) == [b, a, c])
    expect(rows).to_have_text([re.compile(one) for one in ("Berry", "Apple", "Cherry")])
    page.get_by_role("button", name="Move down: Berry").click()
    until(lambda: waiting(server) == [a, b, c])
    expect(rows).to_have_text([re.compile(one) for one in ("Apple", "Berry", "Cherry")])
    page.get_by_role("button", name="Cancel: Berry").click()
    assert server.ended(b)["state"] == "cancelled"
    page.get_by_role("button", name="Interrupt: Text to image").click()
    assert [server.ended(one)["state"] for one in (first, a, c)] == ["cancelled", "done", "done"]
    page.get_by_role("button", name="Run again: Berry").click()
    again = until(lambda: next((one for one in server.http.get("/api/runs").json() if one["parent"] == b), None))
    assert server.ended(again["id"])["state"] == "done"


def failing() -> dict:
    nodes = {
        "line": {"op": "text.pick", "version": 1, "in": {"text": {"from": "input.text"}, "index": {"from": "input.index"}}},
        "twice": {"op": "text.repeat", "version": 1, "in": {"text": {"from": "line.text"}, "like": {"from": "input.text"}}},
    }
    return {"flowmm": 1, "inputs": {"text": {"default": "one"}, "index": {"default": 9}}, "nodes": nodes, "outputs": {"out": {"from": "twice.text"}}}


def test_a_node_that_fails_is_red_says_why_and_the_panel_leads_to_it(page, server):
    save(server, "failing", failing())
    open_graph(page, server, "failing")
    assert run_by(server, lambda: run_button(page).click())["state"] == "failed"
    expect(card(page, "line").locator(".state.failed")).to_have_attribute("title", re.compile("there is no line 9"))
    expect(page.get_by_role("heading", name="Problems")).to_be_visible()  # the panel opens by itself
    expect(run_button(page)).to_be_focused()
    told = page.locator(".problem", has_text="there is no line 9")
    told.focus()
    page.keyboard.press("Enter")
    expect(card(page, "line")).to_be_focused()
    page.locator('[data-field="input.index"] input').fill("0")
    page.locator('[data-field="input.index"] input').press("Enter")
    assert run_by(server, lambda: run_button(page).click())["state"] == "done"
    expect(card(page, "line").locator(".state.failed")).to_have_count(0)
    expect(page.get_by_text("No problems.")).to_be_visible()


def test_what_does_not_need_a_node_that_failed_is_shown_and_each_failure_is_told(page, server):
    graph = failing()
    graph["nodes"]["other"] = {"op": "text.repeat", "version": 1, "in": {"text": {"from": "input.text"}, "like": {"from": "input.text"}}}
    graph["nodes"]["late"] = {"op": "text.pick", "version": 1, "in": {"text": {"from": "other.text"}, "index": 7}}
    graph["outputs"] |= {"fine": {"from": "other.text"}, "too": {"from": "late.text"}}
    save(server, "half-failing", graph)
    open_graph(page, server, "half-failing")
    run = run_by(server, lambda: run_button(page).click())
    assert run["state"] == "failed" and list(run["outputs"]) == ["fine"]
    for node, why in (("line", "there is no line 9"), ("late", "there is no line 7")):
        expect(card(page, node).locator(".state.failed")).to_have_attribute("title", re.compile(why))
        expect(page.locator(".problem", has_text=why)).to_be_visible()
    expect(card(page, ":outputs").get_by_text("one", exact=True)).to_be_visible()


def broken(server: ServerProcess, name: str) -> None:
    graph = server.http.get("/api/graphs/text-to-image").json()
    graph["nodes"]["smaller"] = {"op": "image.resize", "version": 1, "in": {"image": {"from": "paint.latent"}, "width": 16, "height": 16}}
    graph["outputs"]["small"] = {"from": "smaller.image"}
    save(server, name, graph)


def test_a_wire_that_does_not_fit_is_cured_by_the_node_between_in_one_step(page, server):
    broken(server, "broken")
    open_graph(page, server, "broken")
    page.get_by_role("tab", name="Problems").click()
    page.locator(".problem", has_text="smaller.image").click()
    expect(card(page, "smaller")).to_be_focused()
    page.get_by_role("button", name="Insert “Decode latent”").click()
    expect(page.get_by_text("No problems.")).to_be_visible()
    expect(wire(page, ("paint", "latent"), ("decode", "latent"))).to_be_attached()
    expect(wire(page, ("parts", "autoencoder"), ("decode", "autoencoder"))).to_be_attached()
    expect(wire(page, ("decode", "image"), ("smaller", "image"))).to_be_attached()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".problem", has_text="smaller.image")).to_be_visible()
    expect(card(page, "decode")).to_have_count(0)


def test_a_model_that_is_not_here_is_cured_by_one_that_is(page, server):
    open_graph(page, server, own(server, "lost-model", model="zoo:nowhere"))
    page.get_by_role("tab", name="Problems").click()
    page.locator(".repairs button", has_text="Take zoo:sd").first.click()
    expect(page.locator(".repairs")).to_have_count(0)
    expect(card(page, INPUTS).locator('[data-field="input.model"]')).to_contain_text("zoo:sd")


def test_the_part_of_a_graph_that_is_sound_runs_though_another_is_not(page, server, watch):
    watch.allow(r"status of 422.*/api/runs")
    broken(server, "half-broken")
    open_graph(page, server, "half-broken")
    run_button(page).click()
    expect(page.get_by_role("heading", name="Problems")).to_be_visible()  # the whole is refused, and says why
    card(page, "pixels").locator(".card-head").click()
    run = run_by(server, lambda: page.keyboard.press("Control+Shift+Enter"))
    assert (run["state"], run["targets"]) == ("done", ["pixels.image"])


def test_the_panel_that_was_open_is_open_after_a_reload(page, server):
    open_graph(page, server, own(server, "panels"))
    page.get_by_role("tab", name="History").click()
    expect(page.get_by_role("heading", name="History")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="History")).to_be_visible()
    page.get_by_role("button", name="Hide the panel").click()
    expect(page.get_by_role("heading", name="History")).to_have_count(0)


@pytest.mark.parametrize(("ending", "seed"), [("stop", 61), ("kill", 62)])
def test_a_run_goes_on_after_the_servers_restart_and_the_page_catches_up(page, server, watch, ending, seed):
    watch.allow(r"WebSocket|ERR_CONNECTION|Failed to load resource")
    open_graph(page, server, own(server, f"restart-{ending}", seed=seed, steps=SOME))
    run_button(page).click()
    expect(card(page, "paint").get_by_role("progressbar")).to_be_visible()
    id_ = server.http.get("/api/runs", params={"limit": 1}).json()[0]["id"]
    getattr(server, ending)()
    server.start()
    assert server.ended(id_, 180)["state"] == "done"
    expect(page.locator(".going")).to_have_count(0, timeout=180_000)
    expect(card(page, OUTPUTS).locator("img").first).to_have_attribute("src", re.compile(f"/api/runs/{id_}/"))


def test_a_page_that_is_loaded_again_goes_on_showing_its_run(page, server):
    open_graph(page, server, own(server, "again", seed=71, steps=SOME))
    run_button(page).click()
    expect(card(page, "paint").get_by_role("progressbar")).to_be_visible()
    page.reload()
    expect(card(page, "paint").get_by_role("progressbar")).to_be_visible()
    expect(page.locator(".going")).to_have_count(0, timeout=180_000)
    expect(card(page, OUTPUTS).locator("img").first).to_be_visible()
    page.reload()
    expect(card(page, OUTPUTS).locator("img").first).to_be_visible()

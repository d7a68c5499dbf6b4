"""Frames in the editor: a node that runs once for each of a list, one that runs again and again; by mouse and keyboard."""

from __future__ import annotations

import pytest
from hands import INPUTS, OUTPUTS, calm, card, connect, open_graph, run_by, socket, wire
from playwright.sync_api import expect
from server_process import until

RESIZE = {"op": "image.resize", "version": 1, "in": {"image": {"from": "input.picture"}, "width": 8, "height": 8}}
SMALLER = {
    "flowmm": 1, "title": "Smaller", "inputs": {"image": {}, "width": {"default": 16}, "words": {"default": "x"}},
    "nodes": {"small": {"op": "image.resize", "version": 1, "in": {"image": {"from": "input.image"}, "width": {"from": "input.width"}, "height": 16}},
              "empty": {"op": "text.is_empty", "version": 1, "in": {"text": {"from": "input.words"}}}},
    "outputs": {"image": {"from": "small.image"}, "good": {"from": "empty.value"}},
}  # fmt: skip


def graph(**nodes) -> dict:
    name = next(iter(nodes))
    return {"flowmm": 1, "title": "Frames", "inputs": {"picture": {"default": "examples/red-circle.png"}}, "nodes": nodes,
            "outputs": {"made": {"from": f"{name}.image"}}, "graphs": {"smaller": SMALLER} if any("graph:" in node["op"] for node in nodes.values()) else {}}  # fmt: skip


@pytest.fixture
def saved(server, page):
    """Save a graph and open it; the function that comes back tells what its nodes say once it is saved."""

    def save(name: str, made: dict):
        answer = server.http.put(f"/api/graphs/{name}", json=made, headers={"If-None-Match": "*"})
        assert answer.status_code == 200, answer.text
        open_graph(page, server, name)
        calm(page)

        def nodes() -> dict:
            return server.http.get(f"/api/graphs/{name}").json()["nodes"]

        return nodes

    return save


def widget(page, at: str):
    return page.locator(f'.widget[data-field="{at}"]')


def test_a_setting_is_made_a_list_by_mouse_and_every_item_runs(page, server, saved):
    nodes = saved("by-mouse", graph(small=RESIZE))
    widget(page, "small.width").click(button="right")
    page.get_by_role("menuitem", name="Run once for each of a list").click()
    widget(page, "small.width").get_by_role("textbox").fill("4..8")
    expect(card(page, "small").get_by_role("img", name="Runs 5 times")).to_be_visible()
    until(lambda: nodes()["small"].get("each") == ["width"] and nodes()["small"]["in"]["width"] == {"value": [4, 5, 6, 7, 8]})
    run = run_by(server, lambda: page.get_by_role("button", name="Run", exact=False).first.click())
    assert run["state"] == "done" and run["outputs"]["made"]["summary"]["count"] == 5
    expect(card(page, OUTPUTS).locator(f'img[src*="{run["id"]}"]')).to_have_count(5)
    widget(page, "small.width").click(button="right")
    page.get_by_role("menuitem", name="Run once again, not for each").click()
    until(lambda: "each" not in nodes()["small"] and nodes()["small"]["in"]["width"] == 4)


def test_the_same_by_keyboard_is_one_step_of_undo(page, saved):
    nodes = saved("by-keyboard", graph(small=RESIZE))
    widget(page, "small.width").locator("input").focus()
    page.keyboard.press("Alt+e")
    until(lambda: nodes()["small"].get("each") == ["width"])
    socket(page, "small", "height", "target").focus()
    page.keyboard.press("e")
    until(lambda: nodes()["small"].get("each") == ["width", "height"])
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    until(lambda: nodes()["small"] == RESIZE)


def test_words_that_stand_for_nothing_are_told_and_go_nowhere(page, saved):
    nodes = saved("words", graph(small={**RESIZE, "each": ["width"], "in": {**RESIZE["in"], "width": {"value": [4]}}}))
    box = widget(page, "small.width").get_by_role("textbox")
    box.fill("8..4")
    expect(widget(page, "small.width").get_by_role("alert")).to_contain_text("never gets from its first number to its last")
    assert nodes()["small"]["in"]["width"] == {"value": [4]}
    box.fill("8, 4")
    expect(widget(page, "small.width").get_by_role("alert")).to_have_count(0)
    until(lambda: nodes()["small"]["in"]["width"] == {"value": [8, 4]})


def test_several_lists_go_side_by_side_or_each_with_each(page, server, saved):
    both = {**RESIZE, "each": ["width", "height"], "in": {**RESIZE["in"], "width": {"value": [4, 8]}, "height": {"value": [4, 8, 16]}}}
    nodes = saved("both", graph(small=both))
    page.keyboard.press("Alt+2")
    expect(page.get_by_text("have different lengths").first).to_be_visible()
    card(page, "small").get_by_role("radio", name="side by side").focus()
    page.keyboard.press("ArrowRight")
    expect(card(page, "small").get_by_role("img", name="Runs 6 times")).to_be_visible()
    until(lambda: nodes()["small"].get("combine") == "product")
    expect(page.get_by_text("have different lengths")).to_have_count(0)
    run = run_by(server, lambda: page.keyboard.press("Control+Enter"))
    assert run["outputs"]["made"]["summary"]["count"] == 6


def test_a_list_is_wired_where_one_item_was(page, server, saved):
    made = graph(small=RESIZE)
    made["nodes"]["pieces"] = {"op": "image.split", "version": 1, "in": {"image": {"from": "input.picture"}}}
    made["layout"] = {"nodes": {INPUTS: [0, 0], "pieces": [340, -120], "small": [680, 0], OUTPUTS: [1040, 0]}}
    nodes = saved("wired", made)
    socket(page, "small", "image", "target").click(button="right")
    page.get_by_role("menuitem", name="Run once for each of a list").click()
    until(lambda: nodes()["small"].get("each") == ["image"])
    connect(page, ("pieces", "images"), ("small", "image"))
    expect(wire(page, (INPUTS, "picture"), ("small", "image"))).to_have_count(0)
    run = run_by(server, lambda: page.keyboard.press("Control+Enter"))
    assert run["state"] == "done" and run["outputs"]["made"]["type"] == "list[Image]"


def test_an_input_that_feeds_it_alone_becomes_a_list_with_it(page, server, saved):
    made = graph(again={"op": "graph:smaller", "in": {"image": {"from": "input.picture"}, "width": {"from": "input.width"}}})
    made["inputs"]["width"] = {"default": 12}
    saved("with-input", made)
    socket(page, "again", "width", "target").focus()
    page.keyboard.press("e")
    expect(socket(page, INPUTS, "width")).to_have_attribute("aria-label", "Output width, list[int]")
    until(lambda: server.http.get("/api/graphs/with-input").json()["inputs"]["width"] == {"default": [12]})
    widget(page, "input.width").get_by_role("textbox").fill("4\n8\n12")
    run = run_by(server, lambda: page.keyboard.press("Control+Enter"))
    assert run["outputs"]["made"]["summary"]["count"] == 3


def test_a_loop_is_set_by_keyboard_with_what_fits_alone(page, server, saved):
    nodes = saved("loop", graph(again={"op": "graph:smaller", "in": {"image": {"from": "input.picture"}}}))
    card(page, "again").focus()
    page.keyboard.press("Shift+L")
    panel = page.get_by_role("dialog", name="Again and again")
    expect(panel.get_by_label("image is then").get_by_role("option")).to_have_text(["as it was", "image"])
    expect(panel.get_by_label("Until").get_by_role("option")).to_have_text(["the last round", "good"])
    expect(panel.get_by_label("width is then")).to_have_count(0)
    panel.get_by_label("image is then").select_option("image")
    panel.get_by_label("Until").select_option("good")
    panel.get_by_label("Rounds at most").fill("3")
    page.keyboard.press("Enter")
    expect(panel).to_have_count(0)
    expect(card(page, "again").get_by_role("img", name="Runs again and again, at most 3 times")).to_be_visible()
    until(lambda: nodes()["again"].get("loop") == {"carry": {"image": "image"}, "until": "good", "most": 3})
    run = run_by(server, lambda: page.keyboard.press("Control+Enter"))
    assert run["state"] == "done" and run["outputs"]["made"]["summary"] == {"count": 1, "width": 16, "height": 16}


def test_a_loop_is_changed_and_taken_away_by_mouse(page, saved):
    loop = {"carry": {"image": "image"}, "most": 3}
    nodes = saved("loop-by-mouse", graph(again={"op": "graph:smaller", "in": {"image": {"from": "input.picture"}}, "loop": loop}))
    card(page, "again").get_by_role("button", name="Again and again: image ← image").click()
    page.get_by_label("Rounds at most").fill("7")
    until(lambda: nodes()["again"]["loop"]["most"] == 7)
    page.get_by_role("button", name="Run it once").click()
    until(lambda: "loop" not in nodes()["again"])
    card(page, "again").click(button="right", position={"x": 60, "y": 14})
    page.get_by_role("menuitem", name="Run again and again …").click()
    expect(page.get_by_role("dialog", name="Again and again")).to_be_visible()
    until(lambda: nodes()["again"].get("loop", {}).get("most") == 5)


def test_a_loop_without_a_bound_is_told_at_its_node(page, saved):
    saved("unbounded", graph(again={"op": "graph:smaller", "in": {"image": {"from": "input.picture"}}, "loop": {"carry": {"image": "image"}}}))
    expect(card(page, "again").get_by_label("it has no bound")).to_be_visible()


def test_while_it_runs_a_frame_counts_its_rounds_and_shows_what_the_present_one_makes(page, server, saved):
    made = {"flowmm": 1, "title": "Painted", "inputs": {"seeds": {"default": [0, 1, 2]}}, "outputs": {"images": {"from": "paint.image"}},
            "nodes": {"paint": {"op": "graph:text-to-image", "in": {"seed": {"from": "input.seeds"}, "steps": 40}, "each": ["seed"]}}}  # fmt: skip
    saved("painted", made)
    page.evaluate("""() => {
        window.seen = []
        new MutationObserver(() => {
            const state = document.querySelector('.react-flow__node[data-id="paint"] .state.running[role=progressbar]')
            if (state) window.seen.push([state.getAttribute("aria-valuenow") + "/" + state.getAttribute("aria-valuemax"), state.title, !!document.querySelector("img.meanwhile")])
        }).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true })
    }""")
    run = run_by(server, lambda: page.keyboard.press("Control+Enter"))
    assert run["outputs"]["images"]["summary"]["count"] == 3
    seen = page.evaluate("window.seen")
    assert [count for i, (count, _, _) in enumerate(seen) if i == 0 or seen[i - 1][0] != count] in (["0/3", "1/3", "2/3"], ["0/3", "1/3", "2/3", "3/3"])
    assert any("of 40" in title for _, title, _ in seen) and any(shown for _, _, shown in seen)

"""The editor opens, runs a shipped graph and shows the right picture."""

from __future__ import annotations

from graph_files import GONE
from hands import OUTPUTS, card, open_graph, run_by, shown_picture
from playwright.sync_api import expect

from flowmm.zoo.judge import judge


def test_the_home_page_leads_to_a_graph(page):
    page.locator('a[href="/edit/text-to-image"]').first.click()
    expect(card(page, "paint")).to_be_visible()


def test_the_run_button_runs_the_graph_and_its_picture_appears(page, server):
    open_graph(page, server, "text-to-image")
    expect(card(page, OUTPUTS)).to_be_visible()
    run = run_by(server, lambda: page.get_by_role("button", name="Run").first.click())
    assert run["state"] == "done", run
    seen = judge(shown_picture(page, run, "image"))
    assert seen.clean and [(thing.colour, thing.shape) for thing in seen.things] == [("red", "circle")]


def test_a_part_of_the_page_that_does_not_come_is_asked_for_until_it_does(page, server, watch):
    watch.allow("ERR_FAILED")
    asked = []
    parts = "**/parts/ModelChooser*"
    page.route(parts, lambda route: route.continue_() if len(asked) > 2 else (asked.append(route.request.url), route.abort()))
    open_graph(page, server, "text-to-image")
    expect(page.locator(".control.choice.model").first).to_be_visible()
    assert len(asked) > 2
    expect(page.locator(".broken")).to_have_count(0)


def test_panels_open_also_while_the_server_is_away(page, context, server, watch):
    watch.allow(GONE)
    open_graph(page, server, "text-to-image")
    page.wait_for_load_state("networkidle")
    context.set_offline(True)
    page.get_by_role("tab", name="Gallery").click()
    expect(page.get_by_role("heading", name="Gallery")).to_be_visible()
    context.set_offline(False)

"""The editor opens, runs a shipped graph and shows the right picture."""

from __future__ import annotations

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

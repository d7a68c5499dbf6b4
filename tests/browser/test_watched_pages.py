"""The harness itself: what goes wrong on a page is noticed, and the pages stay on this machine."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect


def noticed(page, watch) -> None:
    """Wait until the page has told of something."""
    for _ in range(300):
        if watch.faults:
            return
        page.wait_for_timeout(100)
    raise AssertionError("nothing was noticed")


@pytest.mark.parametrize("act, told", [
    ("console.error('something is amiss')", "something is amiss"),
    ("setTimeout(() => { throw new Error('thrown') })", "exception"),
    ("fetch('https://example.com/').catch(() => 0)", "example.com"),
    ("fetch('/api/no-such-thing')", "404"),
])  # fmt: skip
def test_what_goes_wrong_on_a_page_fails_its_test(page, watch, act, told):
    page.evaluate(f"() => {{ {act} }}")
    noticed(page, watch)
    with pytest.raises(AssertionError, match=told):
        watch.check()
    watch.faults.clear()


def test_what_a_test_brings_about_itself_is_allowed(page, watch):
    watch.allow("status of 404")
    page.evaluate("fetch('/api/no-such-thing').then(() => 0)")
    noticed(page, watch)
    watch.check()


def test_the_pages_policy_names_no_other_machine(page):
    policy = page.request.get(page.url).headers["content-security-policy"]
    assert "http" not in policy and "*" not in policy and "default-src 'self'" in policy


def test_a_server_that_is_stopped_starts_again_at_the_same_address(page, server, watch):
    watch.allow("ERR_CONNECTION_REFUSED|WebSocket")
    before = server.url
    server.stop()
    assert server.start().url == before
    page.goto(before)
    expect(page.locator("h1").first).to_be_visible()

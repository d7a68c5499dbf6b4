"""What the tests of files, home and sharing do: type into a graph's first text, wait for saves, drop files."""

from __future__ import annotations

import base64
import json
from typing import Any

from hands import INPUTS, card, open_graph
from playwright.sync_api import Locator, Page, expect
from server_process import ServerProcess, until

GONE = r"ERR_CONNECTION_REFUSED|ERR_INTERNET_DISCONNECTED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|ERR_NETWORK_IO_SUSPENDED|WebSocket|net::ERR_"


def text_field(page: Page) -> Locator:
    """The first text among the graph's inputs."""
    return card(page, INPUTS).locator("textarea").first


def state(page: Page) -> Locator:
    return page.locator(".save-state")


def saved(page: Page) -> None:
    expect(state(page)).to_contain_text("Saved")


def prompt_of(server: ServerProcess, name: str) -> Any:
    """What the server has as the default of the graph's prompt."""
    return server.http.get(f"/api/graphs/{name}").json()["inputs"]["prompt"]["default"]


def own_graph(server: ServerProcess, name: str, prompt: str = "a red circle") -> dict[str, Any]:
    """A graph of the person's own with one prompt, put on the server by other means than the page."""
    document = {
        "flowmm": 1, "title": name.replace("-", " ").capitalize(), "inputs": {"prompt": {"default": prompt}},
        "nodes": {"join": {"op": "text.join", "version": 1, "in": {"first": {"from": "input.prompt"}, "second": {"from": "input.prompt"}}}},
        "outputs": {"text": {"from": "join.text"}},
    }  # fmt: skip
    put(server, name, document)
    return document


def put(server: ServerProcess, name: str, document: dict[str, Any]) -> str:
    """Save a graph, whatever is there; its etag."""
    there = server.http.get(f"/api/graphs/{name}")
    headers = {"If-Match": there.headers["etag"]} if there.status_code == 200 else {"If-None-Match": "*"}
    answer = server.http.put(f"/api/graphs/{name}", content=json.dumps(document), headers=headers | {"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    return answer.headers["etag"]


def names(server: ServerProcess) -> set[str]:
    return {one["name"] for one in server.http.get("/api/graphs").json()}


def opened(page: Page, server: ServerProcess, name: str) -> Page:
    """A graph's editor, in which a text can be typed."""
    open_graph(page, server, name)
    expect(text_field(page)).to_be_visible()
    return page


def drop(page: Page, name: str, data: bytes, media: str, on: str = "body") -> None:
    """Drop a file on the page."""
    made = page.evaluate_handle(
        """([name, type, data]) => {
            const held = new DataTransfer()
            held.items.add(new File([Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0))], name, { type }))
            return held
        }""",
        [name, media, base64.b64encode(data).decode()],
    )
    for event in ("dragenter", "dragover", "drop"):
        page.dispatch_event(on, event, {"dataTransfer": made})


def until_saved(server: ServerProcess, name: str, prompt: str) -> None:
    until(lambda: prompt_of(server, name) == prompt)

"""A page at a graph of its own, and what the server has of it."""

from __future__ import annotations

import io
import json
from itertools import count

from hands import INPUTS, calm, card, open_graph, run_by
from PIL import Image
from playwright.sync_api import Locator, Page, expect
from server_process import ServerProcess, until

from flowmm.face.find import shipped

NUMBERS = count(1)
BLUE_STAR = shipped() / "examples/blue-star.png"


class Desk:
    """A page with a graph of its own, and what the server has of it. A value may take a moment to be saved."""

    def __init__(self, page: Page, server: ServerProcess, shipped_name: str, **changes):
        self.page, self.server = page, server
        self.name = f"{shipped_name}-{next(NUMBERS)}"
        document = json.loads((shipped() / f"{shipped_name}.json").read_text(encoding="utf-8")) | changes
        assert server.http.put(f"/api/graphs/{self.name}", json=document, headers={"If-None-Match": "*"}).status_code < 300
        open_graph(page, server, self.name)
        expect(card(page, INPUTS)).to_be_visible()
        calm(page)

    @property
    def document(self) -> dict:
        return self.server.http.get(f"/api/graphs/{self.name}").json()

    def value(self, name: str):
        return self.document["inputs"][name].get("default", "nothing")

    def given(self, name: str):
        return self.document.get("layout", {}).get("given", {}).get(name, "nothing")

    def becomes(self, look, wanted) -> None:
        seen = []
        try:
            until(lambda: seen.append(look()) or seen[-1] == wanted)
        except AssertionError:
            raise AssertionError(f"it is {seen[-1]!r}, not {wanted!r}") from None

    def input_becomes(self, name: str, wanted) -> None:
        self.becomes(lambda: self.value(name), wanted)

    def control(self, name: str) -> Locator:
        return card(self.page, INPUTS).get_by_label(name, exact=True)

    def more(self) -> None:
        """Show the settings that nobody has set."""
        card(self.page, INPUTS).get_by_role("button", name="more settings").click()

    def output(self, run: dict, name: str) -> Image.Image:
        return Image.open(io.BytesIO(self.server.http.get(f"/api/runs/{run['id']}/outputs/{name}").content)).convert("RGB")

    def run(self) -> dict:
        run = run_by(self.server, lambda: self.page.keyboard.press("Control+Enter"))
        assert run["state"] == "done", run
        return run


def zone(page: Page, name: str) -> Locator:
    """Where the pictures of an input are."""
    return page.locator(f'[data-field="input.{name}"] .pictures')

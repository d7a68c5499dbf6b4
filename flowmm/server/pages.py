"""The editor's pages: one document for every address of its own, and the parts it loads, whose names change with what they hold."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

HERE = Path(__file__).parent.parent
FOLDERS = (HERE / "web", HERE.parent / "web" / "dist")  # installed; or in the source, where an editable installation builds it
POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; connect-src 'self'; font-src 'self'; object-src 'none'; "
    "base-uri 'self'; form-action 'self'"
)  # no script but ours, no request to another machine
ABSENT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>flowmm</title>
<p>The editor has not been built in this copy of flowmm: <code>python web/bundle.py</code> does it; then start the server again.</p>
<p><a href="/app/">Every saved graph as a form</a></p></html>
"""


def folder() -> Path | None:
    return next((one for one in FOLDERS if (one / "index.html").is_file()), None)


def add_pages(app: FastAPI) -> None:
    """`/` and `/edit/…` are the editor, `/parts/…` what it loads."""
    found = folder()

    def page(request: Request) -> Response:
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
        return _Page(found / "index.html", headers=headers) if found else HTMLResponse(ABSENT, headers=headers)

    for path in ("/", "/edit", "/edit/{name:path}"):
        app.add_route(path, page, methods=["GET"], include_in_schema=False)
    if found:
        app.mount("/parts", _Parts(directory=found / "parts"))
        app.add_route("/icon.svg", lambda request: _Page(found / "icon.svg", headers={"Cache-Control": "max-age=86400"}), include_in_schema=False)


def whole(scope: Scope) -> Scope:
    """A request for all of a file: its pieces are small, and a Range that cannot be read would be answered in another's words."""
    return {**scope, "headers": [(name, value) for name, value in scope["headers"] if name != b"range"]}


class _Page(FileResponse):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__(whole(scope), receive, send)


class _Parts(StaticFiles):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__(whole(scope), receive, send)

    async def get_response(self, path: str, scope: dict) -> Response:
        response = await super().get_response(path, scope)
        if response.status_code == 404:
            raise HTTPException(404)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response

"""Forms: every saved graph as a gradio app at /app/NAME, made when it is first asked for and anew when the graph has changed.

gradio's own routes are not trusted with anything from outside. Only those a form needs are reached; uploads, files and painted
masks are ours; and of a request's body gradio sees no file but by an upload of ours, and no address.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from ..graph.document import words
from ..graph.problems import shorten
from . import sweeps
from .forms_build import OUTPUTS, Form
from .forms_fields import FILE, readable
from .forms_look import theme
from .forms_sweep import SWEEPS
from .parts import Parts
from .refusals import Refused
from .routes.values import served

log = logging.getLogger("flowmm.server")
KEPT = 64  # forms; the one asked for longest ago goes first
DEEPEST = 64  # levels of a body, as of a document
MOST_FILES = 64  # of one upload
FADE = 1.0  # seconds between two looks at whether a form that was replaced is still in use
IDLE = 300.0  # seconds without a page or a call until a form ends: gradio looks 30 times a second whether there is something to do
API = "gradio_api/"

# All that is reached of gradio; whatever else it has, or will have, is not there.
STATIC = re.compile(r"(?:assets|static|svelte)/[\w./@+-]+|theme\.css|favicon\.ico|gradio_api/theme\.css")
PAGES = re.compile(r"config/?|gradio_api/(?:info/?|app_id/?|login_check/?|queue/status|startup-events)|manifest\.json|robots\.txt|")
LISTENING = re.compile(r"gradio_api/(?:heartbeat/[\w-]+|queue/data|call/(?:v2/)?(?:run|sweep)/(?P<event>[\w-]+))")
CALLS = re.compile(r"gradio_api/(?:queue/join|cancel|call/(?:v2/)?(?:run|sweep))/?")

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; form-action 'self'; base-uri 'self'"
)  # no request leaves the machine, whatever a page's script or a graph's text would load


class Forms:
    """The ASGI app under /app. `await stop()` at the server's end."""

    def __init__(self, parts: Parts):
        self.parts = parts
        self._made: OrderedDict[str, Made] = OrderedDict()
        self._old: list[Made] = []  # whose place another has, with runs or pages that are still there
        self._making = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises Refused, GraphError."""
        if scope["type"] != "http":
            raise HTTPException(404, "there is no socket here")
        request = Request(scope, receive)
        mount = scope.get("root_path", "")
        name, slash, rest = scope["path"].removeprefix(mount).removeprefix("/").partition("/")
        if not name:
            return await (await self._listing())(scope, receive, send)
        if not slash:
            await self.parts.in_thread(self.parts.saved.read, name)
            return await RedirectResponse(request.url.replace(path=request.url.path + "/"), 307)(scope, receive, send)
        answer = await self._answer(name, rest, request, {**scope, "root_path": f"{mount}/{name}"}, send)
        if answer is not None:
            await answer(scope, receive, send)

    async def stop(self) -> None:
        living = [*self._made.values(), *self._old]
        for made in living:
            made.end()
        await asyncio.gather(*(made.living for made in living), return_exceptions=True)
        self._made.clear()

    async def _answer(self, name: str, rest: str, request: Request, scope: Scope, send: Send) -> Response | None:
        """What answers a request under /app/NAME/; None once gradio has."""
        reading = request.method in ("GET", "HEAD")
        if reading and rest.startswith(f"{API}file="):
            return await self.parts.in_thread(self._file, rest.removeprefix(f"{API}file="))
        made = await self.made(name, known=reading and STATIC.fullmatch(rest) is not None)
        try:
            if request.method == "POST" and rest == f"{API}upload":
                return await self._upload(request)
            if request.method == "POST" and rest.rstrip("/") == f"{API}component_server":
                return await self._draw(made.form, request)
            if request.method == "POST" and CALLS.fullmatch(rest):
                body = await self.parts.in_thread(self._clean, await request.body())
                session = json.loads(body).get("session_hash")
                if rest.rstrip("/") == f"{API}cancel":
                    made = self._holder(made, session)
                else:
                    made.form.come(session)
                return await made.serve(_with_body(scope, body), _once(body, request.receive), send)
        except Refused as refused:  # as gradio's clients read it
            return JSONResponse({"detail": str(refused), **refused.as_json()}, refused.status)
        if reading and (STATIC.fullmatch(rest) or PAGES.fullmatch(rest)):
            return await made.serve({**scope, "query_string": b""}, request.receive, _guarding(send))
        if reading and (listening := LISTENING.fullmatch(rest)):
            session = listening["event"] or parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])[0]
            made = self._holder(made, session)
            try:
                return await made.serve(scope, request.receive, send)
            finally:
                if "heartbeat" not in rest:
                    made.form.leave(session)
        raise HTTPException(404, "a form has no such route")

    async def _listing(self) -> HTMLResponse:
        """A plain page of all forms."""
        rows = []
        for one in await self.parts.in_thread(self.parts.saved.list):
            title, about = words(one.title) or one.name, words(one.about).partition("\n")[0]
            link = f'<a href="{escape(one.name)}/">{escape(title)}</a>' if not one.problem else escape(title)
            rows.append(f"<li><p>{link} <small>{escape(one.name)}</small><br>{escape(one.problem or about)}</p></li>")
        style = "body{font:16px/1.5 system-ui,sans-serif;max-width:48em;margin:2em auto;padding:0 1em;color-scheme:light dark}small{opacity:.6}"
        page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>flowmm</title><style>{style}</style><h1>flowmm</h1><ul>{"".join(rows)}</ul></html>'
        return HTMLResponse(page, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"})

    # ── making ──────────────────────────────────────────────────────────────────────────────────

    async def made(self, name: str, known: bool = False) -> Made:
        """The app of a graph as it is now. known: the one that is here will do. Raises Refused, GraphError."""
        if known and name in self._made:
            return self._made[name].touched()
        data, etag, _ = await self.parts.in_thread(self.parts.saved.read, name)
        async with self._making:
            made = self._made.get(name)
            if made is None or made.etag != etag or made.over:
                new = await self.parts.in_thread(self._make, name, data, etag)
                await new.begin()
                leaving = [made] * (made is not None)
                self._made[name] = made = new
                self._made.move_to_end(name)
                while len(self._made) > KEPT:
                    leaving.append(self._made.popitem(last=False)[1])
                self._old = [one for one in self._old if not one.living.done()] + leaving
                for one in leaving:
                    one.retire()
            self._made.move_to_end(name)
            return made.touched()

    def _forget(self, made: Made) -> None:
        if self._made.get(made.form.name) is made:
            del self._made[made.form.name]

    def _holder(self, made: Made, session: Any) -> Made:
        """The app that works for a session: an older one where the graph was saved anew since it asked."""
        return next((old for old in self._old if old.form.name == made.form.name and old.holds(session)), made)

    def _make(self, name: str, data: bytes, etag: str) -> Made:
        with _BUILDING:  # gradio knows one app being built, and is told its folder by the environment alone
            self.parts.uploads.folder.mkdir(parents=True, exist_ok=True)
            os.environ.update(GRADIO_ANALYTICS_ENABLED="False", GRADIO_TEMP_DIR=str(self.parts.uploads.folder.absolute()))
            form = Form(self.parts, name, self.parts.library.of_bytes(data, name))
            return Made(form, _assembled(form.blocks, f"/app/{name}"), etag, self._forget)

    # ── what comes in and goes out ──────────────────────────────────────────────────────────────

    async def _upload(self, request: Request) -> JSONResponse:
        """Pictures of a form, each proved and kept by our own rules; their paths, as gradio's clients expect."""
        paths = []
        for data in (await self._form(request))[0]:
            upload = await self.parts.in_thread(self.parts.uploads.add, data)
            paths.append(str(self.parts.uploads.path(upload.id).absolute()))
        if not paths:
            raise Refused(400, "no-file", "no file was sent", "Send pictures as `files` of a multipart form.")
        return JSONResponse(paths)

    async def _draw(self, form: Form, request: Request) -> JSONResponse:
        """A layer that was painted on a mask: the one thing that a form's component says beside its run."""
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            raise Refused(404, "no-such-route", "a form's components have no functions but to take what was painted")
        files, fields = await self._form(request)
        if fields.get("fn_name") != "accept_blobs" or len(files) != 1 or not fields.get("id") or len(fields["id"]) > 100:
            raise Refused(404, "no-such-route", "a form's components have no functions but to take what was painted")
        upload = await self.parts.in_thread(self.parts.uploads.add, files[0])
        index = fields.get("index", "")
        form.draw(fields["id"], fields.get("type", ""), int(index) if index.isdecimal() and len(index) < 4 else None, self.parts.uploads.path(upload.id).absolute())
        return JSONResponse(None)

    @staticmethod
    async def _form(request: Request) -> tuple[list[bytes], dict[str, str]]:
        """The files of a multipart form, and its other parts by name."""
        try:
            async with request.form(max_files=MOST_FILES, max_fields=16, max_part_size=1 << 16) as form:
                items = form.multi_items()
                return [await value.read() for _, value in items if isinstance(value, UploadFile)], {name: v for name, v in items if isinstance(v, str)}
        except (HTTPException, MultiPartException) as error:
            raise Refused(400, "bad-form", f"the form cannot be read: {getattr(error, 'detail', error)}", "Send multipart/form-data.") from None

    def _file(self, path: str) -> Response:
        """An upload, a picture that a run gave, or a sweep's sheet and table: all found by name, so that no path from outside is ever opened."""
        folder = str(self.parts.uploads.folder.absolute())
        head, _, rest = ("/" + path.lstrip("/")).partition(f"{folder}/")
        if head or not rest:
            raise Refused(404, "no-file", "there is no such file")
        match = re.fullmatch(rf"{OUTPUTS}/([0-9a-f]{{1,64}})/(\w{{1,200}})/([0-9]{{1,6}})\.png", rest)
        if match:
            run = self.parts.desk.get(match[1])
            output = next((one for one in self.parts.journal.outputs(run.id) if one.name == match[2]), None)
            if output is None or not readable(output.type):
                raise Refused(404, "no-file", "there is no such file")
            return served(self.parts, output.key, output.type, "file", int(match[3]), 256, match[2], run)
        match = re.fullmatch(rf"{SWEEPS}/([0-9a-f]{{1,64}})/(sheet\.png|sweep\.csv)", rest)
        if match:
            swept = sweeps.found(self.parts, match[1])
            table = match[2] == "sweep.csv"
            data, media = (sweeps.as_csv(sweeps.table(self.parts, swept)), sweeps.TABLES["csv"][1]) if table else (sweeps.sheet(self.parts, swept), "image/png")
            kind = "attachment" if table else "inline"
            return Response(data, media_type=media, headers={"Content-Disposition": f'{kind}; filename="{match[2]}"', "Cache-Control": "no-cache"})
        found = self.parts.uploads.path(rest)
        media = {".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp"}[found.suffix]
        return Response(found.read_bytes(), media_type=media, headers={"Content-Disposition": f'inline; filename="{found.name}"', "Cache-Control": "private"})

    def _clean(self, raw: bytes) -> bytes:
        """A body in which every file is an upload of ours, by its own path, and nothing names an address. Raises Refused."""
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError):
            raise Refused(400, "not-json", "the request is no JSON", "Send an object.") from None
        if not isinstance(body, dict):
            raise Refused(400, "not-json", "the request is no object", "Send an object.")
        return json.dumps(self._cleaned(body, 0)).encode()

    def _cleaned(self, value: Any, depth: int) -> Any:
        if depth > DEEPEST:
            raise Refused(422, "too-deep", f"the request is nested more than {DEEPEST} levels deep", "Send plain values.")
        if isinstance(value, list):
            return [self._cleaned(item, depth + 1) for item in value]
        if not isinstance(value, dict):
            return value
        if isinstance(value.get("path"), str):
            return {"path": str(self._ours(value["path"])), "meta": FILE}
        return {name: self._cleaned(item, depth + 1) for name, item in value.items() if name not in ("path", "url", "is_stream")}

    def _ours(self, path: str) -> Path:
        folder, _, id_ = path.rpartition("/")
        if folder != str(self.parts.uploads.folder.absolute()):
            raise Refused(422, "no-upload", f"the file {shorten(repr(path))} was not uploaded here", "Upload the picture first.")
        return self.parts.uploads.path(id_).absolute()


_BUILDING = threading.Lock()


class Made:
    """A form that is served. It lives as long as a task of its own, so that what it began ends where it began."""

    def __init__(self, form: Form, app: Any, etag: str, forget: Callable[[Made], None]):
        self.form, self.app, self.etag, self._forget = form, app, etag, forget
        self.living: asyncio.Task | None = None
        self.over = False
        self._ready, self._end = asyncio.Event(), asyncio.Event()
        self._using, self._fading, self._touched = 0, None, time.monotonic()

    def touched(self) -> Made:
        """Itself, that somebody is about to use."""
        self._touched = time.monotonic()
        return self

    @property
    def idle(self) -> bool:
        return not self._using and not self.form.waiting and time.monotonic() - self._touched > IDLE

    async def begin(self) -> None:
        self.living = asyncio.create_task(self._live(), name=f"flowmm-form-{self.form.name}")
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait([self.living, ready], return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self.living.done():
            self.living.result()

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._using += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._using -= 1
            self.touched()

    def holds(self, session: Any) -> bool:
        """Whether a page or client has asked this app for something that it has not heard the end of."""
        return isinstance(session, str) and session in self.form.blocks._queue.pending_messages_per_session

    def retire(self) -> None:
        """Another has its place: it ends once the last page that shows it has gone, and the last run that it waits for."""
        self._fading = asyncio.create_task(self._fade())

    async def _fade(self) -> None:
        while (self._using or self.form.waiting) and not self._end.is_set():
            await asyncio.sleep(FADE)
        self.end()

    def end(self) -> None:
        self._end.set()

    async def _live(self) -> None:
        async with self.app.router.lifespan_context(self.app):
            self.form.blocks.run_startup_events()
            await self.form.blocks.run_extra_startup_events()
            self.touched()._ready.set()
            while not self._end.is_set() and not self.idle:
                await asyncio.wait([ending := asyncio.ensure_future(self._end.wait())], timeout=IDLE / 10)
                ending.cancel()
            self.over = True
            self._forget(self)
            self.form.blocks._queue.close()
            self.app.stop_event.set()


def _assembled(blocks: Any, path: str) -> Any:
    """gradio's app around its blocks, as its own mount_gradio_app makes it, without what a form here must not do."""
    from gradio.routes import App

    blocks.dev_mode = blocks.run_history = False
    blocks.footer_links = ["api", "settings"]
    blocks.max_file_size = None
    blocks.custom_mount_path = path
    blocks.enable_monitoring = blocks.pwa = blocks.ssr_mode = False
    blocks.auth, blocks.allowed_paths, blocks.blocked_paths, blocks.show_error = None, [], [], True
    blocks.theme, blocks.css, blocks.js, blocks.head, blocks.head_paths, blocks.css_paths = theme(), "", "", "", [], []
    blocks.validate_queue_settings()
    blocks._set_html_css_theme_variables()
    blocks.transpile_to_js()
    app = App.create_app(blocks, mcp_server=False)
    for one in blocks.config["components"]:
        if one["type"] == "number":  # gradio leaves out what is None, and its page then shows 0, and sends it
            one["props"].setdefault("value", None)
    return app


def _with_body(scope: Scope, body: bytes) -> Scope:
    headers = [(name, value) for name, value in scope["headers"] if name.lower() not in (b"content-length", b"transfer-encoding", b"content-type")]
    return {**scope, "headers": [*headers, (b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]}


def _once(body: bytes, receive: Receive) -> Receive:
    """The body, then whatever the client still says: that it has gone."""
    said = False

    async def receive_once() -> dict[str, Any]:
        nonlocal said
        if said:
            return await receive()
        said = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_once


def _guarding(send: Send) -> Send:
    async def send_guarded(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"content-security-policy", POLICY.encode())]}
        await send(message)

    return send_guarded


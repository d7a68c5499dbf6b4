"""Nothing reaches the app behind the guard unless every rule holds; what does comes back protected."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import re
import socket
import threading
import time
from collections import Counter
from http.cookies import SimpleCookie
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from flowmm.server import guard as module
from flowmm.server.guard import FORM, JSON, PICTURES, Body, Guard, login_url, new_token, session_of

PORT = 8383
TOKEN = "Zm93bW0tdG9rZW4tb2YtZm9ydHktdGhyZWUtY2hhcnM"
SESSION = session_of(TOKEN, PORT)
HOST = ("host", f"localhost:{PORT}")
ORIGIN = ("origin", f"http://localhost:{PORT}")
BEARER = ("authorization", f"Bearer {TOKEN}")
COOKIE = ("cookie", f"flowmm-{PORT}={SESSION}")
PAGE = ("accept", "text/html,application/xhtml+xml")
TYPE = ("content-type", "application/json")
LARGEST = 1000


class Sentinel:
    """The app behind the guard. It remembers every call and every body it took for whole, and opens itself to all origins."""

    def __init__(self):
        self.scopes, self.bodies, self.ended = [], [], []

    async def __call__(self, scope, receive, send):
        self.scopes.append(scope)
        if scope["type"] == "websocket":
            assert (await receive())["type"] == "websocket.connect"
            return await send({"type": "websocket.accept", "headers": [(b"access-control-allow-origin", b"*")]})
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return self.ended.append(message["type"])
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.bodies.append(body)
        headers = [(b"content-type", b"text/plain"), (b"Access-Control-Allow-Origin", b"*"), (b"x-frame-options", b"ALLOWALL"), (b"x-own", b"kept")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"inside"})


def bodies(path: str) -> Body:
    return {"/upload": Body(PICTURES, 5000), "/gradio_api/upload": Body(FORM, LARGEST)}.get(path, Body(JSON, LARGEST))


def guarded(app=None, **options) -> tuple[Guard, Sentinel]:
    app = app or Sentinel()
    return Guard(app, **{"token": TOKEN, "port": PORT, "hosts": ["flow.example", "lab.example:9000"], "bodies": bodies, **options}), app


def ask(guard: Guard, method: str, path: str, *headers, body=(b"",), kind="http", scheme="", denial=True, raw_path=None):
    """One request as plain ASGI. The answer's status, headers, body, and the messages it came in; status 101 is an accepted socket."""
    path, _, query = path.partition("?")
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    scope = {"type": kind, "path": path, "query_string": query.encode("latin-1"), "headers": pairs, "scheme": scheme or {"http": "http"}.get(kind, "ws")}
    scope |= {"method": method} if kind == "http" else {"extensions": {"websocket.http.response": {}} if denial else {}}
    scope |= {"raw_path": raw_path} if raw_path else {}
    if kind == "http":
        coming = [{"type": "http.request", "body": part, "more_body": i < len(body) - 1} for i, part in enumerate(body)]
    else:
        coming = [{"type": "websocket.connect"}]
    sent = []

    async def receive():
        return coming.pop(0) if coming else {"type": "http.disconnect" if kind == "http" else "websocket.disconnect"}

    async def send(message):
        assert kind == "http" or not coming, "a handshake is read before it is answered"
        sent.append(message)

    asyncio.run(guard(scope, receive, send))
    start = sent[0] if sent else {"type": "none"}
    status = start.get("status") or {"websocket.accept": 101}.get(start["type"], 0)
    found = [(name.decode().lower(), value.decode()) for name, value in start.get("headers", ())]
    text = b"".join(message.get("body", b"") for message in sent[1:])
    return SimpleNamespace(status=status, headers=dict(found), pairs=found, body=text, sent=sent, scope=scope)


def post(guard: Guard, path: str, *headers, body=b"{}", **options):
    length = ("content-length", str(len(body)))
    return ask(guard, "POST", path, *headers, length, body=(body,), **options)


# What may come in


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/api/graphs", [HOST, BEARER]),
        ("GET", "/api/graphs", [HOST, COOKIE]),
        ("GET", "/", [("host", "127.0.0.1"), COOKIE]),
        ("GET", "/", [("host", f"[::1]:{PORT}"), COOKIE]),
        ("GET", "/", [("host", "FLOW.example"), COOKIE]),
        ("GET", "/", [("host", "lab.example:9000"), COOKIE]),
        ("GET", "/", [HOST, ("cookie", f"other=1; flowmm-{PORT}=stale; flowmm-{PORT}={SESSION}")]),
        ("GET", "/", [HOST, COOKIE, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")]),
        ("POST", "/api/runs", [HOST, BEARER]),
        ("POST", "/api/runs", [HOST, COOKIE, ORIGIN]),
        ("POST", "/api/runs", [HOST, COOKIE, ORIGIN, ("sec-fetch-site", "same-origin")]),
        ("POST", "/api/runs", [("host", "localhost"), COOKIE, ("origin", "http://localhost:80")]),
        ("DELETE", "/api/runs/1", [HOST, ("authorization", f"bearer  {TOKEN}")]),
    ],
)
def test_a_program_with_the_token_and_a_page_with_a_session_come_in(method, path, headers):
    guard, app = guarded()
    assert ask(guard, method, path, *headers).status == 200
    assert len(app.scopes) == 1


@pytest.mark.parametrize("headers", [[HOST, BEARER], [HOST, COOKIE, ORIGIN], [HOST, BEARER, ORIGIN, ("sec-fetch-site", "same-origin")]])
def test_a_socket_comes_in_with_the_token_or_from_an_own_page(headers):
    guard, app = guarded()
    reply = ask(guard, "", "/api/events", *headers, kind="websocket")
    assert reply.status == 101 and len(app.scopes) == 1
    assert "access-control-allow-origin" not in reply.headers


def test_behind_tls_the_origin_is_https():
    guard, app = guarded()
    headers = [("host", "flow.example"), COOKIE]
    assert post(guard, "/", *headers, TYPE, ("origin", "https://flow.example"), scheme="https").status == 200
    assert ask(guard, "", "/", *headers, ("origin", "https://flow.example"), kind="websocket", scheme="wss").status == 101
    assert post(guard, "/", *headers, TYPE, ("origin", "http://flow.example"), scheme="https").status == 403
    assert ask(guard, "", "/", *headers, ("origin", "https://flow.example"), kind="websocket", scheme="ws").status == 403
    assert len(app.scopes) == 2


# What may not

REBOUND = [
    ("no Host", []),
    ("another name", [("host", f"evil.example:{PORT}")]),
    ("a name that begins as ours", [("host", "localhost.evil.example")]),
    ("another port", [("host", "localhost:9999")]),
    ("a given name at another port", [("host", "lab.example:9001")]),
    ("a name given with its port, without it", [("host", "lab.example")]),
    ("two", [HOST, HOST]),
    ("two in one", [("host", f"localhost:{PORT}, evil.example")]),
    ("empty", [("host", "")]),
    ("an empty port", [("host", "localhost:")]),
    ("a user in front", [("host", f"evil@localhost:{PORT}")]),
    ("a trailing dot", [("host", f"localhost.:{PORT}")]),
    ("every address", [("host", f"0.0.0.0:{PORT}")]),
    ("a path behind", [("host", f"localhost:{PORT}/x")]),
    ("bytes outside ASCII", [("host", "localh\xf6st")]),
    ("a line end", [("host", f"localhost:{PORT}\n")]),
    ("a space that is none", [("host", f"\xa0localhost:{PORT}")]),
]


@pytest.mark.parametrize(("why", "host"), REBOUND, ids=[row[0] for row in REBOUND])
@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("token", [TOKEN, ""])
def test_a_host_that_is_not_ours_is_refused_whatever_else_is_right(why, host, kind, token):
    guard, app = guarded(token=token)
    reply = ask(guard, "GET", "/", *host, BEARER, kind=kind)
    assert reply.status == 403 and not app.scopes


FOREIGN = [
    ("null", [("origin", "null")]),
    ("foreign", [("origin", "https://evil.example")]),
    ("ours as a subdomain", [("origin", f"http://localhost.evil.example:{PORT}")]),
    ("another port of this machine", [("origin", "http://localhost:3000")]),
    ("no port", [("origin", "http://localhost")]),
    ("another of our names", [("origin", f"http://127.0.0.1:{PORT}")]),
    ("the other scheme", [("origin", f"https://localhost:{PORT}")]),
    ("a socket's scheme", [("origin", f"ws://localhost:{PORT}")]),
    ("a file", [("origin", "file://")]),
    ("empty", [("origin", "")]),
    ("no scheme", [("origin", f"localhost:{PORT}")]),
    ("a path", [("origin", f"http://localhost:{PORT}/")]),
    ("a user", [("origin", f"http://x@localhost:{PORT}")]),
    ("two", [ORIGIN, ORIGIN]),
    ("two in one", [("origin", f"http://localhost:{PORT} https://evil.example")]),
    ("not a URL", [("origin", "http://[::1")]),
    ("cross-site", [ORIGIN, ("sec-fetch-site", "cross-site")]),
    ("same-site", [ORIGIN, ("sec-fetch-site", "same-site")]),
    ("a navigation that posts", [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")]),
    ("two sites", [ORIGIN, ("sec-fetch-site", "none"), ("sec-fetch-site", "none")]),
]


@pytest.mark.parametrize(("why", "headers"), FOREIGN, ids=[row[0] for row in FOREIGN])
@pytest.mark.parametrize("credential", [COOKIE, BEARER, None], ids=["cookie", "bearer", "no token asked"])
def test_a_page_elsewhere_changes_nothing_and_opens_no_socket(why, headers, credential):
    guard, app = guarded(token=TOKEN if credential else "")
    shown = [HOST, *([credential] if credential else []), *headers]
    replies = [ask(guard, method, "/api/runs", *shown) for method in ("POST", "PUT", "PATCH", "DELETE", "BREW")]
    replies.append(ask(guard, "", "/api/events", *shown, kind="websocket"))
    assert {reply.status for reply in replies} == {403} and not app.scopes


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_without_an_origin_a_cookie_changes_nothing_and_opens_no_socket(kind):
    guard, app = guarded()
    assert ask(guard, "POST", "/api/runs", HOST, COOKIE, kind=kind).status == 403
    assert ask(guard, "POST", "/api/runs", HOST, COOKIE, ("authorization", "Bearer wrong"), kind=kind).status == 403
    open_to_all, behind = guarded(token="")
    assert ask(open_to_all, "POST", "/api/runs", HOST, ("cookie", "any=1"), kind=kind).status == 403
    assert not app.scopes and not behind.scopes
    assert ask(open_to_all, "POST", "/api/runs", HOST, kind=kind).status in (200, 101)


@pytest.mark.parametrize("site", ["cross-site", "same-site", "SAME-ORIGIN", "unheard-of"])
@pytest.mark.parametrize(("mode", "dest"), [("no-cors", "image"), ("cors", "empty"), ("navigate", "iframe"), ("no-cors", "document")])
def test_a_page_elsewhere_embeds_nothing(site, mode, dest):
    guard, app = guarded()
    reply = ask(guard, "GET", "/api/results/1", HOST, COOKIE, ("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest))
    assert reply.status == 403 and not app.scopes


UNKNOWN = [
    ("nothing", []),
    ("the token as a cookie", [("cookie", f"flowmm-{PORT}={TOKEN}")]),
    ("the session of another port", [("cookie", f"flowmm-{PORT}={session_of(TOKEN, PORT + 1)}")]),
    ("the session under another name", [("cookie", f"flowmm={SESSION}")]),
    ("the session of no token", [("cookie", f"flowmm-{PORT}={session_of('', PORT)}")]),
    ("the session as a token", [("authorization", f"Bearer {SESSION}")]),
    ("a token's beginning", [("authorization", f"Bearer {TOKEN[:-1]}")]),
    ("an empty token", [("authorization", "Bearer ")]),
    ("the token by another scheme", [("authorization", f"Basic {TOKEN}")]),
    ("an empty cookie", [("cookie", f"flowmm-{PORT}=")]),
    ("bytes outside ASCII", [("authorization", "Bearer \xff")]),
]


@pytest.mark.parametrize(("why", "headers"), UNKNOWN, ids=[row[0] for row in UNKNOWN])
def test_without_token_or_session_nothing_is_reached(why, headers):
    guard, app = guarded()
    replies = [ask(guard, method, "/api/runs", HOST, ORIGIN, *headers) for method in ("GET", "HEAD", "POST", "DELETE")]
    replies.append(ask(guard, "", "/api/events", HOST, ORIGIN, *headers, kind="websocket"))
    replies.append(ask(guard, "", f"/api/events?token={TOKEN}", HOST, ORIGIN, *headers, kind="websocket"))
    replies.append(ask(guard, "GET", f"/api/runs?token={TOKEN}", HOST, *headers))
    replies.append(ask(guard, "HEAD", f"/?token={TOKEN}", HOST, PAGE, *headers))
    assert {reply.status for reply in replies} == {401} and not app.scopes
    assert all(reply.headers["www-authenticate"] == "Bearer" for reply in replies)


def test_two_tokens_are_refused_even_if_one_is_right():
    guard, app = guarded()
    assert ask(guard, "GET", "/", HOST, BEARER, BEARER).status == 400
    assert ask(guard, "GET", f"/?token={TOKEN}&token=x", HOST, PAGE).status == 400
    assert not app.scopes


def test_a_handshake_that_cannot_be_answered_over_http_is_closed():
    guard, app = guarded()
    reply = ask(guard, "", "/api/events", HOST, ORIGIN, kind="websocket", denial=False)
    assert reply.sent == [{"type": "websocket.close", "code": 1008, "reason": "token"}] and not app.scopes


@pytest.mark.parametrize("kind", ["webtransport", "http.other", "", "lifespan2"])
def test_an_unheard_of_scope_is_refused(kind):
    guard, app = guarded()
    with pytest.raises(ValueError, match="HTTP and sockets"):
        asyncio.run(guard({"type": kind, "headers": [], "path": "/"}, None, None))
    assert not app.scopes


def test_lifespan_passes_as_it_is():
    seen = []

    async def app(scope, receive, send):
        seen.append((scope, receive, send))

    scope, receive, send = {"type": "lifespan"}, object(), object()
    asyncio.run(Guard(app, token=TOKEN, port=PORT)(scope, receive, send))
    assert seen == [(scope, receive, send)]


def test_options_is_answered_without_the_app_and_opens_nothing():
    guard, app = guarded()
    for headers in ([HOST, BEARER], [HOST, ("origin", "https://evil.example"), ("access-control-request-method", "POST")]):
        reply = ask(guard, "OPTIONS", "/api/runs", *headers)
        assert reply.status == 405 and not [name for name in reply.headers if name.startswith("access-control")]
    assert not app.scopes


def test_long_urls_and_paths_without_a_slash_are_refused():
    guard, app = guarded()
    assert ask(guard, "GET", "/" + "x" * (16 << 10), HOST, BEARER).status == 414
    assert ask(guard, "GET", "/?" + "x" * (16 << 10), HOST, BEARER).status == 414
    assert ask(guard, "GET", "http://evil.example/", HOST, BEARER).status == 400
    assert not app.scopes
    assert ask(guard, "GET", "/" + "x" * ((16 << 10) - 1), HOST, BEARER).status == 200


# Bodies


@pytest.mark.parametrize(
    ("path", "media", "status"),
    [
        ("/api/runs", ["application/json"], 200),
        ("/api/runs", ["Application/JSON; charset=utf-8"], 200),
        ("/api/runs", [], 415),
        ("/api/runs", ["text/plain"], 415),
        ("/api/runs", ["application/x-www-form-urlencoded"], 415),
        ("/api/runs", ["multipart/form-data; boundary=x"], 415),
        ("/api/runs", ["application/jsonp"], 415),
        ("/api/runs", ["text/plain; application/json"], 415),
        ("/api/runs", ["application/json", "application/json"], 415),
        ("/api/runs", ["image/png"], 415),
        ("/upload", ["image/png"], 200),
        ("/upload", ["image/webp"], 200),
        ("/upload", ["image/svg+xml"], 415),
        ("/upload", ["text/html"], 415),
        ("/upload", ["application/json"], 415),
        ("/upload/", ["image/png"], 415),
        ("/gradio_api/upload", ["multipart/form-data; boundary=x"], 200),
        ("/gradio_api/upload", ["image/png"], 415),
    ],
)
@pytest.mark.parametrize("length", [("content-length", "2"), ("transfer-encoding", "chunked")], ids=["length", "chunked"])
def test_each_path_takes_its_own_content_types(path, media, status, length):
    guard, app = guarded()
    reply = ask(guard, "POST", path, HOST, BEARER, *[("content-type", text) for text in media], length, body=(b"{}",))
    assert reply.status == status and bool(app.scopes) == (status == 200)


def test_no_body_needs_no_content_type():
    guard, app = guarded()
    assert ask(guard, "POST", "/api/runs/1/cancel", HOST, BEARER).status == 200
    assert ask(guard, "DELETE", "/api/runs/1", HOST, BEARER, ("content-length", "0")).status == 200
    assert len(app.bodies) == 2


def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes():
    guard, app = guarded()
    for method in ("POST", "GET"):
        for length in (str(LARGEST + 1), "9" * 18):
            assert ask(guard, method, "/api/runs", HOST, BEARER, TYPE, ("content-length", length)).status == 413
    for length in ("-1", "+1", "1_0", "0x10", "ten", "9" * 19, "\xb2"):
        assert ask(guard, "POST", "/api/runs", HOST, BEARER, TYPE, ("content-length", length)).status == 400
    assert ask(guard, "POST", "/api/runs", HOST, BEARER, TYPE, ("content-length", "2"), ("content-length", "2")).status == 400
    assert not app.scopes
    assert post(guard, "/api/runs", HOST, BEARER, TYPE, body=b"x" * LARGEST).status == 200


def test_a_body_in_chunks_is_counted_and_its_beginning_never_taken_for_the_whole():
    guard, app = guarded()
    chunks = ("transfer-encoding", "chunked")
    assert ask(guard, "POST", "/api/runs", HOST, BEARER, TYPE, chunks, body=(b"x" * 600, b"x" * 400)).status == 200
    reply = ask(guard, "POST", "/api/runs", HOST, BEARER, TYPE, chunks, body=(b"x" * 600, b"x" * 401))
    assert reply.status == 413 and json.loads(reply.body)["error"]["code"] == "body_size"
    assert app.bodies == [b"x" * 1000] and app.ended == ["http.disconnect"]


def test_a_body_that_no_header_announced_is_refused():
    guard, app = guarded()
    assert ask(guard, "POST", "/api/runs", HOST, BEARER, body=(b"{}",)).status == 413
    assert ask(guard, "POST", "/api/runs", HOST, BEARER, ("content-length", "0"), body=(b"{}",)).status == 413
    assert app.bodies == [] and app.ended == ["http.disconnect"] * 2


def test_a_body_that_grows_too_large_after_the_answer_began_ends_the_answer():
    async def echo(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await receive())["type"] != "http.disconnect":
            await send({"type": "http.response.body", "body": b".", "more_body": True})
        assert (await receive())["type"] == "http.disconnect"
        await send({"type": "http.response.body", "body": b"all is well"})

    guard, _ = guarded(echo)
    reply = ask(guard, "POST", "/", HOST, BEARER, TYPE, ("transfer-encoding", "chunked"), body=(b"x" * 600, b"x" * 600))
    assert [message["type"] for message in reply.sent] == ["http.response.start", "http.response.body"]
    assert reply.body == b"." and reply.sent[-1]["more_body"]


def test_a_starlette_app_learns_of_a_cut_body_and_the_client_gets_one_answer():
    async def read(request):
        return JSONResponse(len(await request.body()))

    guard, _ = guarded(Starlette(routes=[Route("/", read, methods=["POST"])]))
    headers = [HOST, BEARER, TYPE, ("transfer-encoding", "chunked")]
    assert ask(guard, "POST", "/", *headers, body=(b"x" * 500, b"x" * 500)).body == b"1000"
    reply = ask(guard, "POST", "/", *headers, body=(b"x" * 600, b"x" * 600))
    assert [message["type"] for message in reply.sent] == ["http.response.start", "http.response.body"] and reply.status == 413


# Signing in


def test_a_page_opened_with_the_token_gets_a_session_and_loses_the_token():
    guard, app = guarded()
    reply = ask(guard, "GET", f"/app/a b?x=1&token={TOKEN}&y=%2F", HOST, PAGE)
    assert reply.status == 303 and reply.headers["location"] == "/app/a%20b?x=1&y=%2F" and not app.scopes
    assert reply.headers["cache-control"] == "no-store" and reply.headers["referrer-policy"] == "same-origin"
    cookie = reply.headers["set-cookie"]
    assert cookie == f"flowmm-{PORT}={SESSION}; Path=/; HttpOnly; SameSite=Strict" and TOKEN not in cookie
    assert ask(guard, "GET", "/", HOST, ("cookie", cookie.partition(";")[0])).status == 200
    assert "; Secure" in ask(guard, "GET", f"/?token={TOKEN}", HOST, PAGE, scheme="https").headers["set-cookie"]


@pytest.mark.parametrize("path", ["//evil.example/x", "/\\evil.example", "/\t/evil.example", "///evil.example", "/\\/evil.example"])
def test_signing_in_leads_to_this_server_only(path):
    for raw in (None, path.encode()):
        location = ask(guarded()[0], "GET", f"{path}?token={TOKEN}", HOST, PAGE, raw_path=raw).headers["location"]
        assert re.fullmatch(r"/[^/\\\t].*", location) and not urlsplit(location).netloc


def test_a_session_opens_a_page_whatever_token_its_url_has():
    guard, app = guarded()
    reply = ask(guard, "GET", "/editor?token=of-last-week&g=1", HOST, PAGE, COOKIE)
    assert reply.status == 303 and reply.headers["location"] == "/editor?g=1" and not app.scopes


def test_the_app_and_the_log_never_see_the_token_of_a_url():
    guard, app = guarded()
    for query in (f"token={TOKEN}&a=1", f"a=1&t%6Fken={TOKEN}", f"a=1&token={TOKEN[:-1]}"):
        reply = ask(guard, "GET", f"/api/graphs?{query}", HOST, BEARER)
        assert reply.status == 200 and reply.scope["query_string"] == app.scopes[-1]["query_string"] == b"a=1"
    assert ask(guard, "GET", "/?token=mistyped", HOST, PAGE).scope["query_string"] == b""


def test_a_browser_is_told_where_to_sign_in_and_a_program_what_to_send():
    guard, app = guarded()
    page = ask(guard, "GET", "/", HOST, PAGE)
    assert page.status == 401 and page.headers["content-type"].startswith("text/html") and b"flowmm serve" in page.body
    assert b"<script" not in page.body and b"http" not in page.body
    error = json.loads(ask(guard, "GET", "/", HOST, ("accept", "*/*")).body)["error"]
    assert error.keys() == {"code", "message", "fix"} and "Bearer" in error["fix"]
    assert not app.scopes


def test_tokens_are_random_and_sessions_do_not_give_them_away():
    tokens = {new_token() for _ in range(50)}
    assert len(tokens) == 50 and all(re.fullmatch(r"[A-Za-z0-9_-]{43}", token) for token in tokens)
    sessions = {session_of(TOKEN, 1), session_of(TOKEN, 2), session_of(TOKEN + "x", 1), session_of(TOKEN, 1, b"salt")}
    assert len(sessions) == 4 and all(re.fullmatch(r"[0-9a-f]{64}", session) for session in sessions)


def test_a_login_url_opens_on_this_machine():
    assert login_url("127.0.0.1", 8383, "a/b") == "http://127.0.0.1:8383/?token=a%2Fb"
    assert login_url("0.0.0.0", 80, "t") == "http://127.0.0.1:80/?token=t"
    assert login_url("::1", 8383, "") == "http://[::1]:8383/"
    assert login_url("::", 8383, "t") == "http://[::1]:8383/?token=t"


def test_a_chosen_token_is_not_found_by_making_cookies_of_guesses():
    short = "sesame"
    guard, app = guarded(token=short)
    assert ask(guard, "GET", "/", HOST, ("cookie", f"flowmm-{PORT}={session_of(short, PORT)}")).status == 401 and not app.scopes
    kept, _ = guarded(token=short, salt=b"kept")
    assert ask(kept, "GET", "/", HOST, ("cookie", f"flowmm-{PORT}={session_of(short, PORT, b'kept')}")).status == 200


@pytest.mark.parametrize(("options", "match"), [({"token": "two words"}, "token"), ({"token": "t\xf6ken"}, "token"), ({"hosts": ["::1"]}, "brackets")])
def test_a_guard_that_could_let_no_one_in_is_not_made(options, match):
    with pytest.raises(ValueError, match=match):
        guarded(**options)


# Guessing


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    return now


@pytest.mark.parametrize("way", ["bearer", "page", "socket", "all three"])
def test_after_ten_wrong_tokens_none_is_compared_while_sessions_go_on(clock, way):
    guard, app = guarded()

    def attempt(i: int, token: str):
        which = way if way != "all three" else ("bearer", "page", "socket")[i % 3]
        if which == "page":
            return ask(guard, "GET", f"/?token={token}", HOST, PAGE)
        return ask(guard, "GET", "/", HOST, ("authorization", f"Bearer {token}"), kind="http" if which == "bearer" else "websocket")

    for i in range(10):
        clock.seconds += 1
        assert attempt(i, f"guess-{i}").status == 401
    clock.seconds += 20.5
    reply = attempt(0, TOKEN)
    assert reply.status == 429 and reply.headers["retry-after"] == "31"  # the first of ten was 29.5 s ago
    assert ask(guard, "GET", "/", HOST).status == 401
    assert not app.scopes
    assert ask(guard, "GET", "/", HOST, COOKIE).status == 200
    assert post(guard, "/", HOST, COOKIE, ORIGIN, TYPE).status == 200
    assert ask(guard, "", "/", HOST, COOKIE, ORIGIN, kind="websocket").status == 101
    assert post(guard, "/", HOST, COOKIE, BEARER, TYPE).status == 403  # the token is not compared, so the cookie counts alone
    clock.seconds += 30.4
    assert attempt(0, TOKEN).status == 429
    clock.seconds += 0.2
    assert attempt(0, TOKEN).status in (200, 303, 101)
    assert attempt(0, "wrong").status == 401 and attempt(0, "wrong").status == 429  # the other nine are still within the minute


def test_missing_tokens_right_ones_and_slow_mistakes_lock_no_one_out(clock):
    guard, _ = guarded()
    for _ in range(40):
        assert ask(guard, "GET", "/", HOST).status == 401
        assert ask(guard, "GET", "/", HOST, ("cookie", f"flowmm-{PORT}=stale")).status == 401
        assert ask(guard, "GET", "/", HOST, ("authorization", "Basic eA==")).status == 401
        assert ask(guard, "GET", "/", HOST, BEARER).status == 200
        assert ask(guard, "GET", "/", HOST, ("authorization", "Bearer mistyped")).status == 401
        clock.seconds += 6.1


def test_a_page_elsewhere_cannot_lock_programs_out(clock):
    guard, _ = guarded()
    for dest in ("iframe", "image", "empty") * 10:
        site = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", dest)]
        assert ask(guard, "GET", "/?token=wrong", HOST, PAGE, *site).status == 403
        assert post(guard, "/", HOST, ("origin", "https://evil.example"), ("authorization", "Bearer wrong")).status == 403
    assert ask(guard, "GET", "/", HOST, BEARER).status == 200


# What comes back


def test_every_answer_is_protected_and_open_to_no_other_origin():
    guard, _ = guarded()
    inside = ask(guard, "GET", "/", HOST, BEARER)
    assert inside.body == b"inside" and inside.headers["x-own"] == "kept"
    for reply in (inside, ask(guard, "GET", "/", HOST), ask(guard, "GET", "/"), ask(guard, "", "/", HOST, kind="websocket"), ask(guard, "OPTIONS", "/", HOST)):
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["referrer-policy"] == reply.headers["cross-origin-opener-policy"].replace("-policy", "") == "same-origin"
        assert reply.headers["cross-origin-resource-policy"] == "same-origin"
        assert [value for name, value in reply.pairs if name == "x-frame-options"] == ["SAMEORIGIN"]
        assert reply.headers["content-security-policy"] == "frame-ancestors 'self'"
        assert not [name for name in reply.headers if name.startswith("access-control")]
        if reply is not inside:
            assert reply.headers["cache-control"] == "no-store" and json.loads(reply.body)["error"].keys() == {"code", "message", "fix"}


def test_the_policy_of_the_app_stays_beside_ours():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-security-policy", b"sandbox")]})

    reply = ask(guarded(app)[0], "GET", "/", HOST, BEARER)
    assert [value for name, value in reply.pairs if name == "content-security-policy"] == ["sandbox", "frame-ancestors 'self'"]


def test_the_app_believes_the_host_that_was_checked():
    guard, app = guarded()
    ask(guard, "GET", "/", HOST, BEARER, ("x-forwarded-host", "evil.example"), ("X-Forwarded-Proto", "gopher"), ("forwarded", "host=evil.example"))
    assert app.scopes[0]["headers"] == [(b"host", HOST[1].encode()), (b"authorization", BEARER[1].encode())]


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_crash_of_the_app_is_logged_and_tells_the_client_nothing(kind, caplog):
    async def app(scope, receive, send):
        await receive()
        raise RuntimeError("the secret is 42")

    reply = ask(guarded(app)[0], "GET", "/x", HOST, BEARER, kind=kind)
    assert reply.status == 500 and json.loads(reply.body)["error"]["code"] == "crash"
    assert b"secret" not in reply.body and b"Traceback" not in reply.body
    assert [record.name for record in caplog.records if record.exc_info] == ["flowmm.server"] and "the secret is 42" in caplog.text


def test_a_crash_after_the_answer_began_is_left_to_the_server():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("late")

    with pytest.raises(RuntimeError, match="late"):
        ask(guarded(app)[0], "GET", "/", HOST, BEARER)


# Any request at all


def may_pass(kind: str, method: str, path: str, headers: list[tuple[str, str]], token: str) -> bool:
    """The rules once more, written from their description and with other parsers."""
    every: dict[str, list[str]] = {}
    for name, value in headers:
        every.setdefault(name, []).append(value)
    if any(len(every.get(name, ())) > 1 for name in ("host", "origin", "sec-fetch-site", "authorization")):
        return False
    first = {name: values[0] for name, values in every.items()}
    names = {f"{name}{port}" for name in ("localhost", "127.0.0.1", "[::1]", "flow.example") for port in ("", f":{PORT}")} | {"lab.example:9000"}
    if first.get("host") not in names or method == "OPTIONS":
        return False
    changes = kind == "websocket" or method not in ("GET", "HEAD")
    elsewhere = first.get("sec-fetch-site", "none") not in ("none", "same-origin")
    if elsewhere and (changes or (first.get("sec-fetch-mode"), first.get("sec-fetch-dest")) != ("navigate", "document")):
        return False
    if changes and "origin" in first:
        if any(character in first["origin"].partition("://")[2] for character in "/@?# ") or first["origin"] == "null":
            return False
        theirs, own = urlsplit(first["origin"]), urlsplit(f"http://{first['host']}")
        if (theirs.scheme, theirs.hostname, theirs.port or 80) != ("http", own.hostname, own.port or 80):
            return False
    bearer = first.get("authorization") == f"Bearer {token}"
    jar = SimpleCookie("; ".join(every.get("cookie", ())))
    cookie = f"flowmm-{PORT}" in jar and jar[f"flowmm-{PORT}"].value == session_of(token, PORT)
    if token and not bearer and not cookie:
        return False
    if changes and "origin" not in first and not (bearer if token else "cookie" not in first):
        return False
    if method == "GET" and "text/html" in first.get("accept", "") and "token" in parse_qs(urlsplit(path).query) and token and (cookie or "authorization" not in first):
        return False  # led to the page without the token
    return kind == "websocket" or not changes or "content-length" not in first or first.get("content-type", "").split(";")[0] == "application/json"


def some(name: str, *values: str):
    """Mostly the first values or none, now and then anything, now and then twice."""
    text = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20).map(str.strip)
    value = st.one_of(st.sampled_from(values[:1]), st.sampled_from(values), *([text] if name not in ("cookie", "authorization") else []))
    pair = st.tuples(st.just(name), value)
    return st.one_of(st.just([]), pair.map(lambda found: [found]), st.sampled_from(values[:1]).map(lambda found: [(name, found)]), st.lists(pair, max_size=2))


HEADERS = [
    st.one_of(st.just([HOST]), some("host", HOST[1], "127.0.0.1", f"[::1]:{PORT}", "flow.example", "lab.example:9000", "evil.example", "localhost:1")),
    some("origin", ORIGIN[1], "null", "http://127.0.0.1", f"http://[::1]:{PORT}", "http://flow.example", "https://evil.example", f"https://localhost:{PORT}"),
    some("sec-fetch-site", "same-origin", "none", "cross-site", "same-site"),
    some("sec-fetch-mode", "navigate", "cors").filter(lambda found: len(found) < 2),
    some("sec-fetch-dest", "document", "iframe").filter(lambda found: len(found) < 2),
    some("authorization", BEARER[1], "Bearer wrong", f"Basic {TOKEN}", "Bearer", SESSION),
    some("cookie", COOKIE[1], f"a=1; {COOKIE[1]}", f"flowmm-{PORT}={TOKEN}", f"flowmm-1={SESSION}", "a=1", f"flowmm-{PORT}={session_of('', PORT)}"),
    st.sampled_from([[], [PAGE], [("accept", "*/*")]]),
    st.sampled_from([[], [("content-length", "2")], [TYPE, ("content-length", "2")], [("content-type", "text/plain"), ("content-length", "2")]]),
]


@pytest.mark.parametrize("token", [TOKEN, ""], ids=["token", "no token asked"])
def test_any_request_passes_exactly_if_the_rules_say_so(token):
    seen = Counter()

    @settings(max_examples=250, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(
        st.sampled_from(["http", "http", "websocket"]),
        st.sampled_from(["GET", "POST", "DELETE", "HEAD", "OPTIONS", "BREW"]),
        st.sampled_from(["/", "/api/runs?a=1", f"/?token={TOKEN}", "/?token=wrong"]),
        st.tuples(*HEADERS).map(lambda parts: sum(parts, [])).flatmap(st.permutations),
    )
    def check(kind, method, path, headers):
        if kind == "websocket":
            method = ""
        guard, app = guarded(token=token)
        reply = ask(guard, method, path, *headers, body=(b"{}",) if any(name == "content-length" for name, _ in headers) else (b"",), kind=kind)
        allowed = may_pass(kind, method, path, headers, token)
        assert bool(app.scopes) == allowed, reply.body
        assert reply.status in ((200, 101) if allowed else (303, 400, 401, 403, 405, 415)), reply.status
        seen[kind, allowed] += 1

    check()
    assert min(seen[kind, allowed] for kind in ("http", "websocket") for allowed in (True, False)) >= 10, seen


# A real server


@pytest.fixture
def served(caplog):
    """A guard behind uvicorn on a free port, and the app that it guards."""
    caplog.set_level(logging.INFO)
    listening = socket.create_server(("127.0.0.1", 0))
    port, app = listening.getsockname()[1], Sentinel()
    guard, _ = guarded(app, port=port)
    server = uvicorn.Server(uvicorn.Config(guard, log_config=None, lifespan="off", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    yield port, app
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


def test_a_real_server_answers_as_the_guard_says(served, caplog):
    port, app = served

    def http_status(method="GET", path="/", body=None, chunked=False, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request(method, path, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()}, encode_chunked=chunked)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        return response.status, response.headers, text

    def socket_status(origin=None, **headers):
        try:
            with connect(f"ws://127.0.0.1:{port}/api/events", origin=origin, additional_headers=headers, open_timeout=20):
                return 101, b""
        except InvalidStatus as refused:
            return refused.response.status_code, refused.response.body

    own, bearer = f"http://127.0.0.1:{port}", f"Bearer {TOKEN}"
    cookie = f"flowmm-{port}={session_of(TOKEN, port)}"
    assert http_status(Host="evil.example", Authorization=bearer)[0] == 403
    assert http_status()[0] == 401
    status, headers, _ = http_status(path=f"/?token={TOKEN}&a=1", Accept="text/html")
    assert (status, headers["location"], headers["set-cookie"].partition(";")[0]) == (303, "/?a=1", cookie)
    assert http_status("POST", body=b"{}", Cookie=cookie, Content_Type="application/json")[0] == 403
    assert http_status("POST", body=b"{}", Cookie=cookie, Origin="null", Content_Type="application/json")[0] == 403
    assert http_status("POST", body=b"{}", Authorization=bearer, Content_Type="text/plain")[0] == 415
    assert http_status("POST", body=b"x" * 2000, Authorization=bearer, Content_Type="application/json")[0] == 413
    assert http_status("OPTIONS", Authorization=bearer)[0] == 405
    for shown in ({}, {"Cookie": f"flowmm-{port}={TOKEN}"}, {"Authorization": "Bearer wrong"}):
        status, body = socket_status(own, **shown)
        assert status == 401 and json.loads(body)["error"]["code"] == "token"
    assert socket_status("https://evil.example", Cookie=cookie)[0] == 403
    assert socket_status(None, Cookie=cookie)[0] == 403
    assert not app.scopes

    chunks = iter([b"x" * 600, b"x" * 600])
    status, _, body = http_status("POST", body=chunks, chunked=True, Authorization=bearer, Content_Type="application/json", Transfer_Encoding="chunked")
    assert status == 413 and json.loads(body)["error"]["code"] == "body_size" and not app.bodies
    status, headers, body = http_status("POST", body=b"{}", Cookie=cookie, Origin=own, Content_Type="application/json")
    assert (status, body, app.bodies, headers["x-content-type-options"]) == (200, b"inside", [b"{}"], "nosniff")
    assert "access-control-allow-origin" not in headers
    assert socket_status(own, Cookie=cookie)[0] == 101
    assert socket_status(None, Authorization=bearer)[0] == 101
    assert '"GET /?a=1 HTTP/1.1" 303' in caplog.text and TOKEN not in caplog.text

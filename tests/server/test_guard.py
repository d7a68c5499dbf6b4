"""Nothing reaches the app behind the guard unless every rule holds."""

from __future__ import annotations

import asyncio
import json

import pytest
from guard_calls import BEARER, COOKIE, HOST, LARGEST, ORIGIN, PAGE, PORT, SESSION, TOKEN, TYPE, ask, guarded, post
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from flowmm.server.guard import Guard, session_of

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

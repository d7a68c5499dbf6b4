"""The guard before any request at all, against its rules written a second time; and behind a real server."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import threading
import time
from collections import Counter
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlsplit

import pytest
import uvicorn
from guard_calls import BEARER, COOKIE, HOST, ORIGIN, PAGE, PORT, SESSION, TOKEN, TYPE, Sentinel, ask, guarded
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from flowmm.server.guard import session_of

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
    caplog.set_level("INFO", "uvicorn.access")
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

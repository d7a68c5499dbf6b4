"""Signing in, guessing tokens, and what comes back through the guard."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from guard_calls import BEARER, COOKIE, HOST, ORIGIN, PAGE, PORT, SESSION, TOKEN, TYPE, ask, guarded, post

from flowmm.server import guard as module
from flowmm.server.guard import login_url, new_token, session_of

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
    assert error.keys() == {"code", "message", "fix", "problems"} and "Bearer" in error["fix"]
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
            assert reply.headers["cache-control"] == "no-store" and json.loads(reply.body)["error"].keys() == {"code", "message", "fix", "problems"}


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

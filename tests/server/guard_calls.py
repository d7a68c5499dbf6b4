"""A guard around an app that remembers every call, and one request to it as plain ASGI."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from flowmm.server.guard import FORM, JSON, PICTURES, Body, Guard, session_of

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

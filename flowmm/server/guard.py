"""The guard: one ASGI layer around the whole server, on HTTP and sockets. Nothing reaches the app unless every rule holds.

In this order: Host (403), URL length (414), OPTIONS (405), where a browser says the request comes from (403), token or session (401, 429),
Origin's absence (403), a body's size (413) and content type (415). A rule asks about the request alone, so no route, mount or inner
router can be forgotten.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import math
import re
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, NamedTuple
from urllib.parse import quote, unquote_plus

from ..graph.problems import brief
from .refusals import failure

log = logging.getLogger("flowmm.server")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]
Address = tuple[str, int | None]  # name and port of a Host header

JSON = frozenset({"application/json"})
PICTURES = frozenset({"image/png", "image/jpeg", "image/webp"})
OPENABLE = frozenset({"application/json", "image/png"})
FORM = frozenset({"multipart/form-data"})

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
SAFE = ("GET", "HEAD", "OPTIONS")
PORTS = {"http": 80, "https": 443}
LONGEST_URL = 16 << 10  # bytes of path and query
FAILURES, WINDOW = 10, 60.0  # so many wrong tokens within so many seconds, and none is compared until they have passed
GENERATED = 32  # characters: a shorter token was chosen by a person and may be guessed
PROTECTION = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
FRAMES = (b"content-security-policy", b"frame-ancestors 'self'")  # beside the app's own policy: browsers enforce each
STARTS = ("http.response.start", "websocket.http.response.start", "websocket.accept")
SIGN_IN = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>flowmm</title>
<p>This page needs a token. Open the URL that <code>flowmm serve</code> printed when it started.</p>
<p>If you already did so in this browser, <a href="">continue</a>.</p></html>
"""  # a Strict cookie does not come along when another site's link leads here; it does with a click on this page


class Body(NamedTuple):
    """What a path takes: types: media types, in lower case. largest: bytes."""

    types: frozenset[str] = JSON
    largest: int = 32 << 20


def new_token() -> str:
    """A random token: 43 characters, 256 bits."""
    return secrets.token_urlsafe(32)


def session_of(token: str, port: int, salt: bytes = b"") -> str:
    """What the cookie of a signed-in browser holds: 64 hex digits that `token` gives and that do not give `token`."""
    return hmac.new(token.encode(), b"flowmm session " + str(port).encode() + b" " + salt, hashlib.sha256).hexdigest()


def login_url(host: str, port: int, token: str) -> str:
    """The URL to open in a browser on this machine, for a server bound to `host`: an address that means all is shown as loopback."""
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/" + (f"?token={quote(token, safe='')}" if token else "")


class Guard:
    """An ASGI app that lets through to `app` only what may come in.

    token: printable ASCII without spaces; "" asks for none, all other rules stay. port: what browsers reach the server by.
    hosts: names it is reached by besides loopback, as in a Host header: `name` (with our port or none) or `name:port`.
    bodies: what a path takes; JSON up to 32 MiB unless told. salt: bytes kept secret beside the token; sessions end when it changes.
    A token that a person chose (under 32 characters) gets a random salt for this process if none is given, because whoever may try
    cookies without limit could else guess it through them.

    `?token=` belongs to the guard: it is taken out of the scope, for the access log too, and the app never sees it. Nor does it see
    X-Forwarded-* and Forwarded, which no rule vouches for; a proxy passes Host on. `lifespan` passes as it is.
    Raises ValueError for a token or host that cannot be sent, and for a scope that is neither HTTP, a socket nor lifespan.
    """

    def __init__(
        self,
        app: App,
        *,
        token: str,
        port: int,
        hosts: Iterable[str] = (),
        bodies: Callable[[str], Body] = lambda path: Body(),
        salt: bytes = b"",
    ):
        if not re.fullmatch(r"[!-~]*", token):
            raise ValueError("The token has a space or a character outside ASCII, which no header can carry. Choose letters, digits and punctuation.")
        if not salt and len(token) < GENERATED:
            salt = secrets.token_bytes(32)
        self.app, self.bodies, self.cookie = app, bodies, f"flowmm-{port}"
        self._token, self._session = token.encode(), session_of(token, port, salt).encode()
        self._hosts: set[Address] = set()
        for text in (*LOOPBACK, *hosts):
            address = _address(text.lower())
            if address is None:
                raise ValueError(f"{brief(text)} is no host name. Write it as in a URL: name, name:port, or an IPv6 address in brackets.")
            self._hosts.update([address] if address[1] else [(address[0], None), (address[0], port)])
        self._failures: deque[float] = deque(maxlen=FAILURES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] not in ("http", "websocket"):
            raise ValueError(f"The guard knows HTTP and sockets, and got {brief(scope['type'])}. Serve it by another way, not through this app.")
        try:
            largest = self._judge(scope)
        except Answer as answer:
            log.info("%s %r answered %d %s", scope.get("method", "WebSocket"), scope["path"], answer.status, answer.code)
            if scope["type"] == "websocket":
                await receive()  # the handshake: its answer may be sent once it was read
            return await answer.send_to(scope, send)
        headers = [(name, value) for name, value in scope["headers"] if name.lower() != b"forwarded" and not name.lower().startswith(b"x-forwarded-")]
        exchange = Exchange(scope, receive, send, largest)
        try:
            await self.app({**scope, "headers": headers}, exchange.receive, exchange.send)
        except Exception:
            if exchange.cut:  # the app learnt that its caller is gone, and the caller has its answer
                return
            if exchange.started:
                raise
            log.exception("%s %r failed", scope.get("method", "WebSocket"), scope["path"])
            crash = refusal(500, "crash", "The server failed on this request.", "Look into the server's log for the reason.")
            await crash.send_to(scope, send)

    def _judge(self, scope: Scope) -> int:
        """The most bytes this request's body may have; raises the Answer to one that may not pass."""
        request = Request(scope)
        own = self._check_host(request)
        length = len(scope.get("raw_path") or scope["path"].encode()) + len(scope["query_string"])
        if length > LONGEST_URL:
            raise refusal(414, "url_length", f"The URL has {length:,} bytes; {LONGEST_URL:,} are the most.", "Send long values in a body.")
        if not scope["path"].startswith("/"):
            raise refusal(400, "path", f"The path is {brief(scope['path'])}.", "Begin it with a slash.")
        if request.method == "OPTIONS":
            allow = (b"allow", b"GET, HEAD, POST, PUT, PATCH, DELETE")
            raise refusal(405, "method", "OPTIONS is not answered: pages of other origins may not call this server.", "Call it from its own pages.", allow)
        given = request.take_token()
        self._check_source(request, own)
        program = self._check_token(request, given)
        if not request.safe and request.one(b"origin", 403) is None and not program:
            fix = "Send `Authorization: Bearer TOKEN` and no cookie, as programs do."
            raise refusal(403, "origin", "The request has no Origin, and no token to show that no page sent it.", fix)
        return self._check_body(request)

    def _check_host(self, request: Request) -> Address:
        """The Host that was asked for, one of ours: a page elsewhere whose name was rebound to this machine names itself here."""
        text = request.one(b"host", 403)
        address = _address((text or "").lower())
        if address not in self._hosts:
            fix = "Use the address that `flowmm serve` printed, or start it with this name among its hosts."
            raise refusal(403, "host", f"The request is for host {brief(text)}, which is not this server's.", fix)
        return address

    def _check_source(self, request: Request, own: Address) -> None:
        """What a browser says of where the request comes from; programs say nothing."""
        site = request.one(b"sec-fetch-site", 403)
        followed = request.safe and request.one(b"sec-fetch-mode", 403) == "navigate" and request.one(b"sec-fetch-dest", 403) == "document"
        if site not in (None, "same-origin", "none") and not followed:
            raise refusal(403, "origin", f"The request comes from a page elsewhere (Sec-Fetch-Site: {brief(site)}).", "Use this server's own pages.")
        origin = request.one(b"origin", 403)
        if request.safe or origin is None:
            return
        scheme, _, rest = origin.partition("://")
        address = _address(rest)
        default = PORTS[request.scheme]
        if scheme != request.scheme or address is None or (address[0], address[1] or default) != (own[0], own[1] or default):
            raise refusal(403, "origin", f"The request comes from a page of {brief(origin)}, not of this server.", "Use this server's own pages.")

    def _check_token(self, request: Request, given: bytes | None) -> bool:
        """Whether it is a program that has the token (else a signed-in browser); raises the way to a session for a page opened with the token."""
        bearer = request.bearer()
        if not self._token:
            return b"cookie" not in request.headers
        signed_in = any(hmac.compare_digest(value, self._session) for value in request.cookies(self.cookie))
        if not request.page:
            given = None
        if signed_in and given is not None:
            raise self._signed_in(request)
        attempt = given if bearer is None else bearer
        right = attempt is not None and self._compare(attempt, signed_in)
        if right and bearer is None:
            raise self._signed_in(request)
        if not right and not signed_in:
            if request.page:
                raise Answer(401, "token", SIGN_IN, b"text/html; charset=utf-8", (b"www-authenticate", b"Bearer"))
            message = "The request has no token." if attempt is None else "The token is wrong."
            fix = "Send `Authorization: Bearer TOKEN` with the token that `flowmm serve` printed, or open the URL it printed in a browser."
            raise refusal(401, "token", message, fix, (b"www-authenticate", b"Bearer"))
        return right

    def _compare(self, attempt: bytes, signed_in: bool) -> bool:
        """Whether the token is right. After too many wrong ones none is compared for a while: those signed in go on as such."""
        now = time.monotonic()
        wait = self._failures[0] + WINDOW - now if len(self._failures) == FAILURES else 0.0
        if wait > 0:
            if signed_in:
                return False
            fix = f"Try again in {math.ceil(wait)} s."
            raise refusal(429, "too_many_attempts", "Too many wrong tokens were tried.", fix, (b"retry-after", str(math.ceil(wait)).encode()))
        right = hmac.compare_digest(attempt, self._token)
        if not right:
            self._failures.append(now)
        return right

    def _signed_in(self, request: Request) -> Answer:
        """To the same page without the token, with a session."""
        scope = request.scope
        raw = scope.get("raw_path") or quote(scope["path"]).encode()
        # Exactly one slash in front, and nothing a browser would drop or turn: else "//name" would be another site.
        path = "/" + quote(raw, safe="/%:@!$&'()*+,;=~").lstrip("/")
        query = quote(scope["query_string"], safe="/%:@!$&'()*+,;=~?")
        cookie = f"{self.cookie}={self._session.decode()}; Path=/; HttpOnly; SameSite=Strict" + "; Secure" * (request.scheme == "https")
        location = (b"location", (path + f"?{query}" * bool(query)).encode())
        return Answer(303, "signed_in", b"", b"text/plain; charset=utf-8", location, (b"set-cookie", cookie.encode()))

    def _check_body(self, request: Request) -> int:
        if request.socket:
            return 0
        allowed = self.bodies(request.scope["path"])
        length = request.one(b"content-length") or "0"
        if not re.fullmatch(r"[0-9]{1,18}", length):
            raise refusal(400, "body_size", f"Content-Length is {brief(length)}.", "Send the body's bytes as a plain number.")
        if int(length) > allowed.largest:
            raise too_large(allowed.largest)
        if int(length) == 0 and b"transfer-encoding" not in request.headers:
            return 0
        media = (request.one(b"content-type", 415) or "").partition(";")[0].strip().lower()
        if not request.safe and media not in allowed.types:
            wanted = " or ".join(sorted(allowed.types))
            raise refusal(415, "content_type", f"The body's content type is {brief(media)}; {wanted} is wanted.", f"Send it as {wanted}.")
        return allowed.largest


class Request:
    """What the rules read of a request. safe: it may change nothing. page: a browser wants to show it."""

    def __init__(self, scope: Scope):
        self.scope = scope
        self.socket = scope["type"] == "websocket"
        self.method = "GET" if self.socket else scope["method"]
        self.safe = self.method in SAFE and not self.socket
        self.scheme = "https" if scope.get("scheme") in ("https", "wss") else "http"
        self.headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            self.headers.setdefault(name.lower(), []).append(value)
        self.page = self.method == "GET" and not self.socket and any(b"text/html" in value.lower() for value in self.headers.get(b"accept", ()))

    def one(self, name: bytes, status: int = 400) -> str | None:
        """A header's value, None if it is not there. Two of it are refused: which one counts is what attacks are made of."""
        values = self.headers.get(name, [])
        if len(values) > 1:
            raise refusal(status, "doubled", f"The request has {len(values)} {name.decode()} headers.", "Send one.")
        return values[0].decode("latin-1").strip(" \t") if values else None

    def bearer(self) -> bytes | None:
        scheme, _, value = (self.one(b"authorization") or "").partition(" ")
        return value.strip(" \t").encode("latin-1") if scheme.lower() == "bearer" else None

    def cookies(self, name: str) -> list[bytes]:
        """Every cookie of this name: servers on other ports of this machine can set one beside ours."""
        pairs = (pair.strip().partition(b"=") for header in self.headers.get(b"cookie", ()) for pair in header.split(b";"))
        return [value for key, _, value in pairs if key == name.encode()]

    def take_token(self) -> bytes | None:
        """The query's token, which is taken out of the scope."""
        parts = [(part, part.partition(b"=")) for part in self.scope["query_string"].split(b"&")]
        found = [value for _, (key, _, value) in parts if _plain(key) == b"token"]
        if found:
            self.scope["query_string"] = b"&".join(part for part, (key, _, _) in parts if _plain(key) != b"token")
        if len(found) > 1:
            raise refusal(400, "doubled", f"The URL has {len(found)} tokens.", "Send one.")
        return _plain(found[0]) if found else None


class Exchange:
    """A request that passed, on its way: counts the body, protects the answer. started: the app began to answer. cut: the body was too large."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, largest: int):
        self._scope, self._receive, self._send, self._largest = scope, receive, send, largest
        self._count = 0
        self.started = self.cut = False

    async def receive(self) -> Message:
        """What the client sends. A body over the bound ends as a client that is gone, so that its beginning is never taken for the whole."""
        message = {"type": "http.disconnect"} if self.cut else await self._receive()
        if message["type"] != "http.request":
            return message
        self._count += len(message.get("body", b""))
        if self._count <= self._largest:
            return message
        self.cut = True
        if not self.started:
            await too_large(self._largest).send_to(self._scope, self._send)
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self.cut:
            return
        self.started = True
        if message["type"] in STARTS:
            message = {**message, "headers": _protected(message.get("headers", ()))}
        await self._send(message)


class Answer(Exception):
    """What the guard says instead of the app."""

    def __init__(self, status: int, code: str, body: bytes, media: bytes, *headers: tuple[bytes, bytes]):
        self.status, self.code, self.body = status, code, body
        self.headers = _protected([(b"content-type", media), (b"content-length", str(len(body)).encode()), (b"cache-control", b"no-store"), *headers])

    async def send_to(self, scope: Scope, send: Send) -> None:
        """Answer; a handshake that the server cannot answer over HTTP is closed, which it tells the client as 403."""
        prefix = ""
        if scope["type"] == "websocket":
            if "websocket.http.response" not in (scope.get("extensions") or {}):
                return await send({"type": "websocket.close", "code": 1011 if self.status == 500 else 1008, "reason": self.code})
            prefix = "websocket."
        await send({"type": f"{prefix}http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": f"{prefix}http.response.body", "body": self.body})


def refusal(status: int, code: str, message: str, fix: str, *headers: tuple[bytes, bytes]) -> Answer:
    """code: for programs, stable. message: what came and what was wanted. fix: what to do."""
    body = json.dumps(failure(code, message, fix)).encode()
    return Answer(status, code, body, b"application/json", *headers)


def too_large(largest: int) -> Answer:
    if not largest:
        return refusal(413, "body_size", "A body came that no header announced.", "Send Content-Length with it.")
    return refusal(413, "body_size", f"The body is larger than {largest:,} bytes, the most taken here.", "Send less.")


def _protected(headers: Headers) -> list[tuple[bytes, bytes]]:
    """These headers with ours in place of the app's, and none that opens the server to other origins."""
    ours = {name for name, _ in PROTECTION}
    kept = [(name, value) for name, value in headers if name.lower() not in ours and not name.lower().startswith(b"access-control-")]
    return [*kept, *PROTECTION, FRAMES]


def _address(text: str) -> Address | None:
    """name[:port] in lower case, taken apart; None if it is anything else."""
    match = re.fullmatch(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9_.-]{1,253})(?::([1-9][0-9]{0,4}))?", text)
    return (match[1], int(match[2]) if match[2] else None) if match else None


def _plain(text: bytes) -> bytes:
    return unquote_plus(text.decode("latin-1"), "latin-1").encode("latin-1")

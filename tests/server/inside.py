"""The whole server without a port: the guard, the app and a desk that begins nothing. And everything it does outside its folder."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import logging
import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, unquote

import flowmm
from flowmm.face.find import shipped
from flowmm.server.app import build, guarded
from flowmm.server.parts import open_parts
from flowmm.server.settings import Limits, Settings

TOKEN = "a-token-of-more-than-thirty-two-characters"
PORT = 8383
HEADERS = {"host": f"127.0.0.1:{PORT}", "authorization": f"Bearer {TOKEN}"}


class Inside:
    """What is submitted here stays in the queue."""

    def __init__(self, home: Path, limits: Limits = Limits(), **settings: Any):
        self.home = home
        self.parts = open_parts(Settings(home=home, token=TOKEN, port=PORT, threads=1, limits=limits, **settings))
        self.app = build(self.parts)
        self.guard = guarded(self.app, self.parts)
        self.loop = asyncio.new_event_loop()

    def ask(self, method: str, path: str, body: bytes = b"", media: str = "application/json", query: str = "", **headers: str) -> SimpleNamespace:
        """One request as it comes from the network: status, headers, body; json() of it."""
        raw = quote(path, safe="/", errors="surrogatepass")
        sent = HEADERS | ({"content-type": media, "content-length": str(len(body))} if body else {}) | {k.replace("_", "-"): v for k, v in headers.items()}
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": unquote(raw), "raw_path": raw.encode(), "query_string": query.encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent.items()], "scheme": "http", "client": ("127.0.0.1", 5000),
            "server": ("127.0.0.1", PORT), "root_path": "",
        }  # fmt: skip
        return self.loop.run_until_complete(self._ask(scope, body))

    async def _ask(self, scope: dict, body: bytes) -> SimpleNamespace:
        coming = [{"type": "http.request", "body": body, "more_body": False}]
        messages = []

        async def receive():
            if coming:
                return coming.pop()
            await asyncio.Event().wait()  # as a client that waits for its answer

        async def send(message):
            messages.append(message)

        await self.guard(scope, receive, send)
        assert messages and messages[0]["type"] == "http.response.start", "the server said nothing"
        data = b"".join(message.get("body", b"") for message in messages[1:])
        headers = {name.decode().lower(): value.decode() for name, value in messages[0]["headers"]}
        return SimpleNamespace(status=messages[0]["status"], headers=headers, body=data, json=lambda: json.loads(data))

    def post(self, path: str, **asked: Any) -> SimpleNamespace:
        return self.ask("POST", path, json.dumps(asked).encode())

    def close(self) -> None:
        self.parts.close()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


def ours(answer: SimpleNamespace) -> None:
    """An answer that is no failure of the server, in the server's own shape, without a word of its inside."""
    shown = f"{answer.status} {answer.body[:2000]!r}"
    assert answer.status < 500, shown
    assert answer.headers["x-content-type-options"] == "nosniff", shown
    assert b"Traceback" not in answer.body and b'.py", line' not in answer.body and b" object at 0x" not in answer.body, shown
    if answer.headers.get("content-type") == "application/json":
        found = json.loads(answer.body.decode(), parse_constant=lambda word: (_ for _ in ()).throw(AssertionError(f"{word} is no JSON: {shown}")))
        if answer.status >= 400:
            error = found["error"]
            assert error["code"] and error["message"] and isinstance(error["fix"], str) and isinstance(error.get("problems", []), list), shown
    else:
        assert answer.status < 400, shown


# ── what it does ────────────────────────────────────────────────────────────────────────────────

_READS = [Path(sys.prefix), Path(sys.base_prefix), Path(sysconfig.get_path("stdlib")), Path(flowmm.__file__).parent.parent, shipped(), Path("/proc"), Path("/sys"),
          Path("/dev/null"), Path("/dev/urandom")]  # fmt: skip
_READS += [Path(spec.origin).parent for name in ("numpy", "PIL", "pydantic", "networkx") if (spec := importlib.util.find_spec(name)) and spec.origin]
_NETWORK = ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.sendto", "urllib.Request", "http.client.connect")
_PROGRAMS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "pickle.find_class", "webbrowser.open")
_CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.utime", "shutil.rmtree", "shutil.move", "shutil.copyfile")
_watching: dict[str, Any] = {}


def _hook(event: str, arguments: tuple) -> None:
    if not _watching:
        return
    found, home = _watching["found"], _watching["home"]
    if event in _NETWORK or event in _PROGRAMS:
        found.append(f"{event} {arguments!r}"[:300])
    elif event == "open" and isinstance(arguments[0], (str, bytes, Path)):
        path = _real(arguments[0])
        writes = isinstance(arguments[2], int) and bool(arguments[2] & 0o3)
        if not path.is_relative_to(home) and (writes or not any(path.is_relative_to(root) for root in _READS)) and path != Path("/dev/null"):
            found.append(f"open {path} {arguments[1:]!r}"[:300])
    elif event in ("os.listdir", "os.scandir") and isinstance(arguments[0], (str, bytes, Path)):
        path = _real(arguments[0])
        if not any(path.is_relative_to(root) for root in (home, *_READS)):
            found.append(f"{event} {path}"[:300])
    elif event in _CHANGES:
        for one in arguments[:2] if event in ("os.rename", "os.link", "os.symlink", "shutil.move", "shutil.copyfile") else arguments[:1]:
            if isinstance(one, (str, bytes, Path)) and not _real(one).is_relative_to(home):
                found.append(f"{event} {arguments!r}"[:300])


def _real(path: Any) -> Path:
    return Path(os.path.realpath(os.fsdecode(path)))


_hooked = False


@contextlib.contextmanager
def watched(home: Path) -> Iterator[list[str]]:
    """What Python does in here, in any thread, besides reading and writing in `home` and reading itself: files, network, programs, pickles."""
    global _hooked
    if not _hooked:
        sys.addaudithook(_hook)
        _hooked = True
    found: list[str] = []
    _watching.update(found=found, home=home.resolve())
    try:
        yield found
    finally:
        _watching.clear()


@contextlib.contextmanager
def crashes() -> Iterator[list[str]]:
    """Whatever is logged as an error in here."""
    found: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(self.format(record))

    handler = Keep(logging.ERROR)
    logging.getLogger().addHandler(handler)
    try:
        yield found
    finally:
        logging.getLogger().removeHandler(handler)

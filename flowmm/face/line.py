"""The line to a server: HTTP that outlives its restarts, the socket of its events, and its refusals as the errors they are."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..graph.problems import GraphError, Problem, Unreadable, sentence

if TYPE_CHECKING:
    import httpx

ENDED = ("done", "failed", "cancelled", "interrupted")
WAIT = 10.0  # seconds that the server holds a question about a run which goes on
SLOW = 30.0  # seconds without a byte after which an answer is given up
JSON = {"Content-Type": "application/json"}


class ServerError(OSError):
    """The server cannot be reached, wants another token, or failed. code: of its refusal, "" if none came."""

    def __init__(self, message: str, code: str = ""):
        self.code = code
        super().__init__(message)


class Line:
    """HTTP to one server, tried again while it is away; everything asked may be asked twice. Raises GraphError, ServerError."""

    def __init__(self, url: str, token: str, patience: float):
        import httpx

        try:
            parsed = httpx.URL(url)
            token = token or parsed.params.get("token", "")
            self.url = str(parsed.copy_with(query=None, fragment=None)).rstrip("/")
            self.headers = {"Authorization": f"Bearer {token}"} if token else {}
            self.http = httpx.Client(base_url=self.url, headers=self.headers, timeout=SLOW)
        except (httpx.InvalidURL, TypeError, UnicodeEncodeError) as error:
            raise ServerError(f"{url!r} with this token cannot be used: {sentence(error)}; give the address that `flowmm serve` printed") from None
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ServerError(f"{url!r} is no address of a server; write it as http://127.0.0.1:8383")
        self.patience = patience

    def ask(self, method: str, path: str, *, patience: float | None = None, **more: Any) -> httpx.Response:
        import httpx

        end = time.monotonic() + (self.patience if patience is None else patience)
        pause = 0.1
        while True:
            try:
                answer = self.http.request(method, path, **more)
                if not _away(answer):
                    return self._accepted(answer)
                why = f"it says {answer.status_code} {answer.reason_phrase}"
            except httpx.TransportError as error:
                why = sentence(error)
            except httpx.HTTPError as error:
                raise ServerError(f"what answers at {self.url} is no flowmm server: {sentence(error)}") from None
            if time.monotonic() + pause > end:
                raise ServerError(f"the server at {self.url} does not answer ({why}); see whether `flowmm serve` runs there")
            time.sleep(pause)
            pause = min(pause * 2, 2.0)

    def json(self, method: str, path: str, **more: Any) -> Any:
        answer = self.ask(method, path, **more)
        try:
            return answer.json()
        except ValueError:
            raise ServerError(f"what answers at {self.url} is no flowmm server; see the address that `flowmm serve` printed") from None

    def socket(self, **query: Any):
        """A socket of events, to be used in `with`. Raises OSError and what websockets raises."""
        from websockets.sync.client import connect

        address = f"ws{self.url.removeprefix('http')}/api/events?" + "&".join(f"{name}={quote(str(value))}" for name, value in query.items())
        return connect(address, additional_headers=self.headers, max_size=64 << 20)

    def _accepted(self, answer: httpx.Response) -> httpx.Response:
        """The answer if it is none of the refusals."""
        if answer.is_success:
            return answer
        if answer.status_code == 401:
            raise ServerError(f"the server at {self.url} wants another token; give connect() the one that `flowmm serve` printed there", "token")
        try:
            error = answer.json()["error"]
            code, message, fix = str(error["code"]), str(error["message"]), str(error["fix"])
            problems = [Problem(**problem) for problem in error.get("problems", ())]
        except (ValueError, KeyError, TypeError):
            raise ServerError(f"what answers at {self.url} is no flowmm server (it says {answer.status_code}); see its address") from None
        if code == "no-graph" or answer.status_code == 400:
            raise Unreadable(problems or [Problem(code, message, fix=fix)])
        if answer.status_code == 422:
            raise GraphError(problems or [Problem(code, message, fix=fix)])
        raise ServerError(f"{message.rstrip('.')}. {fix}".strip(), code)


class Watched:
    """A run that is cancelled when what waits for it is left before its end."""

    def __init__(self, line: Line, id_: str):
        self.line, self.id, self.ended = line, id_, False

    def end(self) -> dict[str, Any]:
        """The run once it has ended; a restart of the server is waited for."""
        while True:
            run = self.line.json("GET", f"/api/runs/{self.id}", params={"wait": WAIT}, timeout=WAIT + SLOW)
            if run["state"] in ENDED:
                self.ended = True
                return run

    def cancel(self) -> None:
        try:
            self.line.ask("POST", f"/api/runs/{self.id}/cancel", content="{}", headers=JSON, patience=1.0)
        except ServerError:
            pass  # what interrupted it is the news

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_: Any) -> None:
        if not self.ended:
            self.cancel()


def _away(answer: httpx.Response) -> bool:
    """Whether a server that is stopping, or a proxy before one that is not there, says so: our own 500 is JSON and is an answer."""
    return answer.status_code in (502, 503, 504) or (answer.status_code == 500 and "json" not in answer.headers.get("content-type", ""))

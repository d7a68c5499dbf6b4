"""The whole server as one ASGI app: routes, and the guard around them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect

from .. import __version__
from ..graph.problems import GraphError, Unreadable
from ..store.codec import Undecodable
from ..store.objects import Damaged
from .forms import Forms
from .guard import FORM, JSON, OPENABLE, PICTURES, Body, Guard
from .journal import JournalError, JournalFull
from .pages import add_pages
from .parts import Parts
from .refusals import Refused, failure
from .routes import asks, events, graphs, runs, sharing, sweeps, values
from .routes.answers_runs import Frame
from .routes.bodies import ANYWHERE, ERRORS, REFUSAL, REQUESTS, WITH_BODY, Json, file
from .tools import Tools

log = logging.getLogger("flowmm.server")
COMPRESSED = 1024  # bytes: shorter answers are sent as they are


def build(parts: Parts) -> FastAPI:
    """The app without its guard."""
    forms, tools = Forms(parts), Tools(parts)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await parts.in_thread(parts.results.sweep, parts.desk.referenced)  # before any run writes, as a file half-written is swept
        left = await parts.in_thread(parts.desk.start)
        if left:
            log.warning("%d runs were under way when the server last ended", len(left))
        try:
            async with tools.running():
                yield
        finally:
            await forms.stop()
            await parts.in_thread(parts.close)

    app = FastAPI(title="flowmm", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None, default_response_class=Json)
    for module in (asks, graphs, runs, sweeps, values, sharing, events):
        app.include_router(module.router(parts))

    @app.get("/metrics", tags=["system"], summary="Counters in Prometheus' format", response_class=Response, responses={200: file("text/plain")})
    def metrics() -> Response:
        return Response(parts.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    add_pages(app)
    app.mount("/app", forms)
    app.add_route("/mcp", tools, include_in_schema=False)
    app.add_middleware(GZipMiddleware, minimum_size=COMPRESSED)
    _explain(app, parts)
    app.openapi = lambda: _openapi(app)
    return app


def guarded(app: Any, parts: Parts) -> Guard:
    """What uvicorn serves: nothing reaches the app but through here."""
    settings = parts.settings
    limits = settings.limits

    def bodies(path: str) -> Body:
        if path == "/api/uploads":
            return Body(PICTURES, limits.upload)
        if path == "/api/open":
            return Body(OPENABLE, limits.upload)
        if path.startswith("/app/") and path.rstrip("/").endswith(("/upload", "/component_server")):
            return Body(FORM, limits.upload + (1 << 16))
        return Body(JSON, limits.body)

    return Guard(app, token=settings.token, port=settings.port, hosts=settings.hosts, bodies=bodies)


def _explain(app: FastAPI, parts: Parts) -> None:
    """Every failure as one shape of JSON; none carries a traceback."""

    def answer(status: int, code: str, message: str, fix: str = "", problems: list | None = None) -> Json:
        parts.metrics.refused(status)
        return Json(failure(code, message, fix, problems or ()), status)

    @app.exception_handler(Refused)
    def refused(request: Request, error: Refused) -> Json:
        parts.metrics.refused(error.status)
        return Json(error.as_json(), error.status)

    @app.exception_handler(GraphError)
    def wrong(request: Request, error: GraphError) -> Json:
        first = error.problems[0]
        status = 400 if isinstance(error, Unreadable) and first.code in ("not-json", "duplicate-key", "not-a-number", "too-deep") else 422
        return answer(status, first.code, str(first), first.fix, [problem.as_json() for problem in error.problems[:200]])

    @app.exception_handler(JournalError)
    def unwritten(request: Request, error: JournalError) -> Json:
        if isinstance(error, JournalFull):
            return answer(507, "disk-full", str(error), "Make room on the disk, then try again.")
        return answer(503, "stopping", str(error), "Try again when the server is back.")

    @app.exception_handler(Damaged)
    @app.exception_handler(Undecodable)
    def damaged(request: Request, error: Exception) -> Json:
        return answer(410, "damaged", str(error), "Run what made it again.")

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Json:
        first = error.errors()[0]
        return answer(422, "bad-request", f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}", "See /openapi.json.")

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Json:
        fix = "See /openapi.json for what there is." if error.status_code in (404, 405) else ""
        made = answer(error.status_code, "no-such-route" if error.status_code == 404 else "http", str(error.detail).lower(), fix)
        made.headers.update(error.headers or {})
        return made

    @app.exception_handler(ClientDisconnect)
    def gone(request: Request, error: ClientDisconnect) -> Json:
        """It left in the middle of its request, and hears nothing of this."""
        return answer(400, "gone", "the request ended before it was whole", "Send it again.")

    @app.exception_handler(Exception)
    def crashed(request: Request, error: Exception) -> Json:
        """Logged by the framework, which raises it again behind this answer."""
        return answer(500, "crash", "the server failed on this request", "Look into the server's log for the reason.")


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        made = get_openapi(title="flowmm", version=__version__, routes=app.routes)
        schemas = made.setdefault("components", {}).setdefault("schemas", {})
        schemas["Refusal"] = REFUSAL
        schemas.update({model.__name__: model.model_json_schema() for model in REQUESTS})
        schemas["Frame"] = TypeAdapter(Frame).json_schema(ref_template="#/components/schemas/{model}")  # of the socket, which OpenAPI cannot describe
        schemas["Frame"].pop("$defs")  # they are among the schemas already
        schemas.pop("HTTPValidationError", None), schemas.pop("ValidationError", None)
        made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        made["security"] = [{"token": []}]
        for operation in (one for path in made["paths"].values() for one in path.values()):
            for status in ANYWHERE + (WITH_BODY if "requestBody" in operation else ()):
                operation["responses"].setdefault(str(status), ERRORS[status])
        app.openapi_schema = made
    return app.openapi_schema

"""Runs: submit, look, cancel, move, retry, delete; what they gave; the trace of one."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from ...graph.document import Document
from ..desk import Asked
from ..journal import ENDED, STATES, Output, Run
from ..parts import Parts
from ..refusals import Refused
from ..trace import trace
from .answers_runs import Deleted, GalleryItem, Queue, RunShape, SubmittedRun, Trace
from .bodies import ERRORS, Json, MoveRequest, RunRequest, body, takes
from .values import SERVED, Shape, served

LONGEST_WAIT = 60.0  # seconds
State = Annotated[list[str] | None, Query(description=f"Only runs in these states: {', '.join(STATES)}.")]
Before = Annotated[int | None, Query(description="Only what has a smaller number, to turn the page.", ge=-(2**62), le=2**62)]
Limit = Annotated[int, Query(ge=1, le=500)]


def shown(parts: Parts, run: Run, whole: bool = True) -> dict[str, Any]:
    """A run as JSON. whole: with its inputs, outputs and what it is at."""
    found: dict[str, Any] = {
        "id": run.id, "number": run.number, "name": run.name, "title": run.title, "state": run.state, "source": run.source, "submitted": run.submitted,
        "started": run.started, "finished": run.finished, "seconds": run.seconds, "executed": run.executed, "cached": run.cached, "error": run.error,
        "attempt": run.attempt, "parent": run.parent, "sweep": run.sweep, "device": run.device, "graph": run.graph,
    }  # fmt: skip
    if whole:
        found |= {"inputs": run.inputs, "targets": run.targets, "outputs": {one.name: output(one) for one in parts.journal.outputs(run.id)}}
        if run.state == "queued":
            found["place"] = parts.journal.position(run.id)
        live = parts.desk.live(run.id)
        if live is not None:
            found["live"] = live
    return found


def output(one: Output) -> dict[str, Any]:
    return {"key": one.key, "type": one.type, "summary": one.summary}


def router(parts: Parts) -> APIRouter:
    routes = APIRouter(prefix="/api", tags=["runs"], responses={status: ERRORS[status] for status in (404, 409, 410, 413, 422, 507)})
    desk, journal = parts.desk, parts.journal

    @routes.post(
        "/runs", response_model=SubmittedRun, status_code=202, summary="Submit a run; on the answer it is in the journal", openapi_extra=takes(RunRequest)
    )
    async def submit(asked: RunRequest = body(RunRequest)) -> Json:
        wanted = Asked(asked.graph, asked.inputs, asked.targets, asked.name, asked.key)
        begin = {"epoch": parts.hub.epoch, "since": parts.hub.seq}  # what a socket asks for to have all of its events
        run = await asyncio.wrap_future(await parts.in_thread(desk.submit, wanted))
        return Json(shown(parts, run, whole=False) | {"events": begin}, 202, {"Location": f"/api/runs/{run.id}"})

    @routes.get("/runs", response_model=list[RunShape], summary="Runs, newest first")
    def list_runs(state: State = None, before: Before = None, limit: Limit = 50) -> Json:
        unknown = sorted(set(state or ()) - set(STATES))
        if unknown:
            raise Refused(422, "no-such-state", f"there is no state {unknown[0][:40]!r}", f"There are {', '.join(STATES)}.")
        return Json([shown(parts, run, whole=False) for run in journal.page(state, before, limit)])

    @routes.get("/queue", response_model=Queue, summary="What runs and what waits, in order")
    def queue(limit: Limit = 100) -> Json:
        running = [shown(parts, run) for run in journal.page(["running"])]
        return Json({"running": running, "waiting": [shown(parts, run, whole=False) for run in journal.queue(limit)], "count": journal.counts()["queued"]})

    @routes.get("/runs/{id}", response_model=RunShape, summary="One run; with `wait`, once it has ended or so many seconds have passed")
    async def read_run(id: str, wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT)] = 0.0) -> Json:
        if wait:
            ended = asyncio.wrap_future(await parts.in_thread(desk.when_ended, id))
            try:
                await asyncio.wait([ended], timeout=wait)
            except asyncio.CancelledError:  # by the server, which stops
                raise Refused(503, "stopping", "the server is stopping", "Ask again when it is back.") from None
        return Json(await parts.in_thread(lambda: shown(parts, desk.get(id))))

    @routes.get("/runs/{id}/graph", response_model=Document, summary="The document that was run")
    def read_graph(id: str) -> Response:
        return Response(journal.document(desk.get(id).graph), media_type="application/json")

    @routes.post("/runs/{id}/cancel", response_model=RunShape, summary="Cancel a waiting run; a running one stops at its next step")
    def cancel(id: str) -> Json:
        return Json(shown(parts, desk.cancel(id)))

    @routes.post("/runs/{id}/move", response_model=RunShape, summary="Give a waiting run another place", openapi_extra=takes(MoveRequest))
    def move(id: str, asked: MoveRequest = body(MoveRequest)) -> Json:
        return Json(shown(parts, desk.move(id, asked.to)))

    @routes.post("/runs/{id}/retry", response_model=RunShape, status_code=202, summary="Run an ended run again, as a new one")
    async def retry(id: str) -> Json:
        run = await asyncio.wrap_future(await parts.in_thread(desk.retry, id))
        return Json(shown(parts, run, whole=False), 202, {"Location": f"/api/runs/{run.id}"})

    @routes.delete("/runs/{id}", response_model=Deleted, summary="Forget an ended run and what only it needs")
    def delete(id: str) -> Json:
        desk.delete(id)
        return Json({"deleted": id})

    @routes.get("/runs/{id}/outputs/{name}", summary="An output as a file; a picture carries the graph that made it", **SERVED)
    def read_output(
        id: str, name: str, shape: Shape = "file", item: Annotated[int, Query(ge=0)] = 0, size: Annotated[int, Query(ge=16, le=1024)] = 256
    ) -> Response:
        run = desk.get(id)
        found = next((one for one in journal.outputs(id) if one.name == name), None)
        if found is None:
            why = f"it is {run.state}" if run.state not in ENDED or run.state != "done" else "it was not among its targets"
            raise Refused(404, "no-such-output", f"the run {id} has no output `{name[:60]}`: {why}", "GET /api/runs/ID lists its outputs.")
        return served(parts, found.key, found.type, shape, item, size, name, run)

    @routes.get("/runs/{id}/trace", response_model=Trace, summary="Where the time went, as a file that Perfetto and chrome://tracing open")
    def read_trace(id: str) -> Json:
        return Json(trace(desk.get(id)), headers={"Content-Disposition": f'attachment; filename="{id}.trace.json"'})

    @routes.get("/gallery", response_model=list[GalleryItem], summary="The latest outputs with what made them")
    def gallery(
        before: Before = None,
        limit: Limit = 50,
        type: Annotated[list[str] | None, Query(description="Only of these types, as in Image.")] = None,
        name: Annotated[str | None, Query(description="Only of the graph of this name.")] = None,
    ) -> Json:
        rows = journal.gallery(before, limit, type, name)
        return Json([{"number": one.number, "run": run.id, "output": one.name, **output(one), "name": run.name, "title": run.title, "finished": run.finished}
                     for one, run in rows])  # fmt: skip

    return routes

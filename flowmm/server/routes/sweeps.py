"""Sweeps: a graph run for many values of its inputs. Submit, look, cancel; the labelled sheet and the table."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from .. import sweeps
from ..desk import Asked
from ..parts import Parts
from ..refusals import Refused
from .answers_runs import SubmittedSweep, SweepShape
from .bodies import ERRORS, Json, SweepRequest, body, file, takes


def router(parts: Parts) -> APIRouter:
    routes = APIRouter(prefix="/api/sweeps", tags=["runs"], responses={status: ERRORS[status] for status in (404, 410, 413, 422, 507)})
    desk = parts.desk

    @routes.post(
        "", response_model=SubmittedSweep, status_code=202, summary="Submit a sweep: on the answer all its runs are in the journal", openapi_extra=takes(SweepRequest)
    )
    async def submit(asked: SweepRequest = body(SweepRequest)) -> Json:
        if not asked.axes:
            raise Refused(422, "no-axes", "a sweep needs an input that takes several values", "Give `axes`, or submit a run.")
        wanted = Asked(asked.graph, asked.inputs, asked.targets, asked.name, asked.key, axes=asked.axes, combine=asked.combine)
        begin = {"epoch": parts.hub.epoch, "since": parts.hub.seq}
        id_ = await asyncio.wrap_future(await parts.in_thread(desk.sweep, wanted))
        shown = await parts.in_thread(lambda: sweeps.shown(parts, sweeps.found(parts, id_)))
        return Json(shown | {"events": begin}, 202, {"Location": f"/api/sweeps/{id_}"})

    @routes.get("/{id}", response_model=SweepShape, summary="A sweep: its cells, each with its run and what that gave so far")
    def read_sweep(id: str) -> Json:
        return Json(sweeps.shown(parts, sweeps.found(parts, id)))

    @routes.post("/{id}/cancel", response_model=SweepShape, summary="Cancel all its runs that have not ended")
    def cancel(id: str) -> Json:
        sweeps.found(parts, id)
        desk.cancel_sweep(id)
        return Json(sweeps.shown(parts, sweeps.found(parts, id)))

    @routes.get("/{id}/sheet", summary="Its pictures so far on one sheet, with labels", response_class=Response, responses={200: file("image/png")})
    def read_sheet(
        id: str,
        output: Annotated[str, Query(description="Which output; by default the first that has pictures.", max_length=200)] = "",
        side: Annotated[int, Query(ge=32, le=512, description="Pixels of a cell's longer side.")] = sweeps.SHEET_SIDE,
    ) -> Response:
        data = sweeps.sheet(parts, sweeps.found(parts, id), output, side)
        return Response(data, media_type="image/png", headers={"Cache-Control": "no-cache", "Content-Disposition": 'inline; filename="sheet.png"'})

    @routes.get(
        "/{id}/table", summary="Its table: a row a cell", response_class=Response, responses={200: file(*(media for _, media in sweeps.TABLES.values()))}
    )
    def read_table(id: str, form: Annotated[Literal["csv", "jsonl"], Query(alias="as")] = "csv") -> Response:
        write, media = sweeps.TABLES[form]
        data = write(sweeps.table(parts, sweeps.found(parts, id)))
        return Response(data, media_type=media, headers={"Cache-Control": "no-cache", "Content-Disposition": f'attachment; filename="sweep.{form}"'})

    return routes

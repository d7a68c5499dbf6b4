"""Files that are opened, pictures that carry their graph, scripts, older graphs, and what the gallery of graphs shows."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from ...face.sheet import PICTURE
from .. import covers, opening
from ..parts import Parts
from ..refusals import Refused
from .answers import Carried, Covers, Opened, Upgraded
from .bodies import ERRORS, GraphRequest, Json, UpgradeRequest, body, file, takes


def router(parts: Parts) -> APIRouter:
    routes = APIRouter(prefix="/api", tags=["graphs"], responses={status: ERRORS[status] for status in (404, 422)})

    @routes.get("/covers", response_model=Covers, summary="What each graph gave last, or as it comes: a picture, a text")
    def read_covers() -> Json:
        return Json(covers.covers(parts))

    @routes.get("/covers/sheet", summary="The pictures of the shipped graphs, on one sheet", response_class=Response, responses={200: file("image/webp")})
    def read_sheet() -> Response:
        try:
            data = (covers.folder() / PICTURE).read_bytes()
        except OSError:
            raise Refused(404, "no-sheet", "this copy of flowmm has no pictures of its graphs", "`flowmm demo --sheet FOLDER` makes them.") from None
        return Response(data, media_type="image/webp", headers={"Cache-Control": "private, max-age=31536000, immutable"})

    @routes.post("/open", response_model=Opened, summary="Read a graph's file: JSON, or a PNG that carries its graph; also of ComfyUI", openapi_extra={
        "requestBody": {"required": True, "content": {
            "application/json": {"schema": {"type": "object"}}, "image/png": {"schema": {"type": "string", "format": "binary"}}}}})  # fmt: skip
    async def open_file(request: Request) -> Json:
        return Json(await parts.in_thread(opening.opened, parts, await request.body()))

    @routes.post("/carried", response_model=Carried, summary="What a picture of this graph would carry, so that it opens it", openapi_extra=takes(GraphRequest))
    def read_carried(asked: GraphRequest = body(GraphRequest)) -> Json:
        graph, _ = parts.library.open(asked.graph, asked.name)
        return Json(opening.carried(parts, graph, asked.inputs) | {"name": asked.name or graph.name})

    @routes.post("/export", summary="A graph as a Python script that gives the same", response_class=Response, responses={200: file("text/x-python")},
                 openapi_extra=takes(GraphRequest))  # fmt: skip
    def export(asked: GraphRequest = body(GraphRequest)) -> Response:
        graph, _ = parts.library.open(asked.graph, asked.name)
        return Response(opening.script(graph), media_type="text/x-python")

    @routes.post("/upgrade", response_model=Upgraded, summary="A graph with its older nodes brought to the versions that are installed",
                 openapi_extra=takes(UpgradeRequest))  # fmt: skip
    def upgrade(asked: UpgradeRequest = body(UpgradeRequest)) -> Json:
        graph, _ = parts.library.open(asked.graph, asked.name)
        return Json(opening.brought_up(graph, asked.nodes))

    return routes

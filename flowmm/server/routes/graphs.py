"""Saved graphs: read, save without overwriting another's work, rename, delete to the trash, history."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from ...graph.document import Document
from ..parts import Parts
from ..refusals import Refused
from .answers import ListedGraph, Name, SavedGraph, Trashed, TrashId, Version
from .bodies import ERRORS, UNCHANGED, Json, RenameRequest, body, takes

Match = Annotated[str | None, Header(alias="If-Match", description="The ETag of the version that was edited.")]
NoneMatch = Annotated[str | None, Header(alias="If-None-Match", description="`*`: the graph must not exist yet.")]


def router(parts: Parts) -> APIRouter:
    routes = APIRouter(prefix="/api", tags=["graphs"], responses={status: ERRORS[status] for status in (404, 409, 412, 413, 422, 428, 507)})
    saved = parts.saved

    @routes.get("/graphs", response_model=list[ListedGraph], summary="Every graph by name: the shipped ones and one's own")
    def list_graphs() -> Json:
        return Json([one.as_json() for one in saved.list()])

    @routes.get("/graphs/{name}", response_model=Document, summary="A graph's document, with its ETag", responses={304: UNCHANGED})
    def read_graph(name: str, request: Request) -> Response:
        data, etag, own = saved.read(name)
        headers = {"ETag": etag, "Cache-Control": "no-cache", "X-Flowmm-Own": str(own).lower()}
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(data, media_type="application/json", headers=headers)

    @routes.put("/graphs/{name}", response_model=SavedGraph, summary="Save a graph; the version before goes to its history", openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}})  # fmt: skip
    async def save_graph(name: str, request: Request, match: Match = None, none_match: NoneMatch = None) -> Json:
        data = await request.body()
        if none_match not in (None, "*"):
            raise Refused(400, "bad-precondition", "If-None-Match takes `*` here", "Send `*` for a new graph, or If-Match with an ETag.")
        etag = await parts.in_thread(saved.save, name, data, match=match, none_match=none_match == "*")
        return Json({"name": name, "etag": etag}, headers={"ETag": etag})

    @routes.delete("/graphs/{name}", response_model=TrashId, summary="Move a graph to the trash")
    def delete_graph(name: str, match: Match = None) -> Json:
        return Json({"trash": saved.delete(name, match)})

    @routes.post(
        "/graphs/{name}/rename", response_model=SavedGraph, summary="Give a graph another name; its history goes along", openapi_extra=takes(RenameRequest)
    )
    def rename_graph(name: str, match: Match = None, asked: RenameRequest = body(RenameRequest)) -> Json:
        etag = saved.rename(name, asked.to, match)
        return Json({"name": asked.to, "etag": etag}, headers={"ETag": etag})

    @routes.get("/graphs/{name}/history", response_model=list[Version], summary="Earlier versions, newest first")
    def history(name: str) -> Json:
        return Json(saved.history(name))

    @routes.get("/graphs/{name}/history/{etag}", response_model=Document, summary="An earlier version's document")
    def version(name: str, etag: str) -> Response:
        return Response(saved.version(name, etag), media_type="application/json")

    @routes.get("/trash", response_model=list[Trashed], summary="Deleted graphs")
    def trash() -> Json:
        return Json(saved.trash())

    @routes.post("/trash/{number}/restore", response_model=Name, summary="Bring a deleted graph back")
    def restore(number: str) -> Json:
        return Json({"name": saved.restore(number)})

    @routes.delete("/trash/{number}", response_model=Name, summary="Delete for good what is in the trash")
    def forget(number: str) -> Json:
        return Json({"name": saved.forget(number)})

    return routes

"""Values by key, and pictures that come in."""

from __future__ import annotations

import io
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from ...face.result import files
from ...sockets import SOCKETS, Image, NotAccepted, Text
from ...sockets.images import contact, open_picture, pictures_of
from ..journal import Run
from ..opening import carried
from ..parts import Parts
from ..refusals import Refused
from ..shown import shown
from ..uploads import MEDIA as PICTURES
from .answers_runs import UploadShape
from .bodies import ERRORS, Json, file

Shape = Annotated[
    Literal["file", "thumbnail", "sheet", "json", "value"],
    Query(description="A file that people open; a small JPEG of one picture, or of all; what a page draws (ShownValue); or the value itself, for flowmm.connect."),
]
Size = Annotated[int | None, Query(ge=16, le=1024, description="Pixels of the longer side of a small JPEG.")]
MEDIA = {".png": "image/png", ".csv": "text/csv; charset=utf-8", ".json": "application/json", ".txt": "text/plain; charset=utf-8"}
VALUE = "application/vnd.flowmm.value"
SERVED: dict[str, Any] = {  # what the API's document says of it
    "response_class": Response,
    "responses": {200: file(*(kind.partition(";")[0] for kind in MEDIA.values()), "image/jpeg", VALUE), 406: ERRORS[406], 410: ERRORS[410]},
}


def served(parts: Parts, key: str, type_: str, shape: str, item: int, size: int, stem: str, run: Run | None = None) -> Response:
    """A value in the shape asked for. run: what made it; a PNG then carries its graph and inputs. Raises Refused."""
    headers = {"ETag": f'"{key}"', "Cache-Control": "private, max-age=31536000, immutable" if run is None else "no-cache"}
    try:
        if shape == "value":
            return Response(parts.results.encoded(key), media_type=VALUE, headers=headers)
        if shape == "json":
            return Json(shown(parts.results.as_encoded(key), item), headers=headers)
        _for_people(type_)
        value = parts.results.get(key)
    except KeyError:
        raise Refused(404, "no-such-value", f"there is no value `{key[:60]}` here", "Run what made it again.") from None
    except IndexError:
        raise Refused(404, "no-such-item", f"there is no slice {item} of it", "Count from 0.") from None
    if shape == "thumbnail":
        return Response(_thumbnail(value, item, size), media_type="image/jpeg", headers=headers)
    if shape == "sheet":
        return Response(_sheet(value, size), media_type="image/jpeg", headers=headers)
    if run is not None:
        value = _signed(parts, value, run)
    found = list(files(value, stem))
    if item >= len(found):
        raise Refused(404, "no-such-item", f"it has {len(found)} item{'s' * (len(found) != 1)}, so there is no item {item}", "Count from 0.")
    name, data = found[item]
    media = MEDIA[name[name.rindex(".") :]]
    disposition = "inline" if media == "image/png" else "attachment"
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in name)
    return Response(data, media_type=media, headers=headers | {"Content-Disposition": f'{disposition}; filename="{safe}"'})


def _for_people(type_: str) -> None:
    """Values that hold tensors are handed on as they are: looking into them would need torch, which this process does without."""
    inner = type_.removeprefix("list[").rstrip("]")
    cls = SOCKETS.get(inner)
    if cls is not None and not cls.host and cls is not Text:
        raise Refused(406, "no-file", f"a {inner} has no file that people open", "Ask for shape=value, or wire it to a node that decodes it.")


def _thumbnail(value: Any, item: int, size: int) -> bytes:
    found = pictures_of(value)
    if item >= len(found):
        raise Refused(406, "no-picture", f"it has {len(found)} pictures, so there is no thumbnail {item}", "Ask for another item, or for shape=file.")
    picture, index = found[item]
    return thumbnail(picture.to_pil(index), size)


def _sheet(value: Any, size: int) -> bytes:
    sheet = contact(value, size)
    if sheet is None:
        raise Refused(406, "no-picture", "it has no pictures", "Ask for shape=file.")
    return thumbnail(sheet, size)


def thumbnail(picture: Any, size: int) -> bytes:
    """A PIL picture as a JPEG of at most so many pixels a side."""
    shown = picture.convert("RGB")
    shown.thumbnail((size, size))
    buffer = io.BytesIO()
    small = max(shown.size) <= 128  # is shown enlarged, where one sees what JPEG does to colours
    shown.save(buffer, "JPEG", quality=95 if small else 85, subsampling=0 if small else -1)
    return buffer.getvalue()


def _signed(parts: Parts, value: Any, run: Run) -> Any:
    """The same pictures, which know the graph and inputs they come from."""
    if isinstance(value, list):
        return [_signed(parts, item, run) for item in value]
    if not isinstance(value, Image):
        return value
    copy = type(value)(value.pixels)

    def made_by() -> dict[str, Any]:
        return carried(parts, parts.library.of_bytes(parts.journal.document(run.graph), run.name), run.inputs)

    object.__setattr__(copy, "origin", made_by)
    return copy


def router(parts: Parts) -> APIRouter:
    routes = APIRouter(prefix="/api", tags=["values"], responses={status: ERRORS[status] for status in (404, 410, 413, 415, 422, 507)})

    @routes.get("/values/{key}", summary="A value by its key", **SERVED)
    def read_value(key: str, shape: Shape = "file", item: Annotated[int, Query(ge=0)] = 0, size: Annotated[int, Query(ge=16, le=1024)] = 256) -> Response:
        type_ = parts.journal.type_of(key)
        if type_ is None:
            raise Refused(404, "no-such-value", f"there is no value `{key[:60]}` here", "Run what made it again.")
        return served(parts, key, type_, shape, item, size, key[:16])

    @routes.post("/uploads", response_model=UploadShape, status_code=201, summary="Keep a picture: PNG, JPEG or WebP", openapi_extra={"requestBody": {"required": True, "content": {
        kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("image/png", "image/jpeg", "image/webp")}}})  # fmt: skip
    async def upload(request: Request) -> Json:
        data = await request.body()
        return Json((await parts.in_thread(parts.uploads.add, data)).as_json(), 201)

    @routes.get("/uploads", response_model=list[UploadShape], summary="Pictures that were uploaded, newest first")
    def list_uploads(limit: Annotated[int, Query(ge=1, le=500)] = 100) -> Json:
        return Json([one.as_json() for one in parts.uploads.listing(limit)])

    @routes.get("/uploads/{id}", summary="An uploaded picture; with `size`, no larger than that", response_class=Response, responses={200: file(*PICTURES.values())})
    def read_upload(id: str, size: Size = None) -> Response:
        path = parts.uploads.path(id)
        if size is not None:
            return Response(thumbnail(parts.uploads.open(id).to_pil(), size), media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})
        return Response(
            path.read_bytes(),
            media_type=PICTURES[path.suffix[1:]],
            headers={"Content-Disposition": f'attachment; filename="{path.name}"', "Cache-Control": "private, max-age=3600"},
        )

    @routes.get(
        "/pictures",
        summary="A picture that a graph names by its path, as a PNG",
        response_class=Response,
        responses={200: file("image/png", "image/jpeg")},
    )
    def read_picture(
        path: Annotated[str, Query(description="As the graph has it; nothing outside its folder and the allowed roots is reached.", max_length=4096)],
        graph: Annotated[str, Query(description="The saved graph beside which relative paths start.", max_length=200)] = "",
        size: Size = None,
    ) -> Response:
        beside, _ = parts.library.open({"flowmm": 1, "nodes": {}, "outputs": {}}, graph)
        try:
            picture = open_picture(beside.folder.resolve(path))
        except NotAccepted as error:
            raise Refused(404, "no-picture", str(error), "Give another path, or upload the picture.") from None
        headers = {"Cache-Control": "no-cache"}
        if size is not None:
            return Response(thumbnail(picture, size), media_type="image/jpeg", headers=headers)
        buffer = io.BytesIO()
        picture.convert("RGB").save(buffer, "PNG")
        return Response(buffer.getvalue(), media_type="image/png", headers=headers)

    return routes

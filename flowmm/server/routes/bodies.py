"""Requests and answers as JSON: strict on the way in, always writable on the way out."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, Literal

from fastapi import Depends, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError

from ...graph.document import measure, parse
from ...graph.problems import Problem, shorten
from ..parts import Parts
from ..refusals import Refused


class Json(JSONResponse):
    """Whatever a value holds: lone surrogates are escaped, numbers that JSON does not know are null."""

    def render(self, content: Any) -> bytes:
        try:
            return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        except ValueError:  # UnicodeEncodeError among them
            return json.dumps(_finite(content), separators=(",", ":")).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value


def body(model: type[BaseModel]) -> Any:
    """The request's JSON as this model. Raises Refused with every reason."""

    async def read(request: Request) -> BaseModel:
        return await Parts.in_thread(_read, model, await request.body())  # 32 MB of JSON would hold up everybody for a second

    return Depends(read)


def _read(model: type[BaseModel], data: bytes) -> BaseModel:
    raw = parse(data, "the request")
    found = measure(raw)
    if found:
        code, message, fix = found[0]
        raise Refused(422, code, f"in the request: {message}", fix)
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        problems = [_problem(detail) for detail in details[:20]]
        raise Refused(422, "bad-request", f"the request is not as it should be: {problems[0].message}", problems[0].fix, problems) from None


def _problem(detail: Any) -> Problem:
    where = ".".join(map(str, detail["loc"])) or "the whole"
    return Problem("bad-request", f"{where}: {detail['msg'].lower()}", got=shorten(repr(detail.get("input"))), fix="See /openapi.json.")


def takes(model: type[BaseModel]) -> dict[str, Any]:
    """What the API's document says of a body that is read here; the schema itself is among REQUESTS."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}}}


GraphIn = Annotated[str | dict[str, Any], Field(description="A saved graph's name, or a whole graph document.")]
InputsIn = Annotated[
    dict[str, Any], Field(description='Inputs by name: plain values, {"upload": id} or {"value": key}, or lists of these. Others have their defaults.')
]


class GraphRequest(BaseModel):
    graph: GraphIn
    inputs: InputsIn = Field(default_factory=dict)
    name: Annotated[str, Field(description="The saved graph that the document is an edit of; its relative paths start there.", max_length=200)] = ""


class Axes(BaseModel):
    """Of a sweep."""

    axes: Annotated[
        dict[str, list[Any] | str],
        Field(max_length=16, description="By input the values that it takes, as a list or in words: 0..7, 0..1..0.25, a,b,c, or one a line; "
                                         "of an input of lists one list a line."),
    ] = Field(default_factory=dict)
    combine: Annotated[
        Literal["product", "zip"], Field(description="Each value of one axis with each of the others, or the first of all, the second of all …")
    ] = "product"


class AxisRequest(BaseModel):
    text: Annotated[str, Field(description="As people write it.", max_length=1_000_000)]
    name: Annotated[str, Field(description="Of what is to take the values.", max_length=1000)] = "it"
    lists: Annotated[bool, Field(strict=True, description="Each line is a list, written so.")] = False
    texts: Annotated[bool, Field(strict=True, description="What looks like a number is a text as well.")] = False


class CheckRequest(GraphRequest, Axes):
    pass


class CompatibleRequest(GraphRequest):
    node: Annotated[str, Field(description="A node's name, or `input` for the graph's own inputs.", max_length=1000)]
    port: Annotated[str, Field(max_length=1000)]
    side: Annotated[str, Field(description="Which end of a wire is held: an `output` or an `input`.", pattern="^(output|input)$")]


class FittingRequest(GraphRequest):
    node: Annotated[str, Field(description="A node's name, or `input` for the graph's own inputs.", max_length=1000)]
    port: Annotated[str, Field(description="An input that takes a model.", max_length=1000)]


class NodeRequest(GraphRequest):
    node: Annotated[str, Field(description="A node's name.", max_length=1000)]


class UpgradeRequest(GraphRequest):
    nodes: Annotated[list[str] | None, Field(description="The nodes that are meant; without it all that are older.", max_length=10_000)] = None


class TargetsRequest(GraphRequest):
    targets: Annotated[
        list[str] | None, Field(description='The outputs wanted, or edges as "node.output"; without it every output of the graph.', max_length=1000)
    ] = None


class PlanRequest(TargetsRequest, Axes):
    pass


class LookRequest(GraphRequest):
    edge: Annotated[str, Field(description='Where the wire begins: "node.output", or "input.name".', max_length=2000)]
    item: Annotated[int, Field(ge=0, strict=True, description="Which slice of a stack of maps.")] = 0


class RunRequest(TargetsRequest):
    key: Annotated[str | None, Field(description="Your own name for this request: asked again under it, the first run is returned.", max_length=200)] = None


class SweepRequest(PlanRequest):
    key: Annotated[str | None, Field(description="Your own name for this request: asked again under it, the first sweep is returned.", max_length=200)] = None


class MoveRequest(BaseModel):
    to: Annotated[int, Field(ge=0, le=1_000_000, strict=True, description="The place in the queue, 0 being the next.")]


class RenameRequest(BaseModel):
    to: Annotated[str, Field(max_length=200, description="The new name.")]


REQUESTS = (
    GraphRequest, AxisRequest, CheckRequest, CompatibleRequest, FittingRequest, NodeRequest, UpgradeRequest, PlanRequest, LookRequest, RunRequest, SweepRequest,
    MoveRequest, RenameRequest,
)  # fmt: skip
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}}
    for status, text in {400: "It cannot be read.", 401: "No token.", 403: "Not allowed.", 404: "Not here.", 406: "Not in this shape.",
                         409: "Not in this state.", 410: "Damaged since it was written.", 412: "Changed meanwhile.", 413: "Too large.",
                         414: "The address is too long.", 415: "Another content type is wanted.", 422: "It cannot be done as asked.",
                         428: "If-Match or If-None-Match is wanted.", 429: "Too much at once.", 503: "The server is stopping.",
                         507: "The disk is full."}.items()
}  # fmt: skip
UNCHANGED = {"description": "It is as If-None-Match says."}
ANYWHERE = (400, 401, 403, 414, 429, 503)  # what the guard, or a server that stops, says to any request
WITH_BODY = (413, 415)  # and to one with a body


def file(*media: str) -> dict[str, Any]:
    """What the API's document says of an answer that is no JSON of a known shape."""
    return {"description": "Successful Response", "content": {kind: {} for kind in media}}
REFUSAL = {
    "type": "object", "required": ["error"],
    "properties": {"error": {"type": "object", "required": ["code", "message"], "properties": {
        "code": {"type": "string"}, "message": {"type": "string"}, "fix": {"type": "string"},
        "problems": {"type": "array", "items": {"type": "object"}}}}},
}  # fmt: skip

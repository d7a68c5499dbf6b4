"""Tools: every saved graph as a tool of the Model Context Protocol, all under /mcp (streamable HTTP, no sessions).

Pictures go in as {"upload": id}, {"value": key} or {"base64": the bytes of a PNG, JPEG or WebP}; they come out as image content.
Host, Origin and the token are the guard's: the SDK's own checks would only know fewer addresses.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import json
import logging
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from .. import __version__
from ..face.graph import Graph
from ..graph.check import UNSET
from ..graph.document import parse, words
from ..graph.problems import GraphError
from ..graph.signature import Parameter
from ..sockets import Image, Seed, Text
from ..sockets.images import pictures_of
from ..sockets.types import NONE, Choice, ListOf, Plain, Socket, Type, Union, Var
from ..sockets.values import LARGEST_SEED
from .desk import Asked
from .following import Follower, Unfinished
from .forms_fields import exact, is_plain, readable
from .journal import Output
from .parts import Parts
from .refusals import Refused
from .results import Damaged, Undecodable

log = logging.getLogger("flowmm.server")
LONGEST_NAME = 64  # characters of a tool's name that every client takes
MOST_NUMBERS = 10_000  # of a value that is told whole
INSTALL = "tools need the `mcp` package, which is not installed; run `pip install 'flowmm[mcp]'` and start the server again"
PLAIN = {int: {"type": "integer"}, float: {"type": "number"}, bool: {"type": "boolean"}, str: {"type": "string"}}
PICTURE = {
    "type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": False,
    "properties": {
        "base64": {"type": "string", "description": "The bytes of a PNG, JPEG or WebP."},
        "upload": {"type": "string", "description": "The id of an upload."},
        "value": {"type": "string", "description": "The key of a value that a run gave."},
    },
}  # fmt: skip
VALUE = {"type": "object", "properties": {"value": {"type": "string", "description": "The key of a value that a run gave."}}, "required": ["value"],
         "additionalProperties": False}  # fmt: skip


class Tools:
    """The ASGI app at /mcp. It answers while `async with running()`."""

    def __init__(self, parts: Parts):
        self.parts = parts
        self._manager: Any = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Ready to begin; the SDK is imported at the first request."""
        self._begun, self._starting, self._end = asyncio.Event(), asyncio.Lock(), asyncio.Event()
        self._living: asyncio.Task | None = None
        try:
            yield
        finally:
            self._end.set()
            if self._living is not None:
                await asyncio.gather(self._living, return_exceptions=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._manager is None:
            await self._start()
        if scope["method"] != "POST":  # without sessions there is nothing to listen to, and nothing to end
            raise HTTPException(405, "tools are asked by POST", {"Allow": "POST"})
        body = await Request(scope, receive).body()
        await self.parts.in_thread(_proved, body)
        await self._manager.handle_request(scope, _again(body, receive), send)

    async def _start(self) -> None:
        """Import the SDK, and begin. Raises Refused without it."""
        async with self._starting:
            if self._manager is not None:
                return
            try:
                manager = await self.parts.in_thread(_manager, self.parts)
            except ModuleNotFoundError:
                raise Refused(404, "no-mcp", INSTALL) from None

            async def live() -> None:
                async with manager.run():
                    self._begun.set()
                    await self._end.wait()

            self._living = asyncio.create_task(live(), name="flowmm-mcp")
            await self._begun.wait()
            self._manager = manager


def _proved(body: bytes) -> None:
    """Raises GraphError, Refused for what the SDK would fail at: JSON that only Python takes for some, and half characters."""
    try:
        json.dumps(parse(body, "the request"), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Refused(400, "not-json", "the request holds half of a character, a lone surrogate", "Send whole characters.") from None


def _again(body: bytes, receive: Receive) -> Receive:
    """A body that was read already, then whatever else the client says."""
    coming = [{"type": "http.request", "body": body, "more_body": False}]

    async def read() -> Message:
        return coming.pop() if coming else await receive()

    return read


def _manager(parts: Parts) -> Any:
    import mcp.types as types
    from mcp.server.lowlevel import Server
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
    from mcp.server.transport_security import TransportSecuritySettings

    server: Any = Server("flowmm", version=__version__, instructions="Every tool is a saved graph of nodes over text and images. Pictures go in as "
                         'objects: {"base64": …}, {"upload": id} or {"value": key}.')  # fmt: skip

    @server.list_tools()
    async def list_tools() -> list[types.Tool]:
        return await parts.in_thread(lambda: [types.Tool(**tool) for tool in tools(parts).values()])

    @server.call_tool(validate_input=False)  # the graph's own check says it in our words
    async def call_tool(name: str, arguments: dict[str, Any]) -> types.CallToolResult:
        context = server.request_context
        token = context.meta.progressToken if context.meta else None

        async def progress(done: float, total: float, text: str) -> None:
            if token is not None:
                await context.session.send_progress_notification(token, done, total, text, related_request_id=str(context.request_id))

        try:
            content, structured = await call(parts, name, arguments, progress)
        except (Unfinished, Refused, GraphError, Damaged, Undecodable) as error:
            return types.CallToolResult(content=[types.TextContent(type="text", text=str(error))], isError=True)
        blocks = [types.ImageContent(**one) if one["type"] == "image" else types.TextContent(**one) for one in content]
        return types.CallToolResult(content=blocks, structuredContent=structured)

    unguarded = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    return StreamableHTTPSessionManager(server, stateless=True, security_settings=unguarded, max_request_body_size=parts.settings.limits.body)


# ── what there is ───────────────────────────────────────────────────────────────────────────────


def tools(parts: Parts) -> dict[str, dict[str, Any]]:
    """Every graph that could run as a tool, by the graph's name; others are left out with a word in the log."""
    found = {}
    for graph_name, tool_name in names(parts).items():
        try:
            graph = parts.library.open(graph_name)[0]
            errors = graph.check().errors()
        except (Refused, GraphError) as error:
            errors = [error]
        if errors:
            log.info("`%s` is no tool: %s", graph_name, errors[0])
            continue
        about = "\n\n".join(filter(None, (graph.title, graph.about)))
        found[graph_name] = {"name": tool_name, "title": graph.title, "description": about, "inputSchema": takes(graph), "outputSchema": gives(graph)}
    return found


def names(parts: Parts) -> dict[str, str]:
    """Graphs with the names of their tools, which have letters, digits and _ only; no two the same."""
    found: dict[str, str] = {}
    for listed in parts.saved.list():
        base = re.sub(r"\W", "_", listed.name, flags=re.ASCII)[:LONGEST_NAME]
        name, count = base, 1
        while name in found.values():
            count += 1
            name = f"{base[: LONGEST_NAME - 4]}_{count}"
        found[listed.name] = name
    return found


def takes(graph: Graph) -> dict[str, Any]:
    """A graph's inputs as a JSON schema."""
    properties, required = {}, []
    for name, one in graph.inputs.items():
        properties[name] = _property(one)
        if one.default is UNSET:
            required.append(name)
    return {"type": "object", "properties": properties, "additionalProperties": False} | ({"required": required} if required else {})


def _property(one: Parameter) -> dict[str, Any]:
    made = _schema(one.type)
    between = one.port.between
    for member in (made, *made.get("anyOf", ())):
        if between and member.get("type") in ("integer", "number"):
            member |= {key: bound for key, bound in (("minimum", between.low), ("maximum", between.high)) if bound is not None}
    help_ = " ".join(filter(None, (one.title if one.title != one.name else "", one.help)))
    if one.port.source:
        help_ = f"{help_} The name of a model that is here; flowmm downloads nothing.".strip()
    elif one.default is not UNSET and not _plain_default(one.type):
        help_ = f"{help_} Without it, the graph's own example.".strip()
    if help_:
        made["description"] = help_
    if one.default is not UNSET and _plain_default(one.type):
        made["default"] = one.default
    return made


def _plain_default(type_: Type) -> bool:
    """Whether a default can be said in the schema: a picture's is a file here, which no caller may name."""
    members = type_.members if isinstance(type_, Union) else (type_,)
    items = [member.item if isinstance(member, ListOf) else member for member in members]
    return not any(isinstance(item, Socket) and not issubclass(item.cls, (Text, Seed)) for item in items)


def _schema(type_: Type) -> dict[str, Any]:
    """What may be given for a type. Each call makes a new one."""
    if type_ == NONE:
        return {"type": "null"}
    if isinstance(type_, Plain):
        return dict(PLAIN.get(type_.cls, {"type": "string", "description": "A path inside the graph's own folder."}))
    if isinstance(type_, Choice):
        return {"enum": list(type_.values)}
    if isinstance(type_, ListOf):
        return {"type": "array", "items": _schema(type_.item)}
    if isinstance(type_, Union):
        return {"anyOf": [_schema(member) for member in type_.members]}
    if isinstance(type_, Var):
        return {}
    if issubclass(type_.cls, Text):
        return {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}, dict(VALUE)]}
    if issubclass(type_.cls, Seed):
        return {"type": "integer", "minimum": 0, "maximum": LARGEST_SEED}
    return dict(PICTURE) if issubclass(type_.cls, Image) else dict(VALUE)


def gives(graph: Graph) -> dict[str, Any]:
    """A graph's outputs as a JSON schema: each as plain data where it is such; always its key, and the run's id."""
    checked = graph.check()
    outputs = {}
    for name, link in graph.wiring.outputs.items():
        type_ = checked.output_type(link)
        title = words(graph.document.outputs[name].title)
        described = {"description": f"{title}: {type_}" if title else str(type_)}
        outputs[name] = described | {"type": "object", "properties": {"key": {"type": "string"}, "type": {"type": "string"}, "data": {}}, "required": ["key", "type"]}
    return {"type": "object", "properties": {"run": {"type": "string"}, "outputs": {"type": "object", "properties": outputs}}, "required": ["run", "outputs"]}


# ── calling ─────────────────────────────────────────────────────────────────────────────────────


async def call(parts: Parts, tool: str, arguments: Mapping[str, Any], progress: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Run a tool: content for a model to read and see, and the same as data. Raises Unfinished, Refused and what reading a value raises."""
    known = await parts.in_thread(names, parts)
    graph = next((graph for graph, name in known.items() if name == tool), None)
    if graph is None:
        raise Refused(404, "no-tool", f"there is no tool `{tool[:60]}`", "List the tools again.")
    follower = Follower(parts, Asked(graph, await parts.in_thread(_given, parts, dict(arguments)), source="mcp"))
    await follower.start()
    done = total = 0
    async for frame in follower.frames():
        if frame["type"] == "planned":
            total += frame["total"]
        elif frame["type"] == "nodes":
            done += len(frame["names"])
            await progress(done, max(done, total), ", ".join(frame["names"][:3]))
        elif frame["type"] == "progress":  # within a node, so that what was told never goes back
            await progress(done + frame["step"] / (frame["steps"] or 1) * 0.99, max(done + 1, total), f"{frame['node']} {frame['step']}/{frame['steps']}")
    return await parts.in_thread(_made, parts, follower)


def _given(parts: Parts, value: Any) -> Any:
    """The arguments with every picture that came along taken in as an upload. Raises Refused."""
    if isinstance(value, list):
        return [_given(parts, item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) != {"base64"} or not isinstance(value["base64"], str):
        return {name: _given(parts, item) for name, item in value.items()}
    text = re.sub(r"^data:image/[a-z+]+;base64,", "", value["base64"])
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(422, "bad-base64", "a picture is not base64", "Send the bytes of a PNG, JPEG or WebP as base64.") from None
    return {"upload": parts.uploads.add(data).id}


def _made(parts: Parts, follower: Follower) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    content: list[dict[str, Any]] = []
    outputs: dict[str, Any] = {}
    for name, output in follower.outputs().items():
        try:
            value = parts.results.get(output.key) if readable(output.type) else None
        except KeyError:
            raise Refused(404, "no-such-value", f"the value of `{name}` is no longer here", "Call the tool again.") from None
        blocks, data = _shown(name, output, value)
        content += blocks
        outputs[name] = {"key": output.key, "type": output.type} | ({} if data is None else {"data": data})
    structured = {"run": follower.run.id, "outputs": outputs}
    return [*content, {"type": "text", "text": json.dumps({"run": follower.run.id, "keys": {name: one["key"] for name, one in outputs.items()}})}], structured


def _shown(name: str, output: Output, value: Any) -> tuple[list[dict[str, Any]], Any]:
    """An output as content, and as data where it is no picture."""
    pictures = pictures_of(value)
    if pictures:
        return [{"type": "image", "data": base64.b64encode(one.png(i, embed=False)).decode(), "mimeType": "image/png"} for one, i in pictures], None
    if isinstance(value, Text):
        return [{"type": "text", "text": f"{name}: {value}"}], list(value.lines)
    if isinstance(value, str):
        return [{"type": "text", "text": f"{name}: {value}"}], value
    try:
        data = output.summary if value is None else _data(value)
    except ValueError:
        data = output.summary
    return [{"type": "text", "text": f"{name}: {json.dumps(data, ensure_ascii=False)}"}], data


def _data(value: Any) -> Any:
    """A value as plain JSON. Raises ValueError for one of very many numbers."""
    import numpy

    if is_plain(value):
        return exact(value)
    if isinstance(value, list):
        return [_data(item) for item in value]
    if isinstance(value, numpy.ndarray):
        if value.size > MOST_NUMBERS:
            raise ValueError(f"{value.size:,} numbers are too many to tell")
        return exact(value.tolist())
    return {name: _data(list(part) if isinstance(part, tuple) else part) for name, part in vars(value).items()}

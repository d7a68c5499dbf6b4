"""Tools: every saved graph over the Model Context Protocol, asked by its own client."""

from __future__ import annotations

import asyncio
import base64
import io
import subprocess
import sys
from contextlib import asynccontextmanager

import api_nodes as n
import numpy
import PIL.Image
import pytest
from mcp import ClientSession, McpError
from mcp.client.streamable_http import streamablehttp_client
from running import Serving
from test_forms import latest, publish, sums, until, waiting

from flowmm import Graph


@asynccontextmanager
async def session(server: Serving, token: str | None = None):
    headers = {"Authorization": f"Bearer {server.token if token is None else token}"}
    async with streamablehttp_client(f"{server.url}/mcp", headers=headers) as (reading, writing, _):
        async with ClientSession(reading, writing) as made:
            await made.initialize()
            yield made


def listed(server: Serving) -> dict:
    async def ask():
        async with session(server) as client:
            return {tool.name: tool for tool in (await client.list_tools()).tools}

    return asyncio.run(ask())


def called(server: Serving, tool: str, progress=None, **arguments):
    async def ask():
        async with session(server) as client:
            return await client.call_tool(tool, arguments, progress_callback=progress)

    return asyncio.run(ask())


def refused(server: Serving, tool: str, **arguments) -> str:
    result = called(server, tool, **arguments)
    assert result.isError and len(result.content) == 1 and "Traceback" not in result.content[0].text, result
    return result.content[0].text


def data(result) -> dict:
    """The plain outputs of a call that went well."""
    assert not result.isError, result.content
    return {name: one.get("data") for name, one in result.structuredContent["outputs"].items()}


def png(array) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def mirror() -> Graph:
    graph = Graph(title="Mirror")
    image = graph.input("image", help="The picture.")
    with graph:
        graph.output(mirrored=n.mirrored(image), mean=n.mean(image))
    return graph


def test_every_graph_that_could_run_is_a_tool(server):
    publish(server, "my own sums", sums())
    server.http.put("/api/graphs/odd", headers={"If-None-Match": "*"}, json={
        "flowmm": 1, "nodes": {"x": {"op": "no.such", "version": 1, "in": {}}}, "outputs": {"y": {"from": "x.y"}}})  # fmt: skip
    found = listed(server)
    shipped = [one["name"].replace("-", "_") for one in server.http.get("/api/graphs").json() if not one["own"]]
    assert set(shipped) <= set(found) and "my_own_sums" in found and "odd" not in found
    tool = found["text_to_image"]
    assert tool.title == "Text to image" and tool.description.startswith("Text to image\n\n")


def test_a_tools_inputs_are_typed_with_ranges_choices_defaults_and_help(server):
    found = listed(server)
    paint = found["text_to_image"].inputSchema
    assert paint["additionalProperties"] is False and "required" not in paint
    assert paint["properties"]["count"] == {"type": "integer", "minimum": 1, "maximum": 64, "default": 1} | {
        key: value for key, value in paint["properties"]["count"].items() if key == "description"}  # fmt: skip
    assert {"type": "integer", "minimum": 1, "maximum": 1000} in paint["properties"]["steps"]["anyOf"] and paint["properties"]["steps"]["default"] is None
    assert "euler" in paint["properties"]["scheduler"]["anyOf"][0]["enum"] and "downloads nothing" in paint["properties"]["model"]["description"]
    assert paint["properties"]["seed"] == {"type": "integer", "minimum": 0, "maximum": 2**53 - 1, "default": 0, "description": paint["properties"]["seed"]["description"]}
    match = found["clip_match"].inputSchema["properties"]
    assert match["image"]["anyOf"][0]["properties"].keys() == {"base64", "upload", "value"} and "default" not in match["image"], "no path of this machine is told"
    assert match["texts"]["default"][0] == "a cyan square" and "What may be in the picture." in match["texts"]["description"]
    assert "examples/" not in found["clip_match"].model_dump_json()
    publish(server, "mirror", mirror())
    assert listed(server)["mirror"].inputSchema["required"] == ["image"]


def test_a_tool_runs_its_graph_and_says_which_run_it_was(server):
    publish(server, "sums", sums())
    result = called(server, "sums", a=20, b=22)
    run = latest(server)
    assert data(result) == {"sum": 42} and result.structuredContent["run"] == run["id"]
    assert (run["name"], run["source"], run["state"]) == ("sums", "mcp", "done")
    assert result.content[0].text == "sum: 42" and run["id"] in result.content[-1].text
    assert data(called(server, "sums")) == {"sum": 5}


def test_pictures_go_in_as_bytes_upload_or_value_and_come_out_to_be_seen(server):
    publish(server, "mirror", mirror())
    given = numpy.arange(6 * 8 * 3, dtype="uint8").reshape(6, 8, 3)
    encoded = base64_of(png(given))
    first = called(server, "mirror", image={"base64": encoded})
    assert first.content[0].type == "image" and first.content[0].mimeType == "image/png"
    assert (numpy.asarray(PIL.Image.open(io.BytesIO(base64.b64decode(first.content[0].data)))) == given[:, ::-1]).all()
    assert data(first)["mean"] == pytest.approx(given.mean() / 255)
    assert data(called(server, "mirror", image={"base64": f"data:image/png;base64,{encoded}"})) == data(first)

    upload = server.http.post("/api/uploads", content=png(given), headers={"Content-Type": "image/png"}).json()["id"]
    assert called(server, "mirror", image={"upload": upload}).content[0].data == first.content[0].data
    again = called(server, "mirror", image={"value": first.structuredContent["outputs"]["mirrored"]["key"]})
    assert (numpy.asarray(PIL.Image.open(io.BytesIO(base64.b64decode(again.content[0].data)))) == given).all()


def test_every_kind_of_value_is_told(server):
    graph = Graph(title="Kinds")
    seed = graph.input("seed", 3)
    with graph:
        made = n.kinds(seed)
        graph.output(**{name: getattr(made, name) for name in n.Kinds._fields})
    publish(server, "kinds", graph)
    result = called(server, "kinds")
    got = data(result)
    assert got["whole"] == 3 and got["huge"] == str(2**200 + 3) and got["flag"] is False and got["text"] == "3 ü 文字" and got["numbers"] == [3, 2, 3]
    assert got["texts"] == ["one", "two"] and got["labels"] == {"names": [["cat", "dog"]], "probabilities": [[0.75, 0.25]]}
    assert got["score"]["rows"] == ["a", "b"] and numpy.array(got["score"]["values"]).shape == (2, 3)
    assert sum(block.type == "image" for block in result.content) == 1 + 3 + 1 + 1 + 3


def test_a_graph_published_meanwhile_is_a_tool_at_the_next_listing(server):
    assert "later" not in listed(server)
    etag = publish(server, "later", sums("Later"))
    assert listed(server)["later"].title == "Later"
    etag = publish(server, "later", sums("Later still"), a=40)
    assert listed(server)["later"].title == "Later still" and data(called(server, "later")) == {"sum": 43}
    assert server.http.delete("/api/graphs/later", headers={"If-Match": etag}).status_code == 200
    assert "later" not in listed(server) and "there is no tool `later`" in refused(server, "later")


def test_names_that_only_a_sign_tells_apart_are_two_tools(server):
    publish(server, "two-names", sums("One"))
    publish(server, "two_names", sums("Other"))
    found = listed(server)
    assert {found["two_names"].title, found["two_names_2"].title} == {"One", "Other"}


def test_a_long_run_tells_how_far_it_is(server):
    graph = Graph(title="Drawing")
    steps = graph.input("steps", 4)
    with graph:
        graph.output(image=n.sketch(steps))
    publish(server, "drawing", graph)
    told = []

    async def progress(done, total, text):
        told.append((done, total, text))

    assert not called(server, "drawing", progress, steps=5).isError
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told) and told[-1][:2] == (1, 1)
    assert any("1/6" in text for _, _, text in told) and all(done <= total for done, total, _ in told)


def test_what_is_wrong_is_a_tool_error_in_one_sentence(server):
    publish(server, "sums", sums())
    publish(server, "mirror", mirror())
    graph = Graph(title="Picky")
    a = graph.input("a", 2)
    with graph:
        graph.output(b=n.picky(a))
    publish(server, "picky", graph)
    assert "7 is not a number this node likes" in refused(server, "picky", a=7)
    assert "the input `a`" in refused(server, "sums", a="seven")
    assert "the graph has no input `c`" in refused(server, "sums", c=1)
    assert "the input `image` needs a value" in refused(server, "mirror")
    assert "is not base64" in refused(server, "mirror", image={"base64": "%%%"})
    assert "no PNG, JPEG or WebP" in refused(server, "mirror", image={"base64": base64_of(b"<svg/>")})
    for other in ({"path": "/etc/passwd"}, {"url": "http://127.0.0.1/x.png"}, {"base64": "AAAA", "upload": "x"}):
        assert "an object, which no input takes" in refused(server, "mirror", image=other)
    assert "lies outside" in refused(server, "mirror", image="/etc/passwd")


def test_only_models_that_are_here_can_be_named(server):
    before = set(sys.modules)
    for source in ("hf:someone/else", "/etc", "../../etc", "zoo:none", "https://example.org/model.safetensors"):
        assert refused(server, "clip_match", model=source)
    assert latest(server)["state"] in ("failed", "done", "cancelled") and "torch" not in set(sys.modules) - before


def test_a_client_that_leaves_cancels_its_run(server, tmp_path):
    names = dict(zip(("began", "end", "number"), waiting(server, tmp_path, "leaving")))

    async def leave():
        async with session(server) as client:
            task = asyncio.create_task(client.call_tool("leaving", names))
            while not (tmp_path / "leaving-began").exists():
                await asyncio.sleep(0.02)
            task.cancel()

    asyncio.run(leave())
    until(lambda: latest(server)["state"] == "cancelled")


def test_the_guard_stands_before_the_tools(server):
    with pytest.raises(BaseException) as failed:
        asyncio.run(_listed_with(server, "wrong"))
    assert "401" in repr(_leaves(failed.value))
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    accept = {"Accept": "application/json, text/event-stream"}
    assert server.http.post("/mcp", json=body, headers=accept | {"Origin": "https://evil.example"}).json()["error"]["code"] == "origin"
    assert server.http.post("/mcp", json=body, headers=accept | {"Host": "evil.example"}).json()["error"]["code"] == "host"
    assert server.http.get("/mcp", headers=accept).status_code == server.http.delete("/mcp").status_code == 405
    assert server.http.get("/mcp/other").status_code == 404


async def _listed_with(server: Serving, token: str) -> None:
    async with session(server, token) as client:
        await client.list_tools()


def _leaves(error: BaseException) -> list[BaseException]:
    return [leaf for one in error.exceptions for leaf in _leaves(one)] if isinstance(error, BaseExceptionGroup) else [error]


WITHOUT = """
import sys
sys.modules["mcp"] = None
from pathlib import Path
from running import serving
with serving(Path(sys.argv[1])) as server:
    answer = server.http.post("/mcp", json={})
    assert not [name for name in sys.modules if name.partition(".")[0] in ("torch", "gradio", "mcp") and sys.modules[name] is not None]
    print(answer.status_code, answer.text)
"""


def test_without_the_package_it_says_what_to_install(tmp_path):
    done = subprocess.run([sys.executable, "-c", WITHOUT, str(tmp_path)], capture_output=True, text=True, cwd="tests/server", timeout=120)
    assert done.stdout.startswith("404 ") and "pip install 'flowmm[mcp]'" in done.stdout, done.stderr


def test_an_answer_that_is_no_call_is_a_protocol_error(server):
    async def ask():
        async with session(server) as client:
            with pytest.raises(McpError):
                await client.read_resource("file:///etc/passwd")

    asyncio.run(ask())

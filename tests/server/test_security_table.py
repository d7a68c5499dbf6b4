"""What let strangers into other servers, row by row, each tried once on the whole of this one; and every promise made about it."""

from __future__ import annotations

import ast
import json
import os
import pickle
import re
import stat
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import httpx
import msgpack
import pytest
from inside import TOKEN, Inside, crashes, ours, watched
from odd_pictures import gif, huge_png, picture, stuffed_png
from outside import Listening, Process
from running import serving
from websockets.sync.client import connect

from flowmm import zoo
from flowmm.catalog import packs
from flowmm.server import guard
from flowmm.server.settings import Limits


@pytest.fixture(scope="module")
def elsewhere():
    made = Listening()
    yield made
    made.socket.close()


@pytest.fixture(scope="module")
def process(tmp_path_factory, elsewhere):
    """One `flowmm serve`; whatever would ask the hub asks `elsewhere`."""
    made = Process(tmp_path_factory.mktemp("served") / "home", HF_ENDPOINT=elsewhere.url, HTTP_PROXY=elsewhere.url, NO_PROXY="127.0.0.1")
    yield made
    made.http.close()
    made.popen.terminate()
    made.popen.wait(60)


@pytest.fixture
def inside(tmp_path, monkeypatch):
    """The whole server in this process, beginning no run; its home is tmp_path / home, and a secret lies beside it."""
    home = tmp_path / "home"
    (home / "graphs").mkdir(parents=True)
    monkeypatch.setenv("FLOWMM_HOME", str(home))
    (tmp_path / "secret.png").write_bytes(picture("PNG"))
    (tmp_path / "secret.json").write_text(json.dumps(ONE | {"title": SECRET}))
    made = Inside(home)
    yield made
    made.close()


SECRET = "nobody may read this"
ONE = {"flowmm": 1, "nodes": {"one": {"op": "text.join", "in": {"first": "a", "second": "b"}}}, "outputs": {"out": {"from": "one.text"}}}


def node(op: str, **inputs) -> dict:
    """A graph of one node, whose first output is wanted."""
    output = next(iter(packs.find(op).outputs))
    return {"flowmm": 1, "nodes": {"one": {"op": op, "in": inputs}}, "outputs": {"out": {"from": f"one.{output}"}}}


def classify(source, image="examples/red-circle.png") -> dict:
    """Classes of a picture by a model."""
    graph = json.loads((zoo.WEIGHTS.parents[2] / "graphs/vit-classify.json").read_text())
    return graph | {"inputs": {"image": {"default": image}, "top": {"default": 5}, "size": {"default": None}, "model": {"default": source}}}


# ── the table ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("origin", ["null", "", "http://", "http://evil.example", "https://127.0.0.1:{port}", "http://127.0.0.1:1", "http://127.0.0.1:{port}.evil.example",
                                    "http://127.0.0.1:{port}@evil.example", "file://", "http://127.0.0.1:{port}, null"])  # fmt: skip
def test_an_origin_that_is_null_malformed_or_foreign_changes_nothing_even_with_the_cookie(process, origin):
    origin = origin.format(port=process.port)
    for credential in (process.cookie, process.bearer):
        answer = process.http.post("/api/check", json={"graph": "vit-classify"}, headers={"Origin": origin, **credential})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin")
        assert process.socket(origin, **credential) == 403
    assert process.http.post("/api/check", json={"graph": "vit-classify"}, headers=process.cookie).status_code == 403, "the cookie alone, without an Origin"
    own = {"Origin": process.url, **process.cookie}
    assert process.http.post("/api/check", json={"graph": "vit-classify"}, headers=own).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "127.0.0.1:1", "localhost.:{port}", ""])
def test_a_name_that_was_rebound_to_this_machine_is_refused(process, host):
    host = host.format(port=process.port)
    for credential in (process.cookie, process.bearer):
        for method, path in (("GET", "/api/graphs"), ("GET", "/openapi.json"), ("POST", "/api/check")):
            answer = process.http.request(method, path, headers={"Host": host, "Content-Type": "application/json", **credential})
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "host")


def test_a_socket_wants_the_token_and_an_own_origin(process):
    assert process.socket(process.url) == 401
    assert process.socket(None, f"?token={process.token}") == 401, "a token in a socket's URL would lie in logs"
    assert process.socket(None, **process.cookie) == process.socket("http://evil.example", **process.cookie) == 403
    assert process.socket(process.url, **process.cookie) == process.socket(None, **process.bearer) == 101


def test_listeners_have_no_names_so_no_one_takes_anothers_place(server):
    address = server.url.replace("http", "ws") + "/api/events?clientId=alice&client_id=alice&run="
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    with connect(address, additional_headers=bearer) as alice, connect(address, additional_headers=bearer) as other:
        hellos = [msgpack.unpackb(one.recv(10)) for one in (alice, other)]
        assert [hello["type"] for hello in hellos] == ["hello", "hello"] and server.parts.hub.listening == 2
        server.parts.hub.publish("note", "run", text="for all")
        assert [msgpack.unpackb(one.recv(10))["text"] for one in (alice, other)] == ["for all", "for all"]


TRICKS = ["../secret{ext}", "..\\secret{ext}", "{outside}/secret{ext}", "a/../../secret{ext}", "./../graphs/../../secret{ext}", "link{ext}", "folder/secret{ext}",
          "secret{ext}\0.png", "\0", "~/secret{ext}", "file://{outside}/secret{ext}", "C:\\secret{ext}", "C:secret{ext}", "\\\\host\\share\\secret{ext}", "//{outside}/secret{ext}",
          "CON", "nul{ext}", "com1", "..%2fsecret{ext}", "%2e%2e/secret{ext}", "\uff0e\uff0e/secret{ext}", ".history", ".", "..", "", " ", "a" * 300, "\ud800", "../../../../etc/passwd",
          "/dev/zero", "/dev/stdin", "/proc/self/environ", "$HOME/x", "secret{ext}/", "secret{ext}::$DATA", "x\r\nSet-Cookie: a=b"]  # fmt: skip


@pytest.mark.parametrize("trick", TRICKS)
def test_no_path_in_a_graph_in_its_inputs_or_in_any_name_leads_outside(inside, tmp_path, trick):
    graphs = inside.home / "graphs"
    for ext in (".png", ".json", ""):
        (graphs / f"link{ext}").symlink_to(tmp_path / f"secret{ext or '.png'}")
    (graphs / "folder").symlink_to(tmp_path)
    path = trick.format(ext=".png", outside=tmp_path)
    name = trick.format(ext="", outside=tmp_path)
    before = {one: one.read_bytes() for one in tmp_path.glob("secret*")}
    with_input = {"flowmm": 1, "inputs": {"it": {}}, "nodes": {"one": {"op": "image.split", "in": {"image": {"from": "input.it"}}}}, "outputs": {"out": {"from": "one.images"}}}
    with watched(inside.home) as done, crashes() as crashed:
        for graph in (node("image.load", path=path), node("image.folder", path=path), node("image.split", image=path), node("diffusion.load", source=path),
                      node("image.batch", images={"list": [path]}), classify(path), classify("zoo:vit", path)):  # fmt: skip
            for found in (inside.post("/api/check", graph=graph), inside.post("/api/plan", graph=graph), inside.post("/api/runs", graph=graph)):
                ours(found)
            assert found.status in (202, 400, 422)
            if found.status == 202:  # nothing is there, and a folder of our own may be named
                assert not (graphs / path).is_file() and (graphs / path).resolve().is_relative_to(graphs)
        for graph in (with_input, with_input | {"inputs": {"it": {"default": path}}}):
            for given in ({"it": path}, {"it": [path]}, {"it": {"upload": path}}, {"it": {"value": path}}, {"it": {"path": path}}):
                found = inside.post("/api/runs", graph=graph, inputs=given)
                ours(found)
                assert found.status in (400, 404, 422), found.body
        for asked in ({"graph": name}, {"graph": ONE, "name": name}):
            found = inside.post("/api/check", **asked)
            ours(found)
            assert found.status in (400, 403, 404, 422) or (asked.get("name") == "" and found.status == 200), found.body
        data = json.dumps(ONE).encode()
        for method, where, body in (
            ("GET", "/api/graphs/{}", b""), ("PUT", "/api/graphs/{}", data), ("DELETE", "/api/graphs/{}", b""), ("GET", "/api/graphs/{}/history", b""),
            ("GET", "/api/graphs/vit-classify/history/{}", b""), ("POST", "/api/graphs/vit-classify/rename", json.dumps({"to": name}).encode()),
            ("POST", "/api/trash/{}/restore", b""), ("DELETE", "/api/trash/{}", b""), ("GET", "/api/values/{}", b""), ("GET", "/api/uploads/{}", b""),
            ("GET", "/api/runs/{}", b""),
            ("GET", "/api/runs/{}/graph", b""), ("GET", "/api/runs/{}/outputs/x", b""), ("GET", "/api/runs/{}/trace", b""), ("DELETE", "/api/runs/{}", b""),
            ("POST", "/api/runs/{}/retry", b""), ("POST", "/api/runs/{}/cancel", b""),
        ):  # fmt: skip
            if not body.startswith(b'{"to"') and "/" in name or name in ("", ".."):
                continue  # such a path is another route's, or none
            found = inside.ask(method, where.format(name), body, if_match='"x"')
            ours(found)
            assert found.status >= 400, (method, where, found.body)
            assert SECRET.encode() not in found.body and b"root:" not in found.body
    assert not crashed
    assert not done, done
    assert {one: one.read_bytes() for one in tmp_path.glob("secret*")} == before and sorted(os.listdir(tmp_path)) == ["home", "secret.json", "secret.png"]


@pytest.mark.parametrize("data", [b"<!doctype html><script>alert(1)</script>", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", b"%PDF-1.7", b"GIF89a<script>",
                                  b"BM<script>", b"\x00\x00\x00\x20ftypavif", b"<?xml version='1.0'?>", b"PK\x03\x04", b""])  # fmt: skip
def test_html_svg_and_all_that_is_no_png_jpeg_or_webp_is_not_kept(inside, data):
    for media in ("image/png", "image/jpeg", "image/webp"):
        found = inside.ask("POST", "/api/uploads", data, media)
        assert found.status == 415, found.body
    for media in ("image/svg+xml", "text/html", "application/octet-stream", "multipart/form-data; boundary=x"):
        assert inside.ask("POST", "/api/uploads", picture("PNG"), media).status == 415
    assert not list((inside.home / "server/uploads").glob("*")) if (inside.home / "server/uploads").exists() else True


def test_a_picture_that_is_a_web_page_too_is_served_as_a_picture_to_save_and_under_a_name_of_our_own(process):
    data = picture("PNG", {"comment": "<script>alert(1)</script>"}) + b"<html><script>alert(1)</script></html>"
    headers = {"Content-Type": "image/png", "Content-Disposition": 'attachment; filename="../../evil.html"', **process.bearer}
    kept = process.http.post("/api/uploads?name=evil.html&filename=evil.html", content=data, headers=headers)
    assert kept.status_code == 201 and re.fullmatch(r"[0-9a-f]{32}\.png", kept.json()["id"])
    shown = process.http.get(f"/api/uploads/{kept.json()['id']}", headers={"Accept": "text/html", **process.bearer})
    assert (shown.headers["content-type"], shown.headers["x-content-type-options"]) == ("image/png", "nosniff")
    assert shown.headers["content-disposition"] == f'attachment; filename="{kept.json()["id"]}"'
    assert os.listdir(process.home / "server/uploads") == [kept.json()["id"]]


class Harm:
    """A pickle that writes a file when it is read."""

    def __init__(self, canary: Path):
        self.canary = canary

    def __reduce__(self):
        return os.system, (f"touch {self.canary}",)


def test_no_pickle_is_read_whatever_it_is_called(tmp_path):
    home, canary = tmp_path / "home", tmp_path / "canary"
    folder = home / "graphs"
    data = pickle.dumps(Harm(canary))
    zoo_vit = zoo.WEIGHTS / "vit"
    for name in ("evil.bin", "evil.pt", "evil.ckpt", "evil.pth", "evil.pkl", "evil.safetensors", "evil.SAFETENSORS", "evil.png", "evil"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    for name in ("pytorch_model.bin", "model.safetensors", "model.SAFETENSORS", "model.ckpt"):
        inner = folder / f"with {name}"
        inner.mkdir()
        (inner / "config.json").write_bytes((zoo_vit / "config.json").read_bytes())
        (inner / "preprocessor_config.json").write_bytes((zoo_vit / "preprocessor_config.json").read_bytes())
        (inner / name).write_bytes(data)
    (folder / "red.png").write_bytes(picture("PNG"))
    with serving(home) as server:
        for source in sorted(os.listdir(folder)):
            if source != "red.png":
                graph = classify(source, "red.png")
                for path in ("/api/check", "/api/plan"):
                    assert server.post(path, graph=graph).status_code in (200, 422)
                assert server.run(graph)["state"] == "failed", source
        assert server.post("/api/runs", graph=node("image.load", path="evil.png")).status_code in (202, 422)
        time.sleep(0.1)
    assert not canary.exists()


def test_keys_of_a_state_dict_set_no_attributes(tmp_path):
    """A model whose file also has keys as `forward` and `config.__class__.x`: they are ignored, and it answers as ever."""
    folder = tmp_path / "home/graphs/model"
    folder.mkdir(parents=True)
    for file in (zoo.WEIGHTS / "vit").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder.parent / "red.png").write_bytes((zoo.WEIGHTS.parents[2] / "graphs/examples/red-circle.png").read_bytes())
    path = next(folder.glob("*.safetensors"))
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    for key in ("forward", "config.__class__.x", "__class__", "vit.forward", "vit.encoder.__dict__", "config.num_labels", "__globals__.os.system", "classifier.forward"):
        header[key] = {"dtype": "F32", "shape": [1], "data_offsets": [len(body), len(body) + 4]}
        body += b"\0\0\0\0"
    packed = json.dumps(header).encode()
    packed += b" " * (-len(packed) % 8)
    path.write_bytes(struct.pack("<Q", len(packed)) + packed + body)
    with serving(tmp_path / "home") as server:
        runs = [server.run(classify(source, "red.png"), wait=300) for source in ("zoo:vit", "model")]
        assert [run["state"] for run in runs] == ["done", "done"], runs
        assert runs[0]["outputs"]["labels"]["key"] == runs[1]["outputs"]["labels"]["key"]


def test_no_node_runs_code_and_no_name_of_one_imports_any(tmp_path, monkeypatch):
    written = {"eval", "exec", "compile", "__import__", "system", "popen", "Popen", "run_module", "check_output"}
    for spec in packs.all_specs():
        if not spec.op.startswith("local:"):
            called = [call.func for call in ast.walk(ast.parse(Path(spec.function.__code__.co_filename).read_text())) if isinstance(call, ast.Call)]
            assert not written & {one.id for one in called if isinstance(one, ast.Name)}, spec.op
            assert not {"system", "popen", "Popen", "check_output"} & {one.attr for one in called if isinstance(one, ast.Attribute)}, spec.op
    (tmp_path / "canary_pack.py").write_text(f"open({str(tmp_path / 'canary')!r}, 'w')\ndef touch() -> int: ...")
    monkeypatch.syspath_prepend(str(tmp_path))
    made = Inside(tmp_path / "home")
    for op in ("canary_pack.touch", "local:canary_pack.touch", "canary_pack:touch.touch", "builtin:canary_pack.touch", "..canary_pack.touch", "local:os.system", "os.system",
               "builtin:os.system", "text.__class__", "text.join.__globals__", "text.annotations", "image.Path", "pip:install.x"):  # fmt: skip
        graph = {"flowmm": 1, "nodes": {"one": {"op": op, "in": {"command": "id"}}}, "outputs": {"out": {"from": "one.value"}}, "requires": {"pip": ["canary"]}}
        with watched(made.home) as done:
            found = made.post("/api/runs", graph=graph)
        assert (found.status, found.json()["error"]["code"]) == (422, "unknown-op"), op
        assert not [one for one in done if "canary" in one or one.startswith("subprocess")]
    made.close()
    assert "canary_pack" not in sys.modules and not (tmp_path / "canary").exists()


def test_the_servers_own_files_are_out_of_reach_of_graphs(inside):
    token = inside.home / "server/token"
    token.write_text(SECRET)
    for name in ("../server/token", "..%2fserver%2ftoken", "token", "server/token"):
        found = inside.ask("PUT", f"/api/graphs/{name}", json.dumps(ONE).encode())
        assert found.status >= 400 or name == "token", found.body
    for path in ("../server/token", "../server", "../server/journal.sqlite", "../cache"):
        for graph in (node("image.load", path=path), node("image.folder", path=path), node("diffusion.load", source=path)):
            found = inside.post("/api/runs", graph=graph)
            assert (found.status, found.json()["error"]["code"]) == (422, "bad-literal") and SECRET.encode() not in found.body
    assert token.read_text() == SECRET


def test_what_was_checked_is_checked_again_where_it_is_used(tmp_path):
    """A file that was swapped for a way out between the check and the run."""
    graphs = tmp_path / "home/graphs"
    graphs.mkdir(parents=True)
    (graphs / "mine.png").write_bytes(picture("PNG"))
    (tmp_path / "secret.png").write_bytes(picture("PNG"))
    graph = node("image.load", path="mine.png")
    made = Inside(tmp_path / "home")
    run = made.post("/api/runs", graph=graph)
    assert run.status == 202
    made.close()
    (graphs / "mine.png").unlink()
    (graphs / "mine.png").symlink_to(tmp_path / "secret.png")
    with serving(tmp_path / "home") as server:
        ended = server.ended(run.json()["id"])
        assert (ended["state"], ended["error"]["code"]) == ("failed", "bad-literal") and "outside" in ended["error"]["message"]


def test_urls_in_a_graph_are_never_fetched(process, elsewhere):
    def post(path: str, **asked) -> httpx.Response:
        return process.http.post(path, json=asked, headers=process.bearer)

    address = elsewhere.url.removeprefix("http://")
    for url in (f"{elsewhere.url}/x.png", f"HTTP://{address}/x.png", f"//{address}/x.png", f"ftp://{address}/x", f"hf:{elsewhere.url}/x", f"http:{address}", f"\\\\{address}\\x"):
        for graph in (node("image.load", path=url), node("image.split", image=url), node("diffusion.load", source=url), classify(url), classify("zoo:vit", url)):
            for path in ("/api/check", "/api/plan", "/api/runs"):
                answer = post(path, graph=graph)
                assert answer.status_code in (200, 202, 422), answer.text
                if answer.status_code == 202:
                    ended = process.http.get(f"/api/runs/{answer.json()['id']}?wait=60", headers=process.bearer).json()
                    assert ended["state"] == "failed", ended
        assert post("/api/runs", graph="vit-classify", inputs={"image": url}).status_code == 422
        assert post("/api/check", graph=url).status_code == 404
    assert elsewhere.calls == 0


def test_only_models_that_are_here_can_be_named(process, elsewhere):
    for source in ("hf:openai/clip-vit-base-patch32", "hf:openai/clip-vit-base-patch32@main", "openai/clip-vit-base-patch32", "zoo:../../secret", "zoo:nothing", "live:1", "hf:../../x"):
        headers = process.bearer
        plan = process.http.post("/api/plan", json={"graph": "vit-classify", "inputs": {"model": source}}, headers=headers)
        assert plan.status_code == 422 or not plan.json()["models"][0]["here"], plan.text
        answer = process.http.post("/api/runs", json={"graph": "vit-classify", "inputs": {"model": source}}, headers=headers)
        if answer.status_code == 202:
            ended = process.http.get(f"/api/runs/{answer.json()['id']}?wait=60", headers=headers).json()
            assert ended["state"] == "failed" and ended["error"]["message"], ended
    assert elsewhere.calls == 0 and not (process.home / "models").exists()


def test_pictures_that_unpack_to_too_much_are_refused(inside):
    bomb = zlib.compress(b"\0" * (200 << 20), 9)
    for data, status in ((huge_png(60_000, 60_000), 413), (huge_png(2**31 - 1, 2**31 - 1), 413), (stuffed_png(b"zTXt", b"Comment\0\0" + bomb), 422), (gif(), 415)):
        found = inside.ask("POST", "/api/uploads", data, "image/png")
        assert found.status == status, found.body
    parts = b"".join(b'--x\r\nContent-Disposition: form-data; name="a%d"\r\n\r\nv\r\n' % i for i in range(10_000)) + b"--x--\r\n"
    for path in ("/api/uploads", "/api/runs", "/api/check", "/nowhere"):
        assert inside.ask("POST", path, parts, "multipart/form-data; boundary=x").status == 415, "a form is read nowhere"
    packed = zlib.compress(json.dumps({"graph": ONE | {"about": "x" * (1 << 20)}}).encode())
    assert inside.ask("POST", "/api/check", packed, content_encoding="deflate").status == 400, "a packed body is not unpacked"


def test_a_graph_that_rides_in_a_picture_has_bounds(inside):
    """A PNG of flowmm's carries its graph as text; as an upload it is a picture and no more."""
    text = json.dumps({"flowmm": 1, "about": "x" * (4 << 20)})
    found = inside.ask("POST", "/api/uploads", picture("PNG", {"flowmm": text}), "image/png")
    assert found.status == 422 and "too large" in found.json()["error"]["message"].lower(), found.body


# ── the promises ────────────────────────────────────────────────────────────────────────────────


def test_the_token_is_random_printed_once_as_a_url_and_kept_for_its_owner_alone(process):
    assert len(process.token) >= 43 and process.log.count(process.token) == 1, "asking with it has not logged it"
    path = process.home / "server/token"
    assert path.read_text() == process.token and stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_cookie_is_a_session_of_this_port_and_never_the_token(process):
    pair, *attributes = process.set_cookie.split("; ")
    name, _, value = pair.partition("=")
    assert (name, set(attributes)) == (f"flowmm-{process.port}", {"Path=/", "HttpOnly", "SameSite=Strict"})
    assert process.token not in process.set_cookie and value == guard.session_of(process.token, process.port) != guard.session_of(process.token, process.port + 1)
    assert process.http.get("/api/queue", headers=process.cookie).status_code == 200
    assert process.http.get("/api/queue", headers={"Authorization": f"Bearer {value}"}).status_code == 401, "it is no token"


def test_every_route_wants_the_token(process):
    paths = process.http.get("/openapi.json", headers=process.bearer).json()["paths"]
    asked = [(method, path) for path, operations in paths.items() for method in operations]
    asked += [("get", path) for path in ("/openapi.json", "/", "/docs", "/redoc", "/nowhere", "/app/vit-classify", "/mcp", "/static/x", "/favicon.ico", "//", "/api/../metrics")]
    assert len(asked) > 40
    for method, path in asked:
        path = re.sub(r"\{\w+\}", "vit-classify", path)
        answer = process.http.request(method, path, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "token"), (method, path)
    assert process.socket(None) == 401


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json, text/plain", "application/jsonp", "", None])
def test_what_changes_something_is_json(process, media):
    headers = {"Content-Type": media} if media is not None else {}
    answer = process.http.post("/api/runs", content=json.dumps({"graph": ONE}), headers={**headers, **process.bearer})
    assert answer.status_code == 415, answer.text


def test_no_other_origin_is_let_in_by_cors(process):
    preflight = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    answers = [process.http.options("/api/runs", headers=preflight), process.http.options("/api/runs", headers=preflight | process.bearer),
               process.http.get("/api/graphs", headers={"Origin": "http://evil.example", **process.bearer}),
               process.http.post("/api/check", json={"graph": "vit-classify"}, headers={"Origin": process.url, **process.bearer})]  # fmt: skip
    assert [answer.status_code for answer in answers][:2] == [405, 405]
    assert not [name for answer in answers for name in answer.headers if name.startswith("access-control")]
    assert {answer.headers["cross-origin-resource-policy"] for answer in answers} == {"same-origin"}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "127.0.0.1.evil.example", "8.8.8.8"])
def test_without_a_token_no_one_but_this_machine_is_listened_to(tmp_path, host):
    command = [sys.executable, "-c", "from flowmm.cli import main; main()", "serve", "--no-token", "--host", host, "--port", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ | {"FLOWMM_HOME": str(tmp_path)})
    assert ended.returncode == 1 and "without a token the server listens to this machine alone" in ended.stderr and "Traceback" not in ended.stderr


def test_bounds_hold_on_the_whole_server(tmp_path):
    made = Inside(tmp_path / "home", Limits(body=40_000, upload=100, nodes=3, queued=2))
    many = ONE | {"nodes": {f"n{i}": ONE["nodes"]["one"] for i in range(4)}, "outputs": {"out": {"from": "n0.text"}}}
    deep = json.dumps(ONE).replace('"a"', '{"value": ' + "[" * 70 + "]" * 70 + "}")
    lists = json.dumps(ONE).replace('"a"', '{"list": [' * 70 + "1" + "]}" * 70)
    for path in ("/api/check", "/api/plan", "/api/runs"):
        assert made.post(path, graph=many).json()["error"]["code"] == "too-many-nodes"
        for text in (deep, lists, json.dumps(ONE).replace('"a"', '{"value": ' + "[" * 15_000 + "]" * 15_000 + "}")):
            found = made.ask("POST", path, b'{"graph": ' + text.encode() + b"}")
            assert found.status in (400, 422) and found.json()["error"]["code"] == "too-deep", found.body
        assert made.post(path, graph=ONE | {"about": "x" * 40_000}).status == 413
    assert made.ask("POST", "/api/uploads", picture("PNG", {"a": "b" * 200}), "image/png").status == 413
    assert [made.post("/api/runs", graph=ONE).status for _ in range(3)] == [202, 202, 429]
    assert made.ask("GET", "/api/graphs", query="x" * 20_000).status == 414
    made.close()


def test_who_tries_tokens_is_stopped(fresh_server):
    wrong = [httpx.get(f"{fresh_server.url}/api/queue", headers={"Authorization": f"Bearer {i}"}) for i in range(12)]
    assert [answer.status_code for answer in wrong] == [401] * 10 + [429] * 2 and int(wrong[-1].headers["retry-after"]) <= 60
    session = {"Cookie": f"flowmm-{fresh_server.parts.settings.port}={guard.session_of(TOKEN, fresh_server.parts.settings.port)}"}
    assert httpx.get(f"{fresh_server.url}/api/queue", headers=session).status_code == 200, "whoever is signed in goes on"


def test_too_many_sockets_are_told_to_come_later(tmp_path):
    with serving(tmp_path / "home", Limits(sockets=1)) as server:
        address, bearer = server.url.replace("http", "ws") + "/api/events", {"Authorization": f"Bearer {TOKEN}"}
        with connect(address, additional_headers=bearer) as first:
            first.recv(10)
            with connect(address, additional_headers=bearer) as second, pytest.raises(Exception) as closed:
                second.recv(10)
            assert closed.value.rcvd.code == 1013


def test_a_failure_inside_tells_the_caller_nothing_of_it(fresh_server, monkeypatch):
    def fail(*_):
        raise RuntimeError(f"{SECRET} in {fresh_server.parts.settings.home}")

    monkeypatch.setattr(type(fresh_server.parts.saved), "list", fail)
    with crashes() as crashed:
        answer = fresh_server.http.get("/api/graphs")
        end = time.monotonic() + 20
        while not crashed and time.monotonic() < end:  # the log has the reason, a moment later
            time.sleep(0.01)
    assert crashed and SECRET in crashed[0]
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "crash")
    assert SECRET not in answer.text and str(fresh_server.parts.settings.home) not in answer.text and "Traceback" not in answer.text

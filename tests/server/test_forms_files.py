"""What reaches gradio from outside, and what does not: its routes, its uploads, its files, the files and addresses that a payload names."""

from __future__ import annotations

import io
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import api_nodes as n
import httpx
import numpy
import PIL.Image
import pytest
from running import Serving
from test_forms import config, events, latest, publish, sums

from flowmm import Graph

API = "/app/mirror/gradio_api"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def png(colour: int = 7) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(numpy.full((4, 6, 3), colour, "uint8")).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def mirror(server) -> Serving:
    graph = Graph(title="Mirror")
    image = graph.input("image")
    with graph:
        graph.output(mirrored=n.mirrored(image))
    publish(server, "mirror", graph)
    publish(server, "sums", sums())
    return server


def upload(server: Serving, *files: tuple[str, bytes, str]) -> httpx.Response:
    return server.http.post(f"{API}/upload", files=[("files", file) for file in files])


def refused(answer: httpx.Response, *statuses: int) -> str:
    """The sentence of a refusal, in whichever shape."""
    assert answer.status_code in (statuses or (404,)), (answer.status_code, answer.text[:300])
    assert "Traceback" not in answer.text
    return answer.json()["error"]["message"]


# ── routes ──────────────────────────────────────────────────────────────────────────────────────


def every_route() -> list[tuple[str, str]]:
    """All that gradio's app answers, as it is installed here, with something in each parameter."""
    import gradio as gr
    from gradio.routes import App

    with gr.Blocks(analytics_enabled=False) as blocks:
        pass
    found = []
    stack = list(App.create_app(blocks).routes)
    while stack:
        route = stack.pop()
        inner = getattr(route, "original_router", None)
        if inner is not None:
            stack.extend(inner.routes)
        elif getattr(route, "methods", None):
            found.extend((method, route.path) for method in route.methods)
    assert len(found) > 60, "gradio's routes are found"
    return sorted(set(found))


ALLOWED = {
    "GET": {"/", "/config", "/config/", "/assets/{path:path}", "/static/{path:path}", "/svelte/{path:path}", "/favicon.ico", "/theme.css", "/manifest.json",
            "/robots.txt", "/gradio_api/theme.css", "/gradio_api/info", "/gradio_api/info/", "/gradio_api/app_id", "/gradio_api/app_id/",
            "/gradio_api/login_check", "/gradio_api/login_check/", "/gradio_api/queue/status", "/gradio_api/startup-events", "/gradio_api/queue/data",
            "/gradio_api/heartbeat/{session_hash}", "/gradio_api/call/{api_name}/{event_id}", "/gradio_api/call/v2/{api_name}/{event_id}",
            "/gradio_api/file={path_or_url:path}"},
    "POST": {"/gradio_api/queue/join", "/gradio_api/cancel", "/gradio_api/upload", "/gradio_api/call/{api_name}", "/gradio_api/call/{api_name}/",
             "/gradio_api/call/v2/{api_name}", "/gradio_api/call/v2/{api_name}/", "/gradio_api/component_server", "/gradio_api/component_server/"},
}  # fmt: skip
ALLOWED["HEAD"] = ALLOWED["GET"]


def filled(path: str) -> str:
    path = path.replace("{api_name}", "run").replace("{path_or_url:path}", "http://example.org/x.png").replace("{url_path:path}", "https://x.hf.space/y")
    return re.sub(r"\{[^}]*\}", "abc", path)


def test_only_the_routes_that_a_form_needs_are_reached(mirror):
    """Of everything that gradio answers, as it is installed here; new routes of a newer one are refused until they are looked at."""
    reached = []
    for method, path in every_route():
        if method == "OPTIONS" or path in ALLOWED.get(method, ()):
            continue
        answer = mirror.http.request(method, f"/app/mirror{filled(path)}", json={} if method != "GET" and method != "HEAD" else None)
        if answer.status_code != 404:
            reached.append((method, path, answer.status_code))
    assert reached == []


@pytest.mark.parametrize("path", [
    "proxy=https://x.hf.space/", "file/etc/passwd", "stream/abc", "deep_link?session_hash=a", "reset", "vibe-code", "vibe-edit", "process_recording",
    "dev/reload", "run/run", "api/run", "openapi.json", "upload_progress?upload_id=a", "custom_component/a/client/b/c", "runs", "token", "user",
    "mcp/", "profiling/summary", "../monitoring", "%2e%2e/monitoring/summary", "queue/../stream/a", "call/other", "file=", "heartbeat/a/b",
])  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_routes_that_read_paths_or_reach_out_are_not_there(mirror, path, method):
    refused(mirror.http.request(method, f"{API}/{path}", json={} if method == "POST" else None), 404)


def test_a_page_is_not_told_by_its_query(mirror):
    """`deep_link` would read a folder, `page` another page: neither reaches gradio."""
    plain = mirror.http.get("/app/mirror/config").json()
    assert mirror.http.get("/app/mirror/config?deep_link=abc&page=x").json() | {"session": 0} == plain | {"session": 0}


@pytest.mark.parametrize("path", ["/app/", "/app/mirror/", "/app/mirror/config", f"{API}/info", f"{API}/queue/data?session_hash=a", f"{API}/heartbeat/a",
                                  f"{API}/file=/etc/passwd", f"{API}/upload", f"{API}/queue/join", f"{API}/component_server", "/app/mirror/assets/x.js"])  # fmt: skip
def test_without_a_token_nothing_of_a_form_is_reached(mirror, path):
    for method in ("GET", "HEAD", "POST"):
        answer = httpx.request(method, f"{mirror.url}{path}", json={} if method == "POST" else None)
        assert answer.status_code == 401 and (method == "HEAD" or answer.json()["error"]["code"] == "token")


def test_a_page_elsewhere_cannot_call_a_form(mirror):
    for path in ("queue/join", "upload", "cancel"):
        answer = mirror.http.post(f"{API}/{path}", json={}, headers={"Origin": "https://evil.example"})
        assert answer.status_code == 403 and answer.json()["error"]["code"] == "origin"
    assert mirror.http.post(f"{API}/queue/join", content=b"{}", headers={"Content-Type": "text/plain"}).status_code == 415


# ── uploads ─────────────────────────────────────────────────────────────────────────────────────


def test_an_upload_is_kept_under_a_name_of_ours_and_served_as_what_it_is(mirror):
    data = png()
    answer = upload(mirror, ("../../../evil.html", data, "text/html"), ("b.png", png(8), "image/png"))
    assert answer.status_code == 200, answer.text
    first, second = answer.json()
    assert first.endswith(".png") and "evil" not in first and first.rpartition("/")[0] == str(mirror.parts.uploads.folder)
    got = mirror.http.get(f"{API}/file={first}")
    assert got.content == data and got.headers["content-type"] == "image/png" and got.headers["x-content-type-options"] == "nosniff"
    assert first != second and mirror.parts.uploads.path(second.rpartition("/")[2]).is_file()


@pytest.mark.parametrize("data", [b"<html><script>alert(1)</script>", SVG, b"", b"GIF89a" + bytes(50), png()[:40], b"%PDF-1.4"],
                         ids=["html", "svg", "nothing", "gif", "half", "pdf"])  # fmt: skip
def test_what_is_no_picture_is_refused_whatever_it_is_called(mirror, data):
    before = sorted(mirror.parts.uploads.folder.iterdir())
    answer = upload(mirror, ("picture.png", data, "image/png"))
    assert answer.status_code in (415, 422) and answer.json()["detail"], answer.text
    assert sorted(mirror.parts.uploads.folder.iterdir()) == before


def test_uploads_are_bounded_in_size_number_and_form(mirror):
    assert upload(mirror, ("a.png", bytes((32 << 20) + (1 << 17)), "image/png")).status_code == 413
    assert upload(mirror, *[("a.png", png(), "image/png")] * 65).status_code == 400
    assert mirror.http.post(f"{API}/upload", data={"files": "no file"}, files={"x": ("", b"")}).status_code in (400, 415)
    assert mirror.http.post(f"{API}/upload", content=b"--x\r\n", headers={"Content-Type": "multipart/form-data; boundary=y"}).status_code == 400
    assert mirror.http.post(f"{API}/upload", content=b"x", headers={"Content-Type": "multipart/form-data"}).status_code == 400
    assert mirror.http.post(f"{API}/upload", json={"files": "a"}).status_code == 415


# ── files ───────────────────────────────────────────────────────────────────────────────────────


def test_no_file_is_read_but_an_upload_and_a_runs_picture(mirror, tmp_path):
    folder = mirror.parts.uploads.folder
    secret = tmp_path / "secret.png"
    secret.write_bytes(png())
    (folder / "0123456789abcdef0123456789abcdef.png").symlink_to(secret)
    (folder / "note.txt").write_text("secret")
    for path in (
        "/etc/passwd", str(secret), f"{folder}/0123456789abcdef0123456789abcdef.png", f"{folder}/note.txt", f"{folder}/../journal.sqlite", f"{folder}/../token",
        f"{folder}/", str(folder), f"{folder}/%2e%2e/token", f"{folder}/runs/../../token", "http://127.0.0.1:1/x.png", "https://example.org/x.png",
        f"{folder}/runs/abc/mirrored/0.png", f"{folder}/runs/../0.png", "file:///etc/passwd", f"{folder}/%00", "//etc/passwd", f"x{folder}/note.txt",
    ):  # fmt: skip
        refused(mirror.http.get(f"{API}/file={path}"), 404)


def test_a_runs_picture_is_served_once_it_is_there(mirror):
    path = upload(mirror, ("a.png", png(), "image/png")).json()[0]
    done = events(mirror, "mirror", {"path": path, "meta": {"_type": "gradio.FileData"}}, session="one")[-1]
    assert done["success"], done
    picture = done["output"]["data"][0][0]["image"]
    got = mirror.http.get(picture["url"])
    assert got.status_code == 200 and got.headers["content-type"] == "image/png" and got.content.startswith(b"\x89PNG")
    refused(mirror.http.get(f"{API}/file={picture['path'].replace('0.png', '1.png')}"), 404)
    refused(mirror.http.get(f"{API}/file={picture['path'].replace('mirrored', 'other')}"), 404)


# ── payloads ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def outside():
    """A web server that remembers who asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(png())

        do_HEAD = do_GET

        def log_message(self, *args):
            pass

    made = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}", asked
    made.shutdown()


def joined(server: Serving, data, **more) -> httpx.Response:
    deps = config(server, "mirror")["dependencies"]
    fn = next(one["id"] for one in deps if one["api_name"] == "run")
    return server.http.post(f"{API}/queue/join", json={"data": [data], "fn_index": fn, "session_hash": "probe", **more})


META = {"meta": {"_type": "gradio.FileData"}}


def test_no_path_but_an_upload_of_ours_comes_in(mirror, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(png())
    folder = mirror.parts.uploads.folder
    (folder / "fedcba9876543210fedcba9876543210.png").symlink_to(secret)
    before = latest(mirror)["id"]
    for path in ("/etc/passwd", str(secret), f"{folder}/../token", f"{folder}/fedcba9876543210fedcba9876543210.png", f"{folder}/" + "0" * 32 + ".png", "", "a",
                 f"{folder}/x/../{'0' * 32}.png", "~/.ssh/id_rsa", "http://127.0.0.1/x.png", "data:image/png;base64,AAAA"):  # fmt: skip
        for payload in ({"path": path, **META}, {"path": path}, [{"image": {"path": path, **META}}], {"a": {"b": [{"path": path, **META}]}}):
            assert refused(joined(mirror, payload), 404, 422)
    for way in ("call/run", "call/v2/run", "cancel"):
        assert refused(mirror.http.post(f"{API}/{way}", json={"data": [{"path": "/etc/passwd", **META}], "image": {"path": "/etc/passwd"}}), 404, 422)
    assert refused(joined(mirror, None, event_data={"x": {"path": "/etc/passwd", **META}}), 422)
    assert latest(mirror)["id"] == before, "nothing was run"


def test_no_address_in_a_payload_is_ever_asked(mirror, outside):
    url, asked = outside
    path = upload(mirror, ("a.png", png(), "image/png")).json()[0]
    done = events(mirror, "mirror", {"path": path, "url": f"{url}/a.png", "is_stream": True, **META}, session="two")[-1]
    assert done["success"], "a page sends the address of its own picture along; the upload is what counts"
    for payload in ({"path": f"{url}/b.png", **META}, {"url": f"{url}/c.png", **META}, {"path": None, "url": f"{url}/d.png", **META}, f"{url}/e.png",
                    {"url": "data:image/png;base64,AAAA", **META}):  # fmt: skip
        answer = joined(mirror, payload)
        if answer.status_code == 200:
            with mirror.http.stream("GET", f"{API}/queue/data", params={"session_hash": "probe"}) as stream:
                assert '"success":false' in "".join(stream.iter_lines())
    refused(mirror.http.get(f"{API}/file={url}/f.png"), 404)
    refused(mirror.http.get(f"{API}/proxy={url}/g.png"), 404)
    assert asked == []


def test_bodies_that_are_no_plain_json_are_refused(mirror):
    for body in (b"[", b"[]", b"1", b'{"data": ' + b"[" * 100 + b"]" * 100 + b"}", b"[" * 200_000, b"\xff"):
        answer = mirror.http.post(f"{API}/queue/join", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422) and answer.json()["detail"]


def test_a_component_has_no_function_but_to_take_what_was_painted(mirror):
    for fields in ({"fn_name": "preprocess"}, {"fn_name": "__init__"}, {"fn_name": "accept_blobs"}, {"fn_name": "accept_blobs", "id": "a", "type": "x"},
                   {"fn_name": "accept_blobs", "id": "a", "type": "layer", "index": "9999"}, {"fn_name": "accept_blobs", "id": "a" * 200, "type": "layer"}):  # fmt: skip
        answer = mirror.http.post(f"{API}/component_server/", data={"component_id": "1", "session_hash": "a", **fields}, files={"file": ("a.png", png())})
        assert refused(answer, 404, 422)
    body = {"fn_name": "accept_blobs", "component_id": 1, "session_hash": "a", "data": {}}
    assert mirror.http.post(f"{API}/component_server", json=body).status_code in (404, 415)
    answer = mirror.http.post(f"{API}/component_server", data={"fn_name": "accept_blobs", "id": "a", "type": "layer", "index": "0"}, files={"file": ("a.png", SVG)})
    assert answer.status_code == 415

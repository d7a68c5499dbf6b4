"""A short text may ask for a great deal: what it costs is bounded by its length, and what it may reach by where it came from."""

from __future__ import annotations

import gc
import json
import sys
import threading
import time
import weakref
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "server"))
from inside import Inside
from odd_pictures import picture

from flowmm.face.graph import Graph
from flowmm.graph import coerce, document
from flowmm.server import asking, library
from flowmm.server.routes import bodies
from flowmm.server.settings import Limits
from flowmm.sockets import images

MB = 1 << 20
RED = "examples/red-circle.png"
MUCH = 12  # seconds of this process's work; none of these takes two, and most took minutes


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The whole server in this process, beginning no run; a picture lies beside its home."""
    monkeypatch.setenv("FLOWMM_HOME", str(tmp_path / "home"))
    (tmp_path / "secret.png").write_bytes(picture("PNG"))
    made = Inside(tmp_path / "home", Limits(pixels=20_000))
    yield made
    made.close()


@pytest.fixture
def opened(monkeypatch) -> list:
    """Every picture that a graph's text makes the server open."""
    found: list = []
    for module in (coerce, images):
        monkeypatch.setattr(module, "open_picture", lambda path, opening=module.open_picture: found.append(path) or opening(path))
    return found


def graph(nodes: dict, out: str, **more) -> dict:
    return {"flowmm": 1, "nodes": nodes, "outputs": {"out": {"from": out}}, **more}


def highest() -> int:
    """Most bytes that were resident since the last call."""
    found = next(int(line.split()[1]) << 10 for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    Path("/proc/self/clear_refs").write_text("5")
    return found


# ── time and memory ─────────────────────────────────────────────────────────────────────────────

JOIN = {"op": "text.join", "in": {"first": "a", "second": "b"}}


def astray(count: int) -> dict:
    return graph({f"n{i}": {"op": "text.join", "in": {"first": {"from": f"nobody{i}.text"}, "second": "b"}} for i in range(count)}, "n0.text")


def switches(count: int) -> dict:
    """Each stands for the one before."""
    before = ["words.text", *(f"s{i}.value" for i in range(count))]
    nodes = {f"s{i}": {"op": "logic.switch", "in": {"condition": True, "then": {"from": before[i]}, "otherwise": "x"}} for i in range(count)}
    return graph({"words": JOIN, **nodes}, before[-1])


def gathered(count: int) -> dict:
    texts = {"list": [{"from": f"n{i}.text"} for i in range(count)]}
    return graph({**{f"n{i}": JOIN for i in range(count)}, "all": {"op": "text.gather", "in": {"texts": texts}}}, "all.text")


def given(count: int) -> dict:
    made = graph({"one": JOIN}, "one.text", inputs={f"i{i}": {"default": "a"} for i in range(count)})
    return {"graph": made, "inputs": {f"x{i}": 1 for i in range(count)}}


HEAVY = {
    "5,000 wires that lead nowhere": ("check", lambda: {"graph": astray(5_000)}),
    "a key that comes twice, after 300,000 others": ("check", lambda: '{"graph": {' + ", ".join(f'"k{i}": 1' for i in range(300_000)) + ', "k299999": 1}}'),
    "half a million tags of the wrong kind": ("check", lambda: {"graph": graph({}, "n0.text", tags=[1] * 500_000)}),
    "300,000 nodes of the wrong kind": ("check", lambda: {"graph": graph({f"n{i}": 1 for i in range(300_000)}, "n0.text")}),
    "a title in 300,000 languages": ("check", lambda: {"graph": graph({}, "n0.text", title={f"t{i}": 1 for i in range(300_000)})}),
    "a list of 2,000,000 words": ("check", lambda: {"graph": graph({"one": {"op": "text.gather", "in": {"texts": {"list": ["a"] * 2_000_000}}}}, "one.text")}),
    "10,000 inputs and 10,000 others given": ("check", lambda: given(10_000)),
    "3,000 switches in a row": ("plan", lambda: {"graph": switches(3_000)}),
    "a list of 10,000 nodes": ("plan", lambda: {"graph": gathered(10_000)}),
}


@pytest.mark.parametrize("kind", HEAVY)
def test_a_text_of_megabytes_costs_what_its_length_costs(server, kind):
    route, made = HEAVY[kind][0], HEAVY[kind][1]()
    text = (made if isinstance(made, str) else json.dumps(made)).encode()
    highest()
    before, began = highest(), time.process_time()
    answer = server.ask("POST", f"/api/{route}", text)
    assert time.process_time() - began < MUCH
    assert highest() - before < 40 * len(text) + 100 * MB
    assert answer.status in (200, 400, 422) and len(answer.body) < 4 * len(text) + MB
    if answer.status != 200:
        assert len(answer.json()["error"]["message"]) < 1_000


def test_a_graph_names_only_so_many_pictures(server, opened, monkeypatch):
    monkeypatch.setattr(coerce, "MOST_PIXELS", 20 * coerce.LEAST_PIXELS)
    many = graph({"one": {"op": "image.split", "in": {"image": {"value": [RED] * 100_000}}}}, "one.images")
    answer = server.post("/api/plan", graph=many)
    assert (answer.status, answer.json()["error"]["code"]) == (422, "bad-literal") and "pixels together" in answer.json()["error"]["message"]
    assert len(opened) == 20
    assert server.post("/api/check", graph=graph({f"n{i}": {"op": "image.split", "in": {"image": RED}} for i in range(500)}, "n0.images")).status == 200
    assert len(opened) < 200, "what is typed again for repairs counts too"


def test_an_input_is_opened_once_however_many_nodes_it_feeds(server, opened):
    nodes = {f"n{i}": {"op": "image.split", "in": {"image": {"from": "input.it"}}} for i in range(1_000)}
    assert server.post("/api/check", graph=graph(nodes, "n0.images", inputs={"it": {"default": RED}})).json()["problems"] == []
    assert len(opened) == 2, "for its problems, and for what will flow"


def test_what_is_given_to_a_run_has_bounds_and_each_picture_is_opened_once(server, monkeypatch):
    id = server.ask("POST", "/api/uploads", picture("PNG", size=(100, 100)), "image/png").json()["id"]
    found = []
    monkeypatch.setattr(server.parts.uploads, "open", lambda id, opening=server.parts.uploads.open: found.append(id) or opening(id))
    sheet = graph({"one": {"op": "image.sheet", "in": {"images": {"from": "input.them"}}}}, "one.image", inputs={"them": {}})
    assert server.post("/api/plan", graph=sheet, inputs={"them": [{"upload": id}] * 2}).status == 200
    assert len(found) == 1
    many = {"them": [{"upload": id}] * 100_000}
    for path in ("/api/plan", "/api/runs"):
        answer = server.post(path, graph=sheet, inputs=many)
        assert (answer.status, answer.json()["error"]["code"]) == (413, "too-many-pixels"), answer.body[:300]
    assert server.post("/api/check", graph=sheet, inputs=many).json()["problems"][0]["code"] == "too-many-pixels"
    assert len(found) == 4


def test_opened_graphs_are_let_go_of_by_what_they_weigh(server, monkeypatch):
    monkeypatch.setattr(library, "KEPT_BYTES", 10 * MB)
    kept = []
    for number in range(20):
        made, _ = server.parts.library.open(graph({f"n{i}": JOIN for i in range(1_000)}, "n0.text", title=str(number)))
        kept.append(weakref.ref(made))
    del made
    gc.collect()
    alive = sum(one() is not None for one in kept)
    assert 0 < alive < 10 and kept[-1]() is not None, "each weighs a megabyte or two"


def test_wires_are_tried_as_long_as_trying_is_cheap(server, monkeypatch):
    """For what fits, and for what would mend a problem, a graph is typed again: fewer times the larger it is."""
    checks = []
    monkeypatch.setattr(Graph, "check", lambda self, /, check=Graph.check, **inputs: checks.append(1) or check(self, **inputs))
    nodes = {f"n{i}": {"op": "image.split", "in": {"image": {"from": "words.text"}}} for i in range(2_000)} | {"words": JOIN}
    assert server.post("/api/compatible", graph=graph(nodes, "n0.images"), node="n0", port="images", side="output").status == 200
    assert server.post("/api/check", graph=graph(nodes, "n0.images")).status == 200
    assert len(checks) <= 2 * asking.MOST_COST / 2_000 + 5


def test_a_body_is_read_beside_the_event_loop(server, monkeypatch):
    where = []
    monkeypatch.setattr(bodies, "parse", lambda *given: where.append(threading.get_ident()) or document.parse(*given))
    assert server.post("/api/check", graph="vit-classify").status == 200
    assert where and threading.get_ident() not in where, "everybody else would wait for it"


def test_a_name_has_an_end(server):
    answer = server.post("/api/check", graph=graph({"n" * 1_001: JOIN}, "n0.text"))
    assert (answer.status, answer.json()["error"]["code"]) == (422, "bad-name") and "too long" in answer.json()["error"]["message"]
    assert server.post("/api/check", graph=graph({"n" * 1_000: JOIN}, f"{'n' * 1_000}.text")).json()["problems"] == []


# ── what may be reached ─────────────────────────────────────────────────────────────────────────

SPLIT = graph({"one": {"op": "image.split", "in": {"image": {"from": "input.it"}}}}, "one.images", inputs={"it": {}})


@pytest.mark.parametrize("trick", ["{outside}/secret.png", "../../secret.png", "a/../../../secret.png"])
@pytest.mark.parametrize("route", ["check", "plan", "look", "runs", "carried"])
def test_no_route_opens_a_picture_outside_for_an_input(server, opened, tmp_path, trick, route):
    path = trick.format(outside=tmp_path)
    more = {"edge": "input.it"} if route == "look" else {}
    asked = [{"graph": SPLIT, "inputs": {"it": given}} for given in (path, [path])] + [{"graph": SPLIT | {"inputs": {"it": {"default": path}}}}]
    for request in asked:
        answer = server.post(f"/api/{route}", **request, **more)
        assert answer.status in (200, 404, 422), answer.body
        for told in (b"data:image", b"sha256", b'"state":"queued"'):
            assert told not in answer.body, answer.body
    assert not [one for one in opened if "secret" in str(one)]


def test_a_default_that_is_no_path_travels_by_its_name_alone(server):
    split = SPLIT | {"inputs": {"it": {"default": "../../secret.png"}}}
    assert server.post("/api/carried", graph=split).json()["inputs"] == {"it": {"file": "secret.png"}}
    assert server.post("/api/carried", graph=split, inputs={"it": "x" * 5_000}).json()["inputs"] == {"it": {"file": "x" * 5_000}}


def test_a_key_that_is_no_text_is_no_model_and_no_value(server):
    """A lone surrogate is text in JSON, and none that a disk or a database takes."""
    half = "\ud800"
    one = SPLIT | {"layout": {"given": {"it": {"value": half}}}}
    assert server.ask("POST", "/api/open", json.dumps(one).encode()).json()["missing"][0]["input"] == "it"
    for asked in ({"inputs": {"it": {"value": half}}}, {"inputs": {"it": {"upload": half}}}, {"inputs": {"it": half}}, {"inputs": {half: 1}}, {"name": half}):
        assert server.post("/api/plan", graph=one, **asked).status in (400, 404, 422), asked

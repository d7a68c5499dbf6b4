"""The HTTP API: what can be known without running, saved graphs, and how it refuses."""

from __future__ import annotations

import gzip
import json

import api_nodes as n
import httpx
import pytest
from running import serving

from flowmm import Graph, __version__
from flowmm.graph.document import dump
from flowmm.server.settings import Limits


def document(graph: Graph) -> dict:
    return json.loads(dump(graph.document))


def sums() -> Graph:
    """Two outputs that share a node, and one apart."""
    graph = Graph(title="Sums")
    a = graph.input("a", 1)
    with graph:
        first = n.add(a, _name="first")
        graph.output(more=n.add(first, 10, _name="more"), less=n.add(first, -1, _name="less"), word=n.shout(graph.input("text", "hi"), _name="word"))
    return graph


def refusal(answer: httpx.Response, status: int, code: str) -> dict:
    """The error of an answer that must be one: one shape, sentences, nothing of the server's insides."""
    assert answer.status_code == status, answer.text
    assert "Traceback" not in answer.text and 'File "' not in answer.text
    error = answer.json()["error"]
    assert error["code"] == code and {"code", "message", "fix"} <= set(error) <= {"code", "message", "fix", "problems"}
    assert error["message"] and len(answer.content) < 10_000
    return error


# ── the catalogue ───────────────────────────────────────────────────────────────────────────────


def test_the_catalogue_has_every_node_with_its_inputs_and_outputs(server):
    nodes = server.http.get("/api/nodes").json()["nodes"]
    similarity = nodes["clip.similarity"]
    assert set(similarity["inputs"]) == {"text", "image", "scale"} and "score" in similarity["outputs"]
    assert nodes["diffusion.sample"]["inputs"]["steps"]["between"]["low"] >= 1


def test_a_catalogue_that_is_known_is_not_sent_again(server):
    first = server.http.get("/api/nodes")
    again = server.http.get("/api/nodes", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304 and not again.content
    assert server.http.get("/api/nodes", headers={"If-None-Match": '"another"'}).status_code == 200


def test_the_catalogue_is_sent_packed_to_those_who_can_unpack(server):
    with server.http.stream("GET", "/api/nodes", headers={"Accept-Encoding": "gzip"}) as answer:
        packed = b"".join(answer.iter_raw())
    plain = server.http.get("/api/nodes", headers={"Accept-Encoding": "identity"})
    assert answer.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
    assert gzip.decompress(packed) == plain.content and len(packed) < len(plain.content) / 4


# ── saved graphs ────────────────────────────────────────────────────────────────────────────────


def test_shipped_graphs_are_listed_and_read_as_their_bytes(server):
    listed = {one["name"]: one for one in server.http.get("/api/graphs").json()}
    assert listed["clip-match"]["own"] is False and listed["clip-match"]["title"]
    answer = server.http.get("/api/graphs/clip-match")
    assert answer.json()["flowmm"] == 1 and answer.headers["x-flowmm-own"] == "false"
    assert server.http.get("/api/graphs/clip-match", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    assert server.http.get("/api/graphs/clip-match", headers={"If-None-Match": answer.headers["etag"]}).content == b""


def test_a_graph_is_saved_and_read_back(server):
    saved = server.http.put("/api/graphs/mine", json=document(sums()), headers={"If-None-Match": "*"})
    assert saved.status_code == 200
    read = server.http.get("/api/graphs/mine")
    assert read.json() == document(sums()) and read.headers["etag"] == saved.headers["etag"] == saved.json()["etag"]
    assert "mine" in [one["name"] for one in server.http.get("/api/graphs").json() if one["own"]]


def test_of_two_tabs_the_second_learns_that_the_graph_has_changed(server):
    first = server.http.put("/api/graphs/tabs", json=document(sums()), headers={"If-None-Match": "*"}).headers["etag"]
    one = document(sums()) | {"title": "from the first tab"}
    two = document(sums()) | {"title": "from the second tab"}
    assert server.http.put("/api/graphs/tabs", json=one, headers={"If-Match": first}).status_code == 200
    refusal(server.http.put("/api/graphs/tabs", json=two, headers={"If-Match": first}), 412, "changed")
    assert server.http.get("/api/graphs/tabs").json()["title"] == "from the first tab"
    refusal(server.http.put("/api/graphs/tabs", json=two), 428, "no-etag")
    refusal(server.http.put("/api/graphs/tabs", json=two, headers={"If-None-Match": "*"}), 412, "exists")
    refusal(server.http.put("/api/graphs/tabs", json=two, headers={"If-None-Match": first}), 400, "bad-precondition")


def test_a_graph_is_renamed_deleted_and_brought_back_with_its_history(server):
    etag = server.http.put("/api/graphs/old", json=document(sums()), headers={"If-None-Match": "*"}).headers["etag"]
    newer = server.http.put("/api/graphs/old", json=document(sums()) | {"title": "newer"}, headers={"If-Match": etag}).headers["etag"]
    renamed = server.http.post("/api/graphs/old/rename", json={"to": "new"}, headers={"If-Match": newer})
    assert renamed.json()["name"] == "new"
    refusal(server.http.get("/api/graphs/old"), 404, "no-graph")
    (version,) = server.http.get("/api/graphs/new/history").json()
    assert server.http.get(f"/api/graphs/new/history/{version['etag']}").json() == document(sums())
    refusal(server.http.get("/api/graphs/new/history/none"), 404, "no-version")
    trashed = server.http.delete("/api/graphs/new", headers={"If-Match": renamed.headers["etag"]}).json()["trash"]
    assert trashed in str(server.http.get("/api/trash").json())
    assert server.http.post(f"/api/trash/{trashed}/restore", json={}).json() == {"name": "new"}
    assert server.http.get("/api/graphs/new").json()["title"] == "newer"
    refusal(server.http.post("/api/trash/none/restore", json={}), 404, "not-in-trash")
    thrown = server.http.delete("/api/graphs/new", headers={"If-Match": server.http.get("/api/graphs/new").headers["etag"]}).json()["trash"]
    assert server.http.delete(f"/api/trash/{thrown}").json() == {"name": "new"}
    refusal(server.http.delete(f"/api/trash/{thrown}"), 404, "not-in-trash")


def test_a_shipped_graph_stays_as_it_is(server):
    etag = server.http.get("/api/graphs/clip-match").headers["etag"]
    refusal(server.http.delete("/api/graphs/clip-match", headers={"If-Match": etag}), 403, "shipped")


def test_what_is_no_graph_is_not_saved(server):
    refusal(server.http.put("/api/graphs/bad", json=[], headers={"If-None-Match": "*"}), 422, "unreadable")
    refusal(server.http.get("/api/graphs/bad"), 404, "no-graph")


# ── check ───────────────────────────────────────────────────────────────────────────────────────


def test_a_graph_is_typed_with_its_inputs_outputs_and_edges(server):
    graph = Graph()
    with graph:
        image = n.paint(graph.input("seed", 3, help="Of the noise."), 8, _name="picture")
        graph.output(picture=image, hundred=n.scaled(graph.input("a"), _name="scale"))
    found = server.post("/api/check", graph=document(graph)).json()
    assert found["problems"] == [] and found["inputs"]["seed"] == {
        "type": {"kind": "plain", "name": "int"}, "shown": "int", "title": "seed", "help": "Of the noise.", "required": False, "default": 3}  # fmt: skip
    assert found["inputs"]["a"]["required"] and found["inputs"]["a"]["between"] == {"low": 0, "high": 10}
    assert found["outputs"]["picture"]["shown"] == "Image"
    edges = {(edge["from"], edge["to"], edge["type"]) for edge in found["edges"]}
    assert edges == {("input.seed", "picture.seed", "int"), ("input.a", "scale.a", "int"), ("picture.image", "output.picture", "Image"),
                     ("scale.value", "output.hundred", "int")}  # fmt: skip


def test_a_check_has_every_problem_at_once_each_with_what_to_do(server):
    broken = document(sums())
    broken["nodes"]["word"]["in"]["text"] = {"from": "first.result"}
    broken["nodes"]["more"]["op"] = "nowhere.nothing"
    broken["nodes"]["less"]["in"] = {}
    problems = server.post("/api/check", graph=broken, inputs={"a": "many"}).json()["problems"]
    assert {problem["node"] for problem in problems} >= {"word", "more", "less"} and len(problems) >= 4
    assert all(problem["fix"] for problem in problems if problem["level"] == "error")


def test_a_shipped_graph_is_checked_by_name_with_shapes_and_memory(server):
    found = server.post("/api/check", graph="clip-match").json()
    assert [problem for problem in found["problems"] if problem["level"] == "error"] == []
    assert found["memory"]["weights"] > 0 and any(edge["shape"] for edge in found["edges"])
    refusal(server.post("/api/check", graph="no-such-graph"), 404, "no-graph")


# ── what fits ───────────────────────────────────────────────────────────────────────────────────


def ports(found: dict) -> dict[str, dict]:
    return {f"{one['node']}.{one['port']}": one for one in found["ports"]}


def output_of(graph: Graph, node: str) -> str:
    """The name of a node's only output."""
    return next(iter(graph.wiring.specs[graph.wiring.index[node]].outputs))


def compatible(server, graph: Graph, node: str, port: str, side: str) -> dict:
    answer = server.post("/api/compatible", graph=document(graph), node=node, port=port, side=side)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_an_output_fits_ports_of_its_type_and_says_why_not_the_others(server):
    found = compatible(server, sums(), "word", output_of(sums(), "word"), "output")
    assert found["type"] == "str"
    assert not ports(found)["more.a"]["fits"] and "int" in ports(found)["more.a"]["why"]
    assert "text.join" in [one["op"] for one in found["nodes"]]


def test_a_wire_that_would_close_a_loop_does_not_fit(server):
    found = ports(compatible(server, sums(), "more", output_of(sums(), "more"), "output"))
    assert "loop" in found["first.a"]["why"] and "loop" in found["more.a"]["why"]
    assert found["less.a"]["fits"] and "why" not in found["less.a"]
    sources = ports(compatible(server, sums(), "first", "a", "input"))
    assert "loop" in sources[f"less.{output_of(sums(), 'less')}"]["why"] and sources["input.a"]["fits"]


def test_a_taken_port_is_asked_as_if_it_were_free(server):
    """Its wire of today makes `value` a whole number; the new wire would replace it."""
    graph = Graph()
    with graph:
        number, word = n.add(1, _name="number"), n.shout("a", _name="word")
        kept = n.same(number, _name="kept")
        graph.output(kept=kept, word=word)
    found = ports(compatible(server, graph, "word", output_of(graph, "word"), "output"))
    assert found["kept.value"]["fits"] and not found["number.a"]["fits"]


def test_spaces_of_other_models_do_not_fit_and_those_of_the_same_do(server):
    found = server.post("/api/compatible", graph="clip-match", node="text", port="embedding", side="output").json()
    assert ports(found)["similarity.text"]["fits"] and not ports(found)["likely.score"]["fits"]
    assert "clip.similarity" in [one["op"] for one in found["nodes"]]


def test_an_input_of_the_graph_is_asked_like_any_output(server):
    found = ports(compatible(server, sums(), "input", "text", "output"))
    assert found["word.text"]["fits"] and not found["more.a"]["fits"] and found["more.a"]["why"]
    refusal(server.post("/api/compatible", graph=document(sums()), node="input", port="none", side="output"), 422, "no-such-input")
    refusal(server.post("/api/compatible", graph=document(sums()), node="none", port="a", side="input"), 422, "no-such-node")
    refusal(server.post("/api/compatible", graph=document(sums()), node="more", port="none", side="input"), 422, "no-such-port")
    refusal(server.post("/api/compatible", graph=document(sums()), node="more", port="none", side="output"), 422, "no-such-output")
    refusal(server.post("/api/compatible", graph=document(sums()), node="more", port="a", side="up"), 422, "bad-request")


# ── plans ───────────────────────────────────────────────────────────────────────────────────────


def test_a_plan_runs_only_what_follows_from_what_changed(server):
    graph = document(sums())
    before = server.post("/api/plan", graph=graph, inputs={"a": 41}).json()
    assert before["nodes"] == dict.fromkeys(("first", "more", "less", "word"), "run") and before["runs"] == 4
    server.run(graph, inputs={"a": 41})
    after = server.post("/api/plan", graph=graph, inputs={"a": 41}).json()
    assert after["runs"] == 0 and after["cached"] and set(after["nodes"].values()) == {"cached"}
    other = server.post("/api/plan", graph=graph, inputs={"a": 41, "text": "changed"}).json()
    assert other["nodes"]["word"] == "run" and other["runs"] == 1
    assert server.post("/api/plan", graph=graph, inputs={"a": 42}, targets=["more"]).json()["nodes"] == {"first": "run", "more": "run"}


def test_a_plan_says_which_models_are_here(server):
    found = server.post("/api/plan", graph="clip-match").json()
    assert found["models"] == [{"source": "zoo:clip", "ports": ["clip.source"], "here": True}]
    elsewhere = server.post("/api/plan", graph="clip-match", inputs={"model": "zoo:none"}).json()
    assert elsewhere["models"][0]["here"] is False and "zoo:none" in elsewhere["models"][0]["why"]
    assert "zoo:none" in elsewhere["problems"][0]["message"]


def test_a_plan_of_a_broken_graph_is_refused_with_its_problems(server):
    broken = document(sums())
    broken["nodes"]["first"]["in"]["a"] = "many"
    error = refusal(server.post("/api/plan", graph=broken), 422, "bad-literal")
    assert error["problems"][0]["node"] == "first" and error["problems"][0]["port"] == "a"
    refusal(server.post("/api/plan", graph=document(sums()), targets=["none"]), 422, "no-such-output")


# ── the system ──────────────────────────────────────────────────────────────────────────────────


def test_a_lora_is_a_model_that_is_here(server):
    found = server.post("/api/plan", graph="style-transfer").json()
    assert {one["source"]: one["here"] for one in found["models"]} == dict.fromkeys(("zoo:sd", "zoo:sd-control", "zoo:sd-style-lora"), True)


def test_the_models_and_the_system_are_told(server):
    assert "clip" in str([one["name"] for one in server.http.get("/api/models").json()])
    found = server.http.get("/api/system").json()
    assert found["versions"]["flowmm"] == __version__ and found["devices"][0]["name"] == "cpu" and found["memory"] > 0
    assert set(found["runs"]) == {"queued", "running", "done", "failed", "cancelled", "interrupted"} and found["epoch"]


def test_the_metrics_count_runs_and_refusals(server):
    def counted(name: str) -> float:
        lines = server.http.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name) and not line.startswith("#"))

    assert server.http.get("/metrics").headers["content-type"].startswith("text/plain")
    runs, refused = counted("flowmm_runs_total"), counted("flowmm_refused_total")
    server.run(document(sums()))
    server.http.get("/api/nowhere")
    assert counted("flowmm_runs_total") == runs + 1 and counted("flowmm_refused_total") == refused + 1


# ── refusals ────────────────────────────────────────────────────────────────────────────────────


def test_a_refusal_is_one_shape_of_json_whatever_was_wrong(server):
    refusal(server.http.get("/api/nowhere"), 404, "no-such-route")
    refusal(server.http.patch("/api/nodes", json={}), 405, "http")
    refusal(server.post("/api/check"), 422, "bad-request")
    refusal(server.post("/api/check", graph=1), 422, "bad-request")
    refusal(server.http.get("/api/runs", params={"limit": 0}), 422, "bad-request")
    headers = {"Content-Type": "application/json"}
    refusal(server.http.post("/api/check", content=b"{", headers=headers), 400, "not-json")
    refusal(server.http.post("/api/check", content=b"\xff", headers=headers), 400, "not-json")
    refusal(server.http.post("/api/check", content=b'{"graph": {}, "graph": {}}', headers=headers), 400, "duplicate-key")
    refusal(server.http.post("/api/check", content=b'{"graph": {"flowmm": NaN}}', headers=headers), 400, "not-a-number")
    refusal(server.http.post("/api/check", content=b"[" * 100_000, headers=headers), 400, "too-deep")
    refusal(server.http.post("/api/check", content=b'{"graph": ' + b"[" * 200 + b"]" * 200 + b"}", headers=headers), 422, "too-deep")
    refusal(server.http.post("/api/check", content=b'{"graph": "x", "inputs": {"a": ' + b"9" * 5_000 + b"}}", headers=headers), 400, "not-json")
    refusal(server.post("/api/check", graph={"nodes": {}}), 422, "not-a-graph")
    refusal(server.post("/api/check", graph={"flowmm": 99}), 422, "format")


def test_a_graph_nested_too_deeply_is_refused(server):
    deep: object = 1
    for _ in range(60):
        deep = {"value": [deep]}
    graph = document(sums())
    graph["nodes"]["first"]["in"]["a"] = deep
    refusal(server.post("/api/check", graph=graph), 422, "too-deep")


def test_a_body_that_is_no_json_by_its_type_is_refused(server):
    answer = server.http.post("/api/check", content=b"{}", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415 and answer.json()["error"]["message"]


def test_without_the_token_nothing_is_answered(server):
    for path in ("/api/nodes", "/api/runs", "/metrics", "/openapi.json", "/api/nowhere"):
        answer = httpx.get(server.url + path)
        assert answer.status_code == 401 and "error" in answer.json()


def test_a_crash_is_told_without_its_details(server, monkeypatch):
    def crash(*_):
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(type(server.parts.saved), "list", crash)
    answer = server.http.get("/api/graphs")
    error = refusal(answer, 500, "crash")
    assert "secret" not in answer.text and error["fix"]


def test_a_graph_of_too_many_nodes_is_refused(tmp_path):
    with serving(tmp_path / "served", Limits(nodes=2)) as server:
        for path in ("/api/check", "/api/plan", "/api/runs"):
            error = refusal(server.post(path, graph=document(sums())), 422, "too-many-nodes")
            assert "4 nodes" in error["message"] and "2" in error["message"]
        refusal(server.http.post("/api/check", content=b" " * (33 << 20), headers={"Content-Type": "application/json"}), 413, "body_size")


def test_the_api_describes_itself(server):
    described = server.http.get("/openapi.json").json()
    assert {"/api/runs", "/api/check", "/api/plan", "/api/compatible", "/api/graphs/{name}"} <= set(described["paths"])
    assert described["components"]["schemas"]["Refusal"]["required"] == ["error"]


@pytest.mark.parametrize("path", ["/api/check", "/api/plan"])
def test_a_name_that_is_no_text_of_unicode_is_refused(server, path):
    answer = server.http.post(path, content=b'{"graph": "\\ud800"}', headers={"Content-Type": "application/json"})
    assert answer.status_code in (404, 422) and "error" in answer.json()

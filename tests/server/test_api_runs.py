"""The HTTP API: runs from their submission to their end and beyond, what they gave, and pictures that come in."""

from __future__ import annotations

import io
import json
import socket

import api_nodes as n
import msgpack
import numpy
import numpy as np
import PIL.Image
import pytest
from running import Serving, serving
from test_api import document, refusal, sums

import flowmm
from flowmm import Graph
from flowmm.server.settings import Limits
from flowmm.sockets import Image
from flowmm.store import objects


def waiting(tmp_path, number: int = 0) -> tuple[dict, dict]:
    """A graph that says when it began and waits until it may end; its inputs."""
    graph = Graph(title="Waiting")
    names = [graph.input(name) for name in ("began", "end", "number")]
    with graph:
        graph.output(number=n.wait_for(*names, _name="wait"))
    return document(graph), {"began": str(tmp_path / f"began-{number}"), "end": str(tmp_path / "end"), "number": number}


def submitted(server: Serving, graph: dict, **more) -> str:
    answer = server.post("/api/runs", graph=graph, **more)
    assert answer.status_code == 202 and answer.headers["location"] == f"/api/runs/{answer.json()['id']}", answer.text
    return answer.json()["id"]


def until_began(server: Serving, id_: str) -> None:
    while server.http.get(f"/api/runs/{id_}").json().get("live", {}).get("total") != 1:
        pass


def state(server: Serving, id_: str) -> str:
    return server.http.get(f"/api/runs/{id_}").json()["state"]


def png(array) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def uploaded(server: Serving, data: bytes, kind: str = "image/png") -> str:
    answer = server.http.post("/api/uploads", content=data, headers={"Content-Type": kind})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def values(run: dict) -> dict:
    return {name: one["summary"].get("value") for name, one in run["outputs"].items()}


# ── submitting ──────────────────────────────────────────────────────────────────────────────────


def test_a_run_gives_its_outputs_with_their_types_and_what_is_in_them(server):
    run = server.run(document(sums()), inputs={"a": 5, "text": "hello"})
    assert run["state"] == "done" and values(run) == {"more": 16, "less": 5, "word": "HELLO"}
    assert run["title"] == "Sums" and run["executed"] + run["cached"] == 4 and run["seconds"] >= 0 and run["error"] is None
    assert [one["type"] for one in run["outputs"].values()] == ["int", "int", "str"]


def test_only_the_wanted_outputs_and_edges_are_computed(server):
    run = server.run(document(sums()), inputs={"a": 1001}, targets=["less", "first.value"])
    assert values(run) == {"less": 1001, "first.value": 1002} and run["executed"] == 2
    assert server.http.get(f"/api/runs/{run['id']}/outputs/first.value").json() == 1002
    refusal(server.post("/api/runs", graph=document(sums()), targets=["first.none"]), 422, "no-such-edge")
    refusal(server.post("/api/runs", graph=document(sums()), targets=["none"]), 422, "no-such-output")


def test_a_saved_graph_runs_by_name_as_it_was_when_it_was_submitted(server):
    etag = server.http.put("/api/graphs/run-me", json=document(sums()), headers={"If-None-Match": "*"}).headers["etag"]
    run = server.run("run-me", inputs={"a": 7})
    server.http.put("/api/graphs/run-me", json=document(sums()) | {"title": "Other"}, headers={"If-Match": etag})
    assert run["name"] == "run-me" and values(run)["more"] == 18
    assert server.http.get(f"/api/runs/{run['id']}/graph").json() == document(sums())


def test_what_cannot_run_is_refused_with_every_reason_and_not_journalled(server):
    before = server.http.get("/api/system").json()["runs"]
    error = refusal(server.post("/api/runs", graph=document(sums()), inputs={"a": "many", "b": 1}), 422, "no-such-input")
    assert {problem["code"] for problem in error["problems"]} == {"no-such-input", "bad-input"}
    graph = Graph()
    with graph:
        graph.output(out=n.add(graph.input("needed")))
    assert "needed" in refusal(server.post("/api/runs", graph=document(graph)), 422, "input-not-given")["message"]
    refusal(server.post("/api/runs", graph="no-such-graph"), 404, "no-graph")
    refusal(server.post("/api/runs", graph=document(sums()), inputs={"a": {"some": "thing"}}), 422, "bad-input")
    assert server.http.get("/api/system").json()["runs"] == before


def test_asked_twice_under_one_key_it_runs_once(server):
    first = submitted(server, document(sums()), inputs={"a": 77}, key="mine")
    assert submitted(server, document(sums()), inputs={"a": 77}, key="mine") == first
    assert server.ended(first)["state"] == "done"
    assert submitted(server, document(sums()), inputs={"a": 77}, key="mine") == first
    assert submitted(server, document(sums()), inputs={"a": 77}, key="another") != first


def test_a_failed_run_names_the_node_and_what_happened(server):
    graph = Graph()
    with graph:
        graph.output(out=n.picky(n.add(1), _name="picky"))
    run = server.run(document(graph))
    assert run["state"] == "failed" and run["outputs"] == {}
    assert run["error"]["code"] == "node-failed" and run["error"]["node"] == "picky" and run["error"]["op"] == "local:api_nodes.picky"
    assert run["error"]["message"] == "picky (local:api_nodes.picky): 2 is not a number this node likes"


# ── looking ─────────────────────────────────────────────────────────────────────────────────────


def test_runs_are_listed_newest_first_in_pages_and_by_state(fresh_server):
    ids = [fresh_server.run(document(sums()), inputs={"a": a})["id"] for a in range(5)]
    first = fresh_server.http.get("/api/runs", params={"limit": 3}).json()
    rest = fresh_server.http.get("/api/runs", params={"limit": 3, "before": first[-1]["number"]}).json()
    assert [run["id"] for run in first + rest] == ids[::-1] and "outputs" not in first[0]
    assert fresh_server.http.get("/api/runs", params={"state": ["failed", "cancelled"]}).json() == []
    assert len(fresh_server.http.get("/api/runs", params={"state": "done"}).json()) == 5
    assert "queued" in refusal(fresh_server.http.get("/api/runs", params={"state": "asleep"}), 422, "no-such-state")["fix"]


def test_reading_waits_for_the_end_only_as_long_as_asked(server, tmp_path):
    graph, inputs = waiting(tmp_path)
    id_ = submitted(server, graph, inputs=inputs)
    until_began(server, id_)
    early = server.http.get(f"/api/runs/{id_}", params={"wait": 0.05}).json()
    assert early["state"] == "running" and early["live"]["total"] == 1 and early["live"]["done"] == 0
    (tmp_path / "end").touch()
    assert server.http.get(f"/api/runs/{id_}", params={"wait": 60}).json()["state"] == "done"
    refusal(server.http.get("/api/runs/none", params={"wait": 1}), 404, "no-such-run")
    refusal(server.http.get(f"/api/runs/{id_}", params={"wait": 1e9}), 422, "bad-request")


def test_the_trace_has_what_took_time(server, tmp_path):
    (tmp_path / "end").touch()
    graph, inputs = waiting(tmp_path)
    graph["nodes"]["sketch"] = {"op": "local:api_nodes.sketch", "version": 1, "in": {"steps": 2}}
    graph["outputs"]["drawn"] = {"from": "sketch.image"}
    run = server.run(graph, inputs=inputs)
    answer = server.http.get(f"/api/runs/{run['id']}/trace")
    slices = {event["name"]: event for event in answer.json()["traceEvents"] if event["ph"] == "X"}
    assert answer.headers["content-disposition"] == f'attachment; filename="{run["id"]}.trace.json"'
    assert slices["done"]["dur"] >= slices["sketch"]["dur"] >= 100_000


# ── the queue ───────────────────────────────────────────────────────────────────────────────────


def test_the_queue_is_moved_and_cancelled_and_runs_in_its_order(fresh_server, tmp_path):
    server = fresh_server
    runs = []
    for number in range(4):
        graph, inputs = waiting(tmp_path, number)
        runs.append(submitted(server, graph, inputs=inputs))
    until_began(server, runs[0])
    queue = server.http.get("/api/queue").json()
    assert [run["id"] for run in queue["running"]] == runs[:1] and [run["id"] for run in queue["waiting"]] == runs[1:] and queue["count"] == 3
    assert server.http.get(f"/api/runs/{runs[3]}").json()["place"] == 2
    assert server.post(f"/api/runs/{runs[3]}/move", to=0).json()["place"] == 0
    refusal(server.post(f"/api/runs/{runs[0]}/move", to=0), 409, "not-queued")
    refusal(server.http.delete(f"/api/runs/{runs[1]}"), 409, "not-ended")
    refusal(server.post(f"/api/runs/{runs[1]}/retry"), 409, "not-ended")
    assert server.post(f"/api/runs/{runs[1]}/cancel").json()["state"] == "cancelled"
    server.post(f"/api/runs/{runs[0]}/cancel")
    assert server.ended(runs[0])["state"] == "cancelled"
    until_began(server, runs[3])
    (tmp_path / "end").touch()
    ended = [server.ended(id_) for id_ in runs]
    assert [run["state"] for run in ended] == ["cancelled", "cancelled", "done", "done"]
    assert ended[3]["started"] <= ended[2]["started"] and not (tmp_path / "began-1").exists()
    assert server.post(f"/api/runs/{runs[2]}/cancel").json()["state"] == "done"
    again = server.post(f"/api/runs/{runs[1]}/retry")
    assert again.status_code == 202 and again.json()["parent"] == runs[1]
    assert values(server.ended(again.json()["id"])) == {"number": 1}


def test_when_too_many_wait_the_next_is_refused(tmp_path):
    with serving(tmp_path / "served", Limits(queued=2)) as server:
        ids = []
        for number in range(3):
            graph, inputs = waiting(tmp_path, number)
            ids.append(submitted(server, graph, inputs=inputs))
            if number == 0:
                until_began(server, ids[0])
        refusal(server.post("/api/runs", graph=graph, inputs=inputs), 429, "queue-full")
        (tmp_path / "end").touch()
        assert [server.ended(id_)["state"] for id_ in ids] == ["done"] * 3


def test_deleting_a_run_frees_its_values_but_not_those_of_others(fresh_server):
    server = fresh_server
    graph = Graph()
    with graph:
        graph.output(picture=n.paint(graph.input("seed")))
    first, same, other = (server.run(document(graph), inputs={"seed": seed}) for seed in (1, 1, 2))
    key, other_key = first["outputs"]["picture"]["key"], other["outputs"]["picture"]["key"]
    assert same["outputs"]["picture"]["key"] == key
    assert server.http.delete(f"/api/runs/{first['id']}").json() == {"deleted": first["id"]}
    refusal(server.http.get(f"/api/runs/{first['id']}"), 404, "no-such-run")
    assert server.http.get(f"/api/values/{key}").status_code == 200
    server.http.delete(f"/api/runs/{same['id']}")
    refusal(server.http.get(f"/api/values/{key}"), 404, "no-such-value")
    assert server.http.get(f"/api/values/{other_key}").status_code == 200
    assert server.http.get("/api/system").json()["results"]["values"] == 1
    refusal(server.http.delete(f"/api/runs/{first['id']}"), 404, "no-such-run")


# ── outputs ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def every_kind(server):
    graph = Graph(title="Every kind")
    with graph:
        wires = n.kinds(graph.input("seed", 5), _name="kinds")
        graph.output(**{name: getattr(wires, name) for name in n.Kinds._fields})
    return server.run(document(graph))


def output(server, run: dict, name: str, **params):
    return server.http.get(f"/api/runs/{run['id']}/outputs/{name}", params=params)


def test_every_value_is_had_as_a_file_that_people_open(server, every_kind):
    whole = n.kinds(5)
    media = {name: output(server, every_kind, name).headers["content-type"].partition(";")[0] for name in n.Kinds._fields}
    assert media == dict.fromkeys(("whole", "huge", "number", "flag", "text", "numbers", "labels"), "application/json") | dict.fromkeys(
        ("image", "batch", "floats", "mask", "pictures"), "image/png") | {"texts": "text/plain", "score": "text/csv"} | {"seed": media["seed"]}  # fmt: skip
    assert output(server, every_kind, "text").json() == whole.text and output(server, every_kind, "numbers").json() == whole.numbers
    assert output(server, every_kind, "texts").text == "one\ntwo\n"
    assert output(server, every_kind, "score").text.splitlines()[0] == ",x,y,z"
    second = PIL.Image.open(io.BytesIO(output(server, every_kind, "batch", item=1).content))
    assert (numpy.asarray(second) == whole.batch.uint8()[1]).all()
    refusal(output(server, every_kind, "batch", item=3), 404, "no-such-item")
    refusal(output(server, every_kind, "none"), 404, "no-such-output")


def test_every_value_is_had_bit_for_bit(server, every_kind):
    from flowmm.store.keys import digest

    whole = n.kinds(5)
    for name, one in every_kind["outputs"].items():
        answer = output(server, every_kind, name, shape="value")
        assert answer.headers["content-type"] == "application/vnd.flowmm.value"
        (encoded,) = objects.unpack(bytes.fromhex(one["key"]), answer.content)
        assert digest(encoded.decode()) == digest(getattr(whole, name)) == encoded.digest(), name
        assert server.http.get(f"/api/values/{one['key']}", params={"shape": "value"}).content == answer.content


def test_a_picture_carries_the_graph_and_inputs_that_made_it(server, every_kind, tmp_path):
    (tmp_path / "made.png").write_bytes(output(server, every_kind, "image").content)
    graph = flowmm.load(tmp_path / "made.png")
    assert graph.title == "Every kind" and graph.inputs["seed"].default == 5
    assert (graph().image.pixels == n.kinds(5).image.pixels).all()
    by_key = server.http.get(f"/api/values/{every_kind['outputs']['image']['key']}").content
    assert "flowmm" not in PIL.Image.open(io.BytesIO(by_key)).text


def test_a_thumbnail_is_a_small_jpeg(server, every_kind):
    answer = output(server, every_kind, "pictures", shape="thumbnail", size=16, item=1)
    picture = PIL.Image.open(io.BytesIO(answer.content))
    assert answer.headers["content-type"] == "image/jpeg" and picture.format == "JPEG" and max(picture.size) <= 16
    same, exact = (PIL.Image.open(io.BytesIO(output(server, every_kind, "pictures", shape=shape, item=1).content)).convert("RGB") for shape in ("thumbnail", "file"))
    assert same.size == exact.size and np.abs(np.asarray(same, float) - np.asarray(exact, float)).mean() < 8, "what is small keeps its colours"
    refusal(output(server, every_kind, "whole", shape="thumbnail"), 406, "no-picture")
    refusal(output(server, every_kind, "image", shape="thumbnail", size=5000), 422, "bad-request")
    refusal(output(server, every_kind, "image", shape="model"), 422, "bad-request")


def test_the_gallery_has_the_latest_outputs_with_what_made_them(server, every_kind):
    pictures = server.http.get("/api/gallery", params={"type": "Image", "limit": 500}).json()
    mine = [one["output"] for one in pictures if one["run"] == every_kind["id"]]
    assert sorted(mine) == ["batch", "floats", "image"] and {one["type"] for one in pictures} == {"Image"}
    assert [one["number"] for one in pictures] == sorted((one["number"] for one in pictures), reverse=True)
    older = server.http.get("/api/gallery", params={"before": pictures[0]["number"], "type": "Image", "limit": 500}).json()
    assert older == pictures[1:] and pictures[0]["title"]


def test_a_damaged_value_is_said_to_be_damaged(fresh_server):
    run = fresh_server.run(document(sums()))
    key = run["outputs"]["word"]["key"]
    path = objects.name_of(fresh_server.parts.results.folder, bytes.fromhex(key))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    for shape in ("file", "value"):
        error = refusal(fresh_server.http.get(f"/api/values/{key}", params={"shape": shape}), 410, "damaged")
        assert str(fresh_server.parts.results.folder) not in json.dumps(error)
    again = fresh_server.run(document(sums()))
    assert again["outputs"]["word"]["key"] == key and fresh_server.http.get(f"/api/values/{key}").json() == "HI"


# ── what comes in ───────────────────────────────────────────────────────────────────────────────


def graph_of_picture() -> dict:
    graph = Graph()
    image, mask = graph.input("image"), graph.input("mask", None)
    with graph:
        graph.output(kind=n.dtype(image), mirrored=n.mirrored(image))
        graph.output(covered=n.covered(mask))
    made = document(graph)
    del made["inputs"]["mask"]["default"]
    return made


def test_an_upload_is_an_input_for_pictures_and_for_masks(server):
    pixels = numpy.random.default_rng(1).integers(0, 256, (6, 4, 3), "uint8")
    id_ = uploaded(server, png(pixels))
    assert uploaded(server, png(pixels)) == id_
    white = uploaded(server, png(numpy.full((2, 2), 255, "uint8")))
    run = server.run(graph_of_picture(), inputs={"image": {"upload": id_}, "mask": {"upload": white}})
    assert values(run)["kind"] == "uint8 [1, 3, 6, 4]" and values(run)["covered"] == 1.0
    made = PIL.Image.open(io.BytesIO(server.http.get(f"/api/runs/{run['id']}/outputs/mirrored").content))
    assert (numpy.asarray(made) == pixels[:, ::-1]).all()
    assert server.http.get(f"/api/uploads/{id_}").content == png(pixels)
    assert {one["id"] for one in server.http.get("/api/uploads").json()} >= {id_, white}


def test_several_uploads_of_one_size_are_a_batch(server):
    ids = [uploaded(server, png(numpy.full((2, 3, 3), shade, "uint8"))) for shade in (1, 2)]
    run = server.run(graph_of_picture(), inputs={"image": [{"upload": id_} for id_ in ids]}, targets=["kind"])
    assert values(run) == {"kind": "uint8 [2, 3, 2, 3]"}


def test_a_value_of_one_run_is_an_input_of_another(server, every_kind):
    for name, kind in (("batch", "uint8 [3, 3, 5, 7]"), ("floats", "float32 [1, 3, 4, 4]")):
        run = server.run(graph_of_picture(), inputs={"image": {"value": every_kind["outputs"][name]["key"]}}, targets=["kind"])
        assert values(run) == {"kind": kind}
    refusal(server.post("/api/runs", graph=graph_of_picture(), inputs={"image": {"value": "0" * 64}}, targets=["kind"]), 404, "no-such-value")
    wrong = {"image": {"value": every_kind["outputs"]["score"]["key"]}}
    refusal(server.post("/api/runs", graph=graph_of_picture(), inputs=wrong, targets=["kind"]), 422, "bad-input")


def test_a_value_that_a_later_run_names_outlives_the_run_that_made_it(fresh_server):
    server = fresh_server
    graph = Graph()
    with graph:
        graph.output(picture=n.paint(graph.input("seed")))
    made = server.run(document(graph), inputs={"seed": 3})
    key = made["outputs"]["picture"]["key"]
    used = server.run(graph_of_picture(), inputs={"image": {"value": key}}, targets=["kind"])
    server.http.delete(f"/api/runs/{made['id']}")
    again = server.post(f"/api/runs/{used['id']}/retry").json()
    assert server.ended(again["id"])["state"] == "done"


def test_what_is_no_picture_is_not_taken_in(server):
    def post(data: bytes, kind: str = "image/png"):
        return server.http.post("/api/uploads", content=data, headers={"Content-Type": kind})

    refusal(post(b"<svg onload='alert(1)'>"), 415, "no-picture")
    refusal(post(png(numpy.zeros((9, 9), "uint8"))[:60]), 422, "damaged")
    refusal(post(b""), 415, "no-picture")
    assert post(b"<svg>", "image/svg+xml").status_code == 415
    refusal(server.http.get("/api/uploads/none"), 404, "no-upload")
    refusal(server.post("/api/runs", graph=graph_of_picture(), inputs={"image": {"upload": "0" * 32 + ".png"}}, targets=["kind"]), 404, "no-upload")


def test_pictures_say_what_they_are_and_are_never_run_as_pages(server):
    id_ = uploaded(server, png(numpy.zeros((2, 2), "uint8")))
    answer = server.http.get(f"/api/uploads/{id_}")
    assert answer.headers["content-type"] == "image/png" and answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"].startswith("attachment")


def test_a_batch_of_one_is_what_its_value_says(server, every_kind):
    """The summary that a list shows agrees with the value."""
    assert every_kind["outputs"]["batch"]["summary"] == {"count": 3, "width": 7, "height": 5}
    assert isinstance(n.kinds(5).batch, Image) and msgpack.packb(every_kind["outputs"]["score"]["summary"])


# ── models ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("source", ["hf:openai/clip-vit-base-patch32", "hf:openai/clip-vit-base-patch32@main", "live:1", "live:1+2", "zoo:none"])
def test_a_model_that_is_not_here_is_refused_without_looking_elsewhere(server, monkeypatch, source):
    """The server may speak with this machine alone; its worker process is not reached, since nothing runs."""
    tried = []
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def guarded(self, address):
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1"):
            tried.append(address)
            raise OSError("no network here")
        return connect(self, address)

    def watched(host, *args, **kwargs):
        if host not in ("127.0.0.1", b"127.0.0.1"):
            tried.append(host)
        return look_up(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.setattr(socket, "getaddrinfo", watched)
    (model,) = server.post("/api/plan", graph="clip-match", inputs={"model": source}).json()["models"]
    assert model["here"] is False and model["why"]
    run = server.run("clip-match", inputs={"model": source})
    assert run["state"] == "failed" and run["error"]["node"] == "clip" and run["executed"] == 0
    assert not tried

"""Older graphs brought to today's nodes, graphs as scripts, and what a check says of muted nodes, over the server."""

from __future__ import annotations

import api_nodes  # noqa: F401 - its nodes are named below
import pytest
from typer.testing import CliRunner

import flowmm
from flowmm.face.find import shipped
from flowmm.face.sharing_cli import app

ADD = "local:api_nodes.add"
OLD = "local:api_nodes.multiplied"


def old(version=1, **more):
    nodes = {
        "n": {"op": OLD, "version": version, "in": {"number": {"from": "input.x"}, "times": 4}, "note": "kept"},
        "m": {"op": OLD, "version": version, "in": {"number": {"from": "n.result"}}},
        "here": {"op": ADD, "in": {"a": {"from": "m.result"}, "b": 1}},
    }
    return {"flowmm": 1, "inputs": {"x": {"default": 3}}, "nodes": nodes, "outputs": {"out": {"from": "here.value"}, "n": {"from": "n.result"}}, "layout": {"nodes": {"n": [1, 2]}}} | more


def upgraded(server, graph, **more):
    answer = server.post("/api/upgrade", graph=graph, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_all_older_nodes_are_brought_up_with_whatever_reads_them_and_told_in_words(server):
    found = upgraded(server, old())
    nodes = found["graph"]["nodes"]
    assert nodes["n"] == {"op": OLD, "version": 2, "in": {"number": {"from": "input.x"}, "factor": 4}, "note": "kept"}
    assert nodes["m"]["version"] == 2 and nodes["m"]["in"] == {"number": {"from": "n.product"}} and nodes["here"]["in"]["a"] == {"from": "m.product"}
    assert found["graph"]["outputs"]["n"] == {"from": "n.product"} and found["graph"]["layout"] == {"nodes": {"n": [1, 2]}} and found["problems"] == []
    texts = [change["text"] for change in found["changes"]]
    assert f"`n` is of version 2 of {OLD} instead of 1" in texts and any(text.startswith("n.factor: ") for text in texts)
    runs = [server.run(old()), server.run(found["graph"])]
    assert [server.http.get(f"/api/runs/{run['id']}/outputs/out").json() for run in runs] == [13, 13]


def test_one_of_them_alone(server):
    found = upgraded(server, old(), nodes=["n"])
    assert {name: node["version"] for name, node in found["graph"]["nodes"].items() if "version" in node} == {"n": 2, "m": 1}
    assert found["graph"]["nodes"]["m"]["in"] == {"number": {"from": "n.product"}}


def test_definitions_are_brought_up_with_the_whole(server):
    inner = {"inputs": {"x": {}}, "nodes": {"n": {"op": OLD, "version": 1, "in": {"number": {"from": "input.x"}, "times": 2}}}, "outputs": {"out": {"from": "n.result"}}}
    graph = {"flowmm": 1, "nodes": {"p": {"op": "graph:inner", "in": {"x": 4}}}, "outputs": {"out": {"from": "p.out"}}, "graphs": {"inner": inner}}
    found = upgraded(server, graph)
    assert found["graph"]["graphs"]["inner"]["nodes"]["n"]["in"] == {"number": {"from": "input.x"}, "factor": 2}
    assert any(change["text"].startswith("in the definition `inner`: ") for change in found["changes"])


def test_a_graph_of_todays_nodes_stays_as_it_is_and_what_cannot_be_brought_up_is_told(server):
    graph = flowmm.load("text-to-image").document.model_dump(by_alias=True, exclude_unset=True)
    assert upgraded(server, graph) == {"graph": graph, "changes": [], "problems": []}
    problem, = upgraded(server, old(version=7))["problems"][:1]
    assert (problem["code"], problem["node"], problem["level"]) == ("newer-node", "n", "warning")


# ── scripts ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["text-to-image", "vit-attention"])
def test_the_script_is_the_one_of_the_command_line(server, monkeypatch, name):
    monkeypatch.setenv("FLOWMM_HOME", str(server.parts.settings.home))
    answer = server.post("/api/export", graph=name)
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/x-python"), answer.text
    assert answer.text == CliRunner().invoke(app, ["export", name]).stdout


def test_a_script_says_nothing_of_where_the_servers_files_lie(server):
    graph = {"flowmm": 1, "nodes": {"one": {"op": "image.load", "in": {"path": "mine.png"}}}, "outputs": {"image": {"from": "one.image"}}}
    server.http.put("/api/graphs/with-a-file", json=graph, headers={"If-None-Match": "*"})
    text = server.post("/api/export", graph="with-a-file").text
    assert 'HERE / "mine.png"' in text and str(server.parts.settings.home) not in text and str(shipped()) not in text


def test_a_graph_that_cannot_run_is_refused_in_words(server):
    answer = server.post("/api/export", graph={"flowmm": 1, "nodes": {"n": {"op": ADD, "in": {"b": 1}}}, "outputs": {"out": {"from": "n.value"}}})
    error = answer.json()["error"]
    assert answer.status_code == 422 and error["code"] == "missing-input" and error["problems"][0]["node"] == "n" and error["fix"]


# ── what is left out ────────────────────────────────────────────────────────────────────────────


def left_out(server, modes, **nodes):
    chain = {name: {"op": ADD, "in": {"a": {"from": f"{before}.value"} if before else 1, "b": 1}} for name, before in (("one", ""), ("two", "one"), ("three", "two"))}
    for name, mode in modes.items():
        chain[name]["mode"] = mode
    graph = {"flowmm": 1, "nodes": chain | nodes, "outputs": {"out": {"from": "three.value"}, "first": {"from": "one.value"}}}
    return server.post("/api/check", graph=graph).json()["off"]


def test_a_check_says_what_a_muted_node_takes_along(server):
    assert left_out(server, {}) == {}
    assert left_out(server, {"two": "mute"}) == {"two": "two", "three": "two", "output.out": "two"}
    assert left_out(server, {"two": "bypass"}) == {}
    assert left_out(server, {"one": "mute", "two": "bypass"}) == dict.fromkeys(["one", "two", "three", "output.out", "output.first"], "one")


def test_a_reroute_and_a_graph_used_as_a_node_are_left_out_too(server):
    bend = {"op": "logic.reroute", "in": {"value": {"from": "one.value"}}}
    loose = {"op": "logic.reroute", "in": {"value": {"from": "free.value"}}}
    free = {"op": ADD, "in": {"a": 1, "b": 2}}
    found = left_out(server, {"one": "mute"}, bend=bend, loose=loose, free=free)
    assert found["bend"] == "one" and "loose" not in found and "free" not in found

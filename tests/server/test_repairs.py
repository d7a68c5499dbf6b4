"""A problem comes with the edits that would mend it, and each of them does."""

from __future__ import annotations

import copy

import pytest


@pytest.fixture
def painting(server):
    return server.http.get("/api/graphs/text-to-image").json()


def problems(server, graph: dict) -> list[dict]:
    return server.post("/api/check", graph=graph, name="text-to-image").json()["problems"]


def problem(server, graph: dict, code: str) -> dict:
    return next(one for one in problems(server, graph) if one["code"] == code)


def errors(server, graph: dict) -> list[str]:
    return [one["message"] for one in problems(server, graph) if one["level"] == "error"]


def mended(graph: dict, repair: dict) -> dict:
    """The graph after the edit that a repair stands for."""
    made = copy.deepcopy(graph)
    kind, node, port = repair["kind"], repair["node"], repair["port"]
    ports = made["nodes"][node]["in"] if node in made["nodes"] else None
    if kind == "insert":
        wires = {name: {"from": source} for name, source in repair["wires"].items()}
        made["nodes"]["between"] = {"op": repair["op"], "version": repair["version"], "in": wires | {repair["input"]: {"from": repair["from"]}}}
        ports[port] = {"from": f"between.{repair['output']}"}
    elif kind == "wire":
        ports[port] = {"from": repair["from"]}
    elif kind == "set" and node == "input":
        made["inputs"][port]["default"] = repair["value"]
    elif kind == "set":
        ports[port] = repair["value"]
    elif node == "":
        del made["outputs"][port]
    else:
        del ports[port]
    return made


def test_a_latent_where_a_picture_is_wanted_is_decoded_with_the_autoencoder_that_is_there(server, painting):
    painting["nodes"]["smaller"] = {"op": "image.resize", "version": 1, "in": {"image": {"from": "paint.latent"}, "width": 16, "height": 16}}
    found = problem(server, painting, "type-mismatch")["repairs"]
    assert [found[0][key] for key in ("kind", "op", "input", "output")] == ["insert", "diffusion.decode", "latent", "image"]
    assert found[0]["wires"] == {"autoencoder": "parts.autoencoder"}
    assert set(found[0]["words"]) == {"en", "zh"}
    assert errors(server, mended(painting, found[0])) == []


def test_what_takes_anything_is_no_converter(server, painting):
    painting["nodes"]["smaller"] = {"op": "image.resize", "version": 1, "in": {"image": {"from": "words.conditioning"}, "width": 16, "height": 16}}
    assert [repair["kind"] for repair in problem(server, painting, "type-mismatch")["repairs"]] == ["cut"]


def test_a_port_that_lacks_a_wire_is_offered_what_fits(server, painting):
    del painting["nodes"]["pixels"]["in"]["autoencoder"]
    (repair,) = problem(server, painting, "missing-input")["repairs"]
    assert (repair["kind"], repair["from"]) == ("wire", "parts.autoencoder")
    assert errors(server, mended(painting, repair)) == []


def test_what_hangs_on_a_node_is_not_offered_to_it(server, painting):
    del painting["nodes"]["pixels"]["in"]["latent"]
    again = {"image": {"from": "pixels.image"}, "autoencoder": {"from": "parts.autoencoder"}}
    painting["nodes"]["again"] = {"op": "diffusion.encode", "version": 1, "in": again}
    offered = [repair["from"] for one in problems(server, painting) if (one["node"], one["port"]) == ("pixels", "latent") for repair in one["repairs"]]
    assert offered == ["paint.latent"]


@pytest.mark.parametrize("value, nearest", [(100_000, 1000), (0, 1), (2.5, 2)])
def test_a_number_out_of_range_is_set_to_the_nearest_allowed(server, painting, value, nearest):
    painting["nodes"]["paint"]["in"]["steps"] = value
    nearer, default = problem(server, painting, "bad-literal")["repairs"]
    assert (nearer["kind"], nearer["value"], default["kind"]) == ("set", nearest, "reset")
    assert errors(server, mended(painting, nearer)) == errors(server, mended(painting, default)) == []


def test_a_graph_input_out_of_range_is_set_too(server, painting):
    painting["inputs"]["steps"]["default"] = 100_000
    (repair,) = problem(server, painting, "bad-input")["repairs"]
    assert (repair["node"], repair["port"], repair["value"]) == ("input", "steps", 1000)
    assert errors(server, mended(painting, repair)) == []


@pytest.mark.parametrize("ports", [{"text": {"from": "gone.text"}}, {"text": {"from": "parts.gone"}}, {"gone": 1}])
def test_what_leads_nowhere_is_cut(server, painting, ports):
    painting["nodes"]["avoided"]["in"] |= ports
    found = next(one for one in problems(server, painting) if one["node"] == "avoided" and one["level"] == "error")
    (repair,) = [one for one in found["repairs"] if one["kind"] == "cut"]
    assert found["message"] not in errors(server, mended(painting, repair))


def test_a_model_that_is_not_here_may_be_another_that_fits(server, painting):
    painting["inputs"]["model"]["default"] = "zoo:nowhere"
    repairs = [repair for one in problems(server, painting) for repair in one.get("repairs", ())]
    assert repairs and len(repairs) == len({repair["value"] for repair in repairs}) and all(repair["node"] == "input" for repair in repairs)
    for repair in repairs:
        assert [one for one in problems(server, mended(painting, repair)) if one["level"] != "warning"] == []


def test_a_graph_without_problems_has_nothing_to_mend(server, painting):
    assert problems(server, painting) == []

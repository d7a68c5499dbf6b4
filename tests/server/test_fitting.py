"""What the editor's widgets ask the server: which models fit an input, and the pictures that a graph names by path."""

from __future__ import annotations

import io
import json

import PIL.Image
import pytest
from running import serving
from test_api import refusal

from flowmm.face.find import shipped
from flowmm.server.settings import Limits


def fitting(server, **asked) -> dict:
    answer = server.post("/api/fitting", **asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def graph(name: str) -> dict:
    return json.loads((shipped() / f"{name}.json").read_text())


def fits(found: dict) -> set[str]:
    return {one["name"] for one in found["models"] if one["fits"]}


# ── models ──────────────────────────────────────────────────────────────────────────────────────


def test_only_models_that_have_what_a_graph_takes_from_them_fit(server):
    found = fitting(server, graph="text-to-image", node="input", port="model")
    assert fits(found) == {"zoo:sd"} and found["given"] == {"source": "zoo:sd", "here": True}
    assert [one["fits"] for one in found["models"]] == sorted((one["fits"] for one in found["models"]), reverse=True)
    assert all(one["why"] for one in found["models"] if not one["fits"])


def test_each_input_has_models_of_its_own(server):
    assert fits(fitting(server, graph="control", node="input", port="control")) == {"zoo:sd-control"}
    assert "zoo:clip" in fits(fitting(server, graph="dalle1", node="input", port="judge"))


def test_another_fault_of_the_graph_rules_no_model_out(server):
    broken = graph("text-to-image")
    del broken["nodes"]["paint"]["in"]["positive"]
    assert fits(fitting(server, graph=broken, node="input", port="model")) == {"zoo:sd"}


def test_a_model_that_is_not_here_is_named_with_what_gets_it(server):
    found = fitting(server, graph="text-to-image", node="input", port="model", inputs={"model": "hf:someone/something"})
    assert not found["given"]["here"] and "flowmm models pull someone/something" in found["given"]["why"]
    assert fits(found) == {"zoo:sd"}


def test_a_source_written_at_a_node_is_an_input_too(server):
    plain = graph("text-to-image")
    plain["nodes"]["parts"]["in"]["source"] = "zoo:clip"
    found = fitting(server, graph=plain, node="parts", port="source")
    assert fits(found) == {"zoo:sd"} and found["given"]["source"] == "zoo:clip"


@pytest.mark.parametrize(
    "node, port, code",
    [("input", "nothing", "no-such-input"), ("paint", "steps", "no-such-port"), ("none", "x", "no-such-port"), ("parts", "source", "wired")],
)
def test_what_takes_no_model_is_refused(server, node, port, code):
    refusal(server.post("/api/fitting", graph="text-to-image", node=node, port=port), 422, code)


# ── pictures ────────────────────────────────────────────────────────────────────────────────────


def opened(answer) -> PIL.Image.Image:
    assert answer.status_code == 200, answer.text
    return PIL.Image.open(io.BytesIO(answer.content))


def test_a_picture_that_a_graph_names_is_shown(server):
    shown = opened(server.http.get("/api/pictures", params={"graph": "inpaint", "path": "examples/red-circle.png"}))
    with PIL.Image.open(shipped() / "examples/red-circle.png") as file:
        assert shown.format == "PNG" and shown.tobytes() == file.convert("RGB").tobytes()


def test_an_unsaved_graph_reaches_the_shipped_examples(server):
    assert opened(server.http.get("/api/pictures", params={"path": "examples/red-circle.png", "size": 16})).size == (16, 16)


@pytest.mark.parametrize(
    "path", ["/etc/hostname", "../../secret.png", "~/secret.png", "examples/../../pyproject.toml", "examples", "text-to-image.json", "no.png", "\0", ""]
)
def test_nothing_but_pictures_inside_the_graphs_folders_is_shown(server, path):
    (server.parts.settings.home.parent / "secret.png").write_bytes((shipped() / "examples/red-circle.png").read_bytes())
    refusal(server.http.get("/api/pictures", params={"graph": "inpaint", "path": path}), 404, "no-picture")


def test_a_link_that_leads_out_is_not_followed(server):
    secret = server.parts.settings.home.parent / "secret.png"
    secret.write_bytes((shipped() / "examples/red-circle.png").read_bytes())
    own = server.parts.settings.home / "graphs"
    own.mkdir(parents=True, exist_ok=True)
    (own / "link.png").symlink_to(secret)
    refusal(server.http.get("/api/pictures", params={"path": "link.png"}), 404, "no-picture")


def test_an_upload_has_a_small_picture(server):
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (300, 200), "red").save(buffer, "PNG")
    made = server.http.post("/api/uploads", content=buffer.getvalue(), headers={"Content-Type": "image/png"}).json()
    assert opened(server.http.get(f"/api/uploads/{made['id']}", params={"size": 64})).size == (64, 43)
    assert opened(server.http.get(f"/api/uploads/{made['id']}")).size == (300, 200)


def test_a_saved_graph_keeps_the_picture_that_it_is_given(tmp_path):
    def png(colour: str) -> bytes:
        buffer = io.BytesIO()
        PIL.Image.new("RGB", (64, 64), colour).save(buffer, "PNG")
        return buffer.getvalue()

    with serving(tmp_path / "served", Limits(uploads=3 * len(png("red")))) as server:
        ids = [server.http.post("/api/uploads", content=png(colour), headers={"Content-Type": "image/png"}).json()["id"] for colour in ("red", "tan")]
        document = graph("caption") | {"layout": {"given": {"image": {"upload": ids[0]}}}}
        assert server.http.put("/api/graphs/mine", json=document, headers={"If-None-Match": "*"}).status_code < 300
        for colour in ("blue", "gold"):  # each wants the room of one that is there
            server.http.post("/api/uploads", content=png(colour), headers={"Content-Type": "image/png"})
        left = {one["id"] for one in server.http.get("/api/uploads").json()}
        assert ids[0] in left and ids[1] not in left


def test_a_picture_that_is_gone_is_a_problem_of_its_input_and_no_refusal(server):
    found = server.post("/api/check", graph="caption", inputs={"image": {"upload": "0" * 32 + ".png"}, "beginning": "a"}).json()
    problem = next(one for one in found["problems"] if one["level"] == "error")
    assert (problem["code"], problem["node"], problem["port"]) == ("no-upload", "input", "image") and problem["fix"]
    assert set(found["inputs"]) >= {"image", "beginning"}


# ── frames ──────────────────────────────────────────────────────────────────────────────────────


def test_only_what_fits_is_carried_from_round_to_round_and_only_what_is_true_or_false_ends_a_loop(server):
    """Of a node, and of a graph used as one."""
    piece = {"flowmm": 1, "inputs": {"image": {}, "text": {"default": ""}},
             "nodes": {"small": {"op": "image.resize", "in": {"image": {"from": "input.image"}, "width": 8, "height": 8}},
                       "empty": {"op": "text.is_empty", "in": {"text": {"from": "input.text"}}}},
             "outputs": {"image": {"from": "small.image"}, "good": {"from": "empty.value"}}}  # fmt: skip
    graph = {"flowmm": 1, "nodes": {"again": {"op": "graph:again", "in": {}}, "small": {"op": "image.resize", "in": {}}}, "outputs": {}, "graphs": {"again": piece}}
    found = server.post("/api/loops", graph=graph, node="again")
    assert found.status_code == 200, found.text
    assert found.json() == {"carry": {"image": ["image"]}, "until": ["good"]}
    assert server.post("/api/loops", graph=graph, node="small").json() == {"carry": {"image": ["image"]}, "until": []}
    refusal(server.post("/api/loops", graph=graph, node="none"), 422, "no-such-node")


def test_words_stand_for_values(server):
    def values(text: str):
        return server.post("/api/axis", text=text).json()["values"]

    assert values("0..3") == [0, 1, 2, 3] and values("0..1..0.5") == [0.0, 0.5, 1.0] and values("3, 5,7") == [3, 5, 7]
    assert values("a red circle, large\na star") == ["a red circle, large", "a star"] and values('["a,b"]') == ["a,b"] and values("") == []
    assert values("@pyproject.toml") == ["@pyproject.toml"], "files are not read"
    found = server.post("/api/axis", text="3..1", name="seed").json()
    assert found["values"] == [] and "never gets" in found["problem"] and "`seed`" in found["problem"]


def test_a_frame_around_a_node_that_foretells_its_shape_is_checked_as_lists(server):
    graph = {"flowmm": 1, "inputs": {"picture": {"default": "examples/red-circle.png"}}, "outputs": {"sizes": {"from": "small.image"}},
             "nodes": {"small": {"op": "image.resize", "in": {"image": {"from": "input.picture"}, "width": {"value": [4, 8]}, "height": 8}, "each": ["width"]}}}  # fmt: skip
    found = server.post("/api/check", graph=graph)
    assert found.status_code == 200, found.text
    assert found.json()["problems"] == [] and found.json()["outputs"]["sizes"]["shown"] == "list[Image]"

"""Files that are opened, pictures that carry their graph, and the gallery's covers."""

from __future__ import annotations

import io
import json
from pathlib import Path

import api_nodes as n
import PIL.Image
import pytest
from odd_pictures import huge_png, picture, stuffed_png

from flowmm import Graph
from flowmm.face.find import shipped
from flowmm.graph.document import dump

PNG, JSON = {"Content-Type": "image/png"}, {"Content-Type": "application/json"}
RED = (shipped() / "examples" / "red-circle.png").read_bytes()


def mirror() -> dict:
    """A graph of one picture that gives it back mirrored, with a number beside it."""
    graph = Graph(title="Mirror")
    image, count = graph.input("image"), graph.input("count", 1)
    with graph:
        graph.output(image=n.mirrored(image, _name="mirrored"), more=n.add(count, _name="more"))
    return json.loads(dump(graph.document))


def post(server, data: bytes, headers=PNG):
    return server.http.post("/api/open", content=data, headers=headers)


def opened(server, data: bytes, headers=PNG) -> dict:
    answer = post(server, data, headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def upload(server, data: bytes) -> dict:
    return {"upload": server.http.post("/api/uploads", content=data, headers=PNG).json()["id"]}


def result_of(server, **inputs) -> bytes:
    """The picture that a run of mirror() gives."""
    run = server.run(mirror(), inputs=inputs)
    assert run["state"] == "done", run["error"]
    return server.http.get(f"/api/runs/{run['id']}/outputs/image").content


# ── opening ─────────────────────────────────────────────────────────────────────────────────────


def test_a_graphs_json_opens_as_it_is(server):
    found = opened(server, json.dumps(mirror()).encode(), JSON)
    assert found == {"graph": mirror(), "name": "", "inputs": {}, "missing": [], "report": []}


def test_a_picture_opens_the_graph_and_the_inputs_that_made_it(server):
    image = upload(server, RED)
    found = opened(server, result_of(server, image=image, count=4))
    assert found["graph"]["nodes"] == mirror()["nodes"]
    assert found["inputs"] == {"image": image, "count": 4} and found["missing"] == []


def test_an_example_is_found_again_by_its_content(server):
    found = opened(server, result_of(server, image="examples/red-circle.png"))
    assert found["inputs"]["image"] in ("examples/red-circle.png", upload(server, RED))


def test_a_value_of_this_server_is_found_again_by_its_key(server):
    key = server.run(mirror(), inputs={"image": "examples/blue-star.png"})["outputs"]["image"]["key"]
    assert opened(server, result_of(server, image={"value": key}))["inputs"]["image"] == {"value": key}


def test_a_picture_that_another_machine_made_tells_which_inputs_are_missing(server, fresh_server):
    made = result_of(server, image=upload(server, picture("PNG")))
    found = opened(fresh_server, made)
    assert [one["input"] for one in found["missing"]] == ["image"] and found["missing"][0]["file"].endswith(".png")
    assert found["inputs"] == {"count": 1}


def test_a_picture_says_nothing_of_where_files_lie(server):
    made = result_of(server, image="examples/red-circle.png")
    with PIL.Image.open(io.BytesIO(made)) as file:
        assert str(shipped()) not in file.text["flowmm"]


# ── what other programs made ────────────────────────────────────────────────────────────────────

COMFY = Path(__file__).parent.parent / "corpus" / "comfyui"


def test_a_workflow_of_comfyui_is_converted_and_told_of(server):
    found = opened(server, (COMFY / "custom_nodes.json").read_bytes(), JSON)
    assert found["graph"]["nodes"]["paint"]["op"] == "diffusion.sample" and found["graph"]["nodes"]["freeu_v2"]["op"] == "comfyui:FreeU_V2"
    assert found["missing"] == [{"input": "model", "file": "painter-v1.safetensors"}] and found["inputs"] == {}
    states = {line["type"]: line["state"] for line in found["report"]}
    assert (states["KSampler"], states["FreeU_V2"]) == ("mapped", "placeholder")


def test_so_is_a_picture_of_comfyui_and_it_runs(server):
    found = opened(server, picture("PNG", {"prompt": (COMFY / "text_to_image_api.json").read_text()}))
    assert [one["input"] for one in found["missing"]] == ["model"]
    run = server.run(found["graph"], inputs={"model": "zoo:sd", "steps": 2})
    assert run["state"] == "done", run["error"]


def test_so_is_a_picture_with_parameters(server):
    found = opened(server, picture("PNG", {"parameters": "a cat\nSteps: 3, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 32x32, Model: sd"}))
    assert found["graph"]["inputs"]["prompt"]["default"] == "a cat" and found["report"]


@pytest.mark.parametrize("name", ["two_stages_api", "odds_and_ends", "subgraph", "inpaint", "controlnet"])
def test_what_was_converted_is_a_graph_of_this_server(server, name):
    found = opened(server, (COMFY / f"{name}.json").read_bytes(), JSON)
    answer = server.http.post("/api/check", json={"graph": found["graph"], "inputs": {"model": "zoo:sd"}})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("data", "headers", "status", "code"),
    [
        (picture("PNG"), PNG, 422, "no-graph-inside"), (picture("PNG", {"flowmm": "{"}), PNG, 422, "damaged-graph-inside"),
        (picture("PNG", {"flowmm": '{"graph": "[]", "inputs": {}}'}), PNG, 422, None), (picture("PNG")[:60], PNG, 422, "damaged"),
        (huge_png(60_000, 60_000), PNG, 413, "too-many-pixels"), (picture("JPEG"), {"Content-Type": "image/jpeg"}, 415, None),
        (b"{", JSON, 400, "not-json"), (b"", PNG, 400, None), (b'{"flowmm": 1, "nodes": {"a": {"op": 1}}}', JSON, 422, None),
        (stuffed_png(b"iTXt", b"flowmm\0\0\0\0\0" + b'{"graph": 1, "inputs": []}'), PNG, 422, "damaged-graph-inside"),
    ],
)  # fmt: skip
def test_what_is_no_graph_is_refused_in_words(server, data, headers, status, code):
    answer = post(server, data, headers)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["message"] and "Traceback" not in answer.text and code in (None, error["code"])


def test_a_graph_of_too_many_nodes_is_refused(server):
    nodes = {f"n{i}": {"op": "text.join"} for i in range(server.parts.settings.limits.nodes + 1)}
    answer = post(server, json.dumps({"flowmm": 1, "nodes": nodes, "outputs": {}}).encode(), JSON)
    assert answer.status_code == 422 and answer.json()["error"]["code"] == "too-many-nodes"


def test_opening_keeps_nothing(server):
    before = server.http.get("/api/uploads").json(), server.http.get("/api/graphs").json()
    opened(server, picture("PNG", {"flowmm": json.dumps({"graph": json.dumps(mirror()), "inputs": {}})}))
    assert (server.http.get("/api/uploads").json(), server.http.get("/api/graphs").json()) == before


def test_pictures_that_lie_beside_a_document_come_along_where_they_are(server, fresh_server):
    image = upload(server, picture("PNG", size=(5, 5)))
    data = json.dumps(mirror() | {"layout": {"given": {"image": image, "gone": {"upload": "x"}}}}).encode()
    found, elsewhere = opened(server, data, JSON), opened(fresh_server, data, JSON)
    assert found["inputs"] == {"image": image} and found["missing"] == [] and found["graph"]["layout"] == {}
    assert elsewhere["inputs"] == {} and elsewhere["missing"] == [{"input": "image", "file": image["upload"]}]


def test_pictures_given_inside_definitions_stay_where_they_are_here_and_are_told_where_not(server, fresh_server):
    image = upload(server, RED)
    inner = mirror() | {"layout": {"given": {"image": image}}}
    outer = mirror() | {"graphs": {"inner": inner}, "layout": {"given": {"image": {"upload": "x"}}}}
    data = json.dumps(mirror() | {"graphs": {"outer": outer}}).encode()
    found, elsewhere = opened(server, data, JSON), opened(fresh_server, data, JSON)
    assert found["graph"]["graphs"]["outer"]["graphs"]["inner"]["layout"] == {"given": {"image": image}}
    assert found["missing"] == [{"input": "outer.image", "file": "x"}] and found["graph"]["graphs"]["outer"]["layout"] == {"given": {}}
    assert elsewhere["missing"] == [{"input": "outer.image", "file": "x"}, {"input": "outer.inner.image", "file": image["upload"]}]



# ── what a picture carries ──────────────────────────────────────────────────────────────────────


def test_a_picture_of_the_canvas_carries_what_opens_the_same(server):
    image = upload(server, RED)
    text = server.post("/api/carried", graph=mirror(), name="my-mirror", inputs={"image": image}).json()
    found = opened(server, picture("PNG", {"flowmm": json.dumps(text)}))
    assert found["name"] == "my-mirror" and found["inputs"] == {"image": image, "count": 1} and found["missing"] == []


# ── covers ──────────────────────────────────────────────────────────────────────────────────────


def test_a_shipped_graph_has_a_picture_before_anything_ran(fresh_server):
    covers = fresh_server.http.get("/api/covers").json()
    assert set(covers["graphs"]) == {path.stem for path in shipped().glob("*.json")}
    sheet = PIL.Image.open(io.BytesIO(fresh_server.http.get(covers["sheet"]).content))
    assert sheet.width * covers["rows"] == sheet.height * covers["columns"]
    tiles = sorted(one["tile"] for one in covers["graphs"].values())
    assert tiles == list(range(len(tiles))) and len(tiles) <= covers["rows"] * covers["columns"]


def test_the_sheet_is_small(fresh_server):
    assert len(fresh_server.http.get(fresh_server.http.get("/api/covers").json()["sheet"]).content) < 80_000


def test_a_graph_shows_what_it_gave_last(fresh_server):
    first, second = (fresh_server.run(mirror(), name="mine", inputs={"image": f"examples/{name}.png"}) for name in ("red-circle", "blue-star"))
    assert first["outputs"]["image"]["key"] != second["outputs"]["image"]["key"]
    assert fresh_server.http.get("/api/covers").json()["graphs"]["mine"] == {"key": second["outputs"]["image"]["key"], "text": "2"}


def test_a_graph_that_gives_no_picture_shows_what_it_answered_about(fresh_server):
    image = upload(fresh_server, RED)
    fresh_server.run(mirror(), name="mine", inputs={"image": image}, targets=["more"])
    assert fresh_server.http.get("/api/covers").json()["graphs"]["mine"] == image | {"text": "2"}

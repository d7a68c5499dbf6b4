"""Values as a page draws them: bounded JSON, read without torch; and the values on wires, without a run."""

from __future__ import annotations

import json

import api_nodes as n
import numpy
import pytest

from flowmm import Graph
from flowmm.graph.document import dump
from flowmm.server.shown import MOST_SIDE, MOST_TEXT, shown
from flowmm.sockets import Attention, Embedding, HeatMap, Image, Labels, Latent, Score, Text
from flowmm.store.codec import encode


def of(value, item: int = 0) -> dict:
    made = shown(encode(value), item)
    json.dumps(made, allow_nan=False)
    return made


def test_a_text_is_whole_until_it_is_very_long():
    assert of(Text(("a", "文字"))) == {"type": "Text", "kind": "texts", "lines": ["a", "文字"], "count": 2, "cut": False}
    long = of(Text(("x" * (MOST_TEXT + 1), "y")))
    assert long["cut"] and [len(line) for line in long["lines"]] == [MOST_TEXT]


def test_a_table_has_its_names_and_no_number_that_json_lacks():
    made = of(Score(numpy.array([[1.5, float("nan")]], "float32"), ("row",), ("a", "b")))
    assert (made["rows"], made["columns"], made["values"]) == (["row"], ["a", "b"], [[1.5, None]])


def test_labels_come_with_their_probabilities():
    made = of(Labels((("cat", "dog"),), numpy.array([[0.75, 0.25]], "float32")))
    assert made["labels"] == [[{"label": "cat", "probability": 0.75}, {"label": "dog", "probability": 0.25}]]


def test_a_picture_is_told_by_its_size():
    assert of(Image(numpy.zeros((2, 3, 5, 7), "uint8"))) == {"type": "Image", "kind": "pictures", "count": 2, "width": 7, "height": 5}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_latent_is_a_stack_of_maps_with_its_statistics(dtype):
    import torch

    values = torch.arange(2 * 4 * 2 * 3).reshape(2, 4, 2, 3).to(getattr(torch, dtype))
    (map_,) = of(Latent(values), 5)["maps"]
    assert (map_["shape"], map_["slices"], map_["slice"]) == ([2, 4, 2, 3], 8, 5)
    assert map_["values"] == values[1, 1].tolist() and (map_["low"], map_["high"], map_["mean"]) == (0, 47, 23.5)


def test_a_slice_that_is_not_there_is_refused():
    with pytest.raises(IndexError):
        of(HeatMap(numpy.zeros((1, 2, 2), "float32")), 1)


def test_a_large_map_is_thinned_out():
    (map_,) = of(HeatMap(numpy.zeros((1, 3 * MOST_SIDE, 2), "float32")))["maps"]
    assert map_["step"] == 3 and len(map_["values"]) == MOST_SIDE and map_["shape"] == [1, 3 * MOST_SIDE, 2]


def test_embeddings_say_how_alike_their_vectors_are():
    import torch

    maps = of(Embedding(torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])))["maps"]
    assert [one["name"] for one in maps] == ["values", "cosine"] and maps[1]["values"] == [[1, 0, 1], [0, 1, 0], [1, 0, 1]]


def test_attention_is_what_the_class_token_heeds_each_layer_as_a_map():
    maps = numpy.zeros((1, 2, 2, 5, 5), "float32")
    maps[0, 1, :, 0, 1:] = [[1, 2, 3, 4], [3, 4, 5, 6]]
    (map_,) = of(Attention(maps, (2, 2)), 1)["maps"]
    assert map_["values"] == [[2, 3], [4, 5]] and map_["stack"] == [1, 2]


def test_lists_and_plain_values_are_what_they_are():
    assert of([1, "two", None])["value"] == [1, "two", None] and of(2**70)["value"] == str(2**70)
    assert [one["kind"] for one in of([Text(("a",)), Image(numpy.zeros((1, 3, 2, 2), "uint8"))])["items"]] == ["texts", "pictures"]


# ── over the API ────────────────────────────────────────────────────────────────────────────────


def graph() -> dict:
    made = Graph()
    with made:
        first = n.add(made.input("a", 1), _name="first")
        made.output(picture=n.paint(first, _name="picture"), score=n.kinds(first, _name="kinds").score)
    return json.loads(dump(made.document))


def look(server, edge: str, **inputs):
    return server.post("/api/look", graph=graph(), inputs=inputs, edge=edge)


def test_a_result_has_json_for_a_page(server):
    outputs = server.run(graph())["outputs"]
    found = server.http.get(f"/api/values/{outputs['score']['key']}", params={"shape": "json"})
    assert found.status_code == 200 and found.json()["kind"] == "table"
    assert server.http.get(f"/api/values/{outputs['picture']['key']}", params={"shape": "json"}).json()["width"] == 8


def test_a_wire_shows_what_flowed_once_it_has(server):
    assert look(server, "picture.image", a=41).json() == {"here": False, "runs": 2}
    server.run(graph(), inputs={"a": 41})
    found = look(server, "picture.image", a=41).json()
    assert found["here"] and found["value"]["kind"] == "pictures" and found["pictures"][0].startswith("data:image/png;base64,")


def test_a_wire_from_an_input_shows_what_is_given(server):
    assert look(server, "input.a", a=7).json()["value"]["value"] == 7


def test_looking_at_a_wire_runs_nothing(server):
    before = server.http.get("/api/runs").json()
    look(server, "picture.image", a=99)
    assert server.http.get("/api/runs").json() == before


def test_a_wire_that_is_not_there_is_refused_with_what_there_is(server):
    answer = look(server, "first.nothing")
    assert answer.status_code == 422 and answer.json()["error"]["code"] == "no-such-edge"


def test_the_gallery_of_one_graph_shows_its_outputs_alone(server):
    server.run("vit-classify", inputs={})
    server.run(graph(), inputs={"a": 5})
    found = server.http.get("/api/gallery", params={"name": "vit-classify"}).json()
    assert found and {item["name"] for item in found} == {"vit-classify"}

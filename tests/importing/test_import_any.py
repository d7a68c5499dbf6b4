"""Whatever a file holds, it is converted or refused in words; what is converted is a document of the format."""

from __future__ import annotations

import copy
import json
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowmm.face.graph import Graph
from flowmm.graph.document import dump, read
from flowmm.graph.problems import Unreadable
from flowmm.importing import opened
from flowmm.importing.kinds import KINDS
from flowmm.importing.opening import of_texts
from flowmm.importing.widgets import WIDGETS

CORPUS = [json.loads(path.read_text("utf-8")) for path in sorted((Path(__file__).parent.parent / "corpus" / "comfyui").glob("*.json"))]
MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large])

names = st.sampled_from(sorted(KINDS) + ["Odd One", "", "é", "class", "\ud800", "a" * 300, "comfyui:x", "graph:x", "5f0c6c1e-0000-4000-8000-000000000001"])
ports = st.sampled_from(
    ["model", "clip", "vae", "positive", "negative", "latent_image", "samples", "pixels", "mask", "image", "images", "conditioning", "text", "seed"]
    + ["", "in", "x y", "class"]
    + [name for every in WIDGETS.values() for name in every]
)
plain = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.text(max_size=8),
    st.sampled_from(["euler", "karras", "randomize", "disable", "((x:1.2))", "../../etc/passwd", "\x00"]),
)  # fmt: skip
json_values = st.recursive(plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4), max_leaves=8)
ids = st.sampled_from(["1", "2", "3", "4", "5"])
wires = st.tuples(ids, st.integers(-2, 4)).map(list)

api_files = st.dictionaries(
    ids, st.fixed_dictionaries({"class_type": names, "inputs": st.dictionaries(ports, json_values | wires, max_size=7)}), min_size=1, max_size=5
)


def holds(data: bytes) -> None:
    try:
        made = opened(data)
    except Unreadable as error:
        assert error.problems and all(problem.message for problem in error.problems)
        return
    text = dump(made.document)
    assert dump(read(text)) == text, "what was made is a document, and stays as it is"
    Graph(made.document).check()


@MANY
@given(api_files)
def test_any_boxes_with_any_settings_and_wires(raw):
    holds(json.dumps(raw).encode())


types = st.sampled_from(["MODEL", "CLIP", "LATENT", "IMAGE", "INT", "COMBO", "*"])
sockets = st.lists(st.fixed_dictionaries({"name": ports, "type": types}), max_size=4)
wired = st.fixed_dictionaries(
    {"name": ports, "type": types}, optional={"link": st.integers(0, 9) | json_values, "widget": st.fixed_dictionaries({"name": ports}) | json_values}
)  # fmt: skip
node = st.fixed_dictionaries(
    {"id": st.integers(1, 5) | ids, "type": names},
    optional={
        "pos": json_values, "size": json_values, "mode": st.sampled_from([0, 2, 4]) | json_values, "title": json_values, "flags": json_values,
        "properties": json_values | st.just({"proxyWidgets": [["1", "seed"], ["-1", "text"], [3]]}),
        "widgets_values": json_values | st.lists(plain, max_size=8), "inputs": json_values | st.lists(wired, max_size=5), "outputs": json_values | sockets,
    },
)  # fmt: skip
ends = st.integers(1, 5) | st.sampled_from([-10, -20])
link = st.tuples(st.integers(0, 9), ends, st.integers(-1, 3), ends, st.integers(-1, 3), st.just("X")).map(list)


@MANY
@given(
    nodes=st.lists(node | json_values, max_size=6), links=st.lists(link | json_values, max_size=10), groups=json_values,
    inner=st.lists(node, max_size=4), ends=sockets, more=st.lists(link, max_size=6),
)  # fmt: skip
def test_any_saved_workflow(nodes, links, groups, inner, ends, more):
    definition = {"id": "5f0c6c1e-0000-4000-8000-000000000001", "name": "x", "nodes": inner, "links": more, "inputs": ends, "outputs": ends}
    holds(json.dumps({"nodes": nodes, "links": links, "groups": groups, "last_node_id": 1, "definitions": {"subgraphs": [definition, 3]}}).encode())


@MANY
@given(st.data())
def test_any_damage_to_a_real_file(data):
    """A value somewhere in a file becomes another one, or is gone."""
    raw = copy.deepcopy(data.draw(st.sampled_from(CORPUS)))
    for _ in range(data.draw(st.integers(1, 3))):
        at = raw
        while True:
            keys = list(at) if isinstance(at, dict) else list(range(len(at)))
            if not keys:
                break
            key = data.draw(st.sampled_from(keys))
            if isinstance(at[key], (dict, list)) and at[key] and data.draw(st.integers(0, 4)):
                at = at[key]
                continue
            if data.draw(st.booleans()):
                at[key] = data.draw(json_values)
            elif isinstance(at, dict):
                del at[key]
            break
    holds(json.dumps(raw).encode())


@MANY
@given(
    st.lists(st.tuples(st.sampled_from(["Steps", "Sampler", "Schedule type", "CFG scale", "Seed", "Size", "Model", "Clip skip", "Denoising strength", "X"]),
                       st.text(max_size=12) | st.sampled_from(["20", "-1", "1e400", "512x512", '"a, b: c"', '"', "Euler a", "9" * 30])), max_size=9),
    st.text(max_size=40) | st.just("x <lora:a:b> <lora:c:-9>\nNegative prompt: y"),
)  # fmt: skip
def test_any_parameters(pairs, words):
    text = f"{words}\n" + ", ".join(f"{name}: {value}" for name, value in pairs)
    try:
        made = of_texts({"parameters": text})
    except Unreadable:
        return
    assert dump(read(dump(made.document))) == dump(made.document)
    Graph(made.document).check()


@MANY
@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda rest: b"\x89PNG\r\n\x1a\n" + rest))
def test_any_bytes(data):
    holds(data)

"""How two graphs differ, in words; what is only written otherwise is no difference."""

from __future__ import annotations

import copy
import json
import random

import pytest
from short import doc, wire

from flowmm.face.find import names
from flowmm.graph.diff import diff
from flowmm.graph.document import load, of

PAINT = doc(
    {"parts": ("diffusion.load", {"source": wire("input.model")}), "words": ("diffusion.encode_prompt", {"tokenizer": wire("parts.tokenizer"), "text": wire("input.prompt")}),
     "paint": ("diffusion.sample", {"positive": wire("words.conditioning"), "steps": 20, "controls": {"list": [wire("words.conditioning"), 3]}}),
     "pixels": ("diffusion.decode", {"latent": wire("paint.latent")})},
    {"image": "pixels.image"}, {"prompt": "a star", "model": "zoo:sd"}, title={"en": "Paint", "zh": "画"}, layout={"paint": [1, 2]},
)  # fmt: skip


def told(change, raw=PAINT):
    """The sentences for a copy that is changed."""
    other = copy.deepcopy(raw)
    change(other)
    return [one.text for one in diff(of(raw), of(other))]


def put(*path_and_value):
    *path, last, value = path_and_value

    def change(raw):
        for key in path:
            raw = raw[key]
        if value is ...:
            del raw[last]
        else:
            raw[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (put("nodes", "paint", "in", "steps", 30), ["paint.steps: 20 → 30"]),
        (put("nodes", "paint", "in", "steps", ...), ["paint.steps: 20 → left out"]),
        (put("nodes", "paint", "in", "steps", wire("input.prompt")), ["paint.steps: 20 → from input.prompt"]),
        (put("nodes", "paint", "in", "positive", wire("other.conditioning")), ["paint.positive: from words.conditioning → other.conditioning"]),
        (put("nodes", "paint", "in", "controls", {"list": [wire("words.conditioning"), 4]}),
         ["paint.controls: [from words.conditioning, 3] → [from words.conditioning, 4]"]),
        (put("nodes", "paint", "mode", "mute"), ["`paint` is muted"]),
        (put("nodes", "paint", "mode", "bypass"), ["`paint` is bypassed"]),
        (put("nodes", "paint", "op", "diffusion.other"), ["`paint` is a diffusion.other instead of a diffusion.sample"]),
        (put("nodes", "paint", "version", 3), ["`paint` is of version 3 of diffusion.sample instead of 1"]),
        (put("nodes", "paint", "each", ["steps"]), ["`paint` runs once for each of `steps`, instead of once"]),
        (put("nodes", "paint", "loop", {"carry": {"x": "latent"}, "until": "good", "most": 5}),
         ["`paint` runs again and again, at most 5 times until `good`, with `x` from `latent`, instead of once"]),
        (put("nodes", "new", {"op": "image.grid"}), ["the node `new` (image.grid) is new"]),
        (put("nodes", "pixels", ...), ["the node `pixels` (diffusion.decode) is gone"]),
        (put("inputs", "prompt", "default", "a ring"), ['the default of `prompt`: "a star" → "a ring"']),
        (put("inputs", "prompt", {}), ['the default of `prompt`: "a star" → none']),
        (put("inputs", "prompt", "help", "What to draw."), ['prompt: help: none → "What to draw."']),
        (put("inputs", "count", {"default": 2}), ["the input `count` is new, with the default 2"]),
        (put("outputs", "latent", {"from": "paint.latent"}), ["the output `latent` is new, from paint.latent"]),
        (put("outputs", "image", "from", "paint.latent"), ["the output `image`: from pixels.image → paint.latent"]),
        (put("outputs", "image", ...), ["the output `image` is gone"]),
        (put("title", "zh", "绘"), ['title (zh): "画" → "绘"']),
        (put("tags", ["both"]), ["tags: none → both"]),
        (put("requires", {"flowmm": "2"}), ['requires flowmm: none → "2"']),
        (put("requires", {"models": {"zoo:sd": {}}}), ["requires models: zoo:sd is new"]),
        (put("novel", 3), ["novel: none → 3"]),
        (put("nodes", "paint", "note", "slow"), ['`paint`: note: none → "slow"']),
        (put("layout", "paint", [3, 4]), ["the layout differs"]),
    ],
)  # fmt: skip
def test_each_change_is_a_sentence(change, expected):
    assert told(change) == expected


def renamed(raw, **names_):
    text = json.dumps(raw)
    for old, new in names_.items():
        text = text.replace(f'"{old}":', f'"{new}":').replace(f'"{old}.', f'"{new}.').replace(f"input.{old}", f"input.{new}")
    return json.loads(text)


def test_what_is_called_otherwise_is_not_new():
    other = renamed(PAINT, parts="model_parts", words="prompt_words", paint="draw", prompt="text_", image="picture")
    other["layout"] = PAINT["layout"]
    other["nodes"]["draw"]["in"]["steps"] = 25
    assert [one.text for one in diff(of(PAINT), of(other))] == [
        "the input `prompt` is now called `text_`", "the node `parts` is now called `model_parts`", "the node `words` is now called `prompt_words`",
        "the node `paint` is now called `draw`", "draw.steps: 20 → 25", "the output `image` is now called `picture`",
    ]  # fmt: skip


def test_twins_are_told_apart_by_who_reads_them():
    raw = doc({"a": ("add", {"a": 1}), "b": ("add", {"a": 1}), "c": ("add", {"a": wire("a.value"), "b": wire("b.value")})}, {"out": "c.value"})
    other = doc({"p": ("add", {"a": 1}), "q": ("add", {"a": 1}), "c": ("add", {"a": wire("q.value"), "b": wire("p.value")})}, {"out": "c.value"})
    assert [one.text for one in diff(of(raw), of(other))] == ["the node `a` is now called `q`", "the node `b` is now called `p`"]


def test_definitions_are_compared_and_may_be_renamed():
    step = doc({"n": ("add", {"a": wire("input.x"), "b": 1})}, {"out": "n.value"}, {"x": 1})
    raw = doc({"s": ("graph:step", {"x": 1})}, {"out": "s.out"}, graphs={"step": step, "old": doc({})})
    other = doc({"s": ("graph:stride", {"x": 1})}, {"out": "s.out"}, graphs={"stride": step, "new": doc({"m": ("add", {"a": 1})})})
    assert [one.text for one in diff(of(raw), of(other))] == [
        "the definition `step` is now called `stride`", "the definition `old` is gone", "the definition `new` is new",
    ]  # fmt: skip
    changed = copy.deepcopy(raw)
    changed["graphs"]["step"]["nodes"]["n"]["in"]["b"] = 2
    assert [(one.text, one.where) for one in diff(of(raw), of(changed))] == [("in the definition `step`: n.b: 1 → 2", "step/n.b")]


def test_spelling_and_the_order_of_keys_do_not_matter():
    def spelled(value):
        if isinstance(value, dict):
            items = [(key, spelled(one)) for key, one in value.items()]
            random.Random(1).shuffle(items)
            return dict(items)
        return [spelled(one) for one in value] if isinstance(value, list) else float(value) if type(value) is int else value

    for name in sorted(names()):
        document = load(names()[name])[0]
        raw = json.loads(names()[name].read_text())
        raw["nodes"] = {key: node | {"in": spelled(node.get("in", {}))} for key, node in reversed(raw["nodes"].items())}
        assert diff(document, of(raw)) == []
    assert told(put("nodes", "paint", "in", "steps", {"value": 20})) == []
    assert told(put("nodes", "paint", "in", "steps", True), told_from(1)) == ["paint.steps: 1 → true"]


def told_from(steps):
    raw = copy.deepcopy(PAINT)
    raw["nodes"]["paint"]["in"]["steps"] = steps
    return raw


def test_every_shipped_graph_differs_from_every_other_both_ways():
    documents = [load(path)[0] for path in names().values()]
    for one, other in zip(documents, documents[1:]):
        there, back = diff(one, other), diff(other, one)
        assert there and back and {c.kind for c in there if "new" in c.kind} == {c.kind.replace("gone", "new") for c in back if "gone" in c.kind}


# ── the command ─────────────────────────────────────────────────────────────────────────────────


def test_the_command_says_it_and_tells_by_its_status(save, command):
    one = save("one", PAINT)
    assert command("diff", one, one) == (0, "they are the same\n", "")
    moved = save("moved", PAINT | {"layout": {}})
    assert command("diff", one, moved) == (0, "only the layout differs\n", "")
    other = copy.deepcopy(PAINT)
    other["nodes"]["paint"]["in"]["steps"] = 30
    status, out, _ = command("diff", one, save("other", other))
    assert (status, out) == (1, "paint.steps: 20 → 30\n")
    status, out, _ = command("diff", one, "other", "--json")
    assert status == 1
    assert json.loads(out) == {"same": False, "changes": [{"kind": "value", "where": "paint.steps", "text": "paint.steps: 20 → 30", "before": 20, "after": 30}]}
    (one.parent / "broken.json").write_text("{")
    status, _, err = command("diff", one, "broken")
    assert status == 2 and "is not JSON" in err

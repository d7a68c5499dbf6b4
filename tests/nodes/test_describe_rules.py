"""What a describe rule says before a run is what the run gives: shape, dtype, count."""

from dataclasses import replace

import numpy as np
import PIL.Image
import pytest

import flowmm
from flowmm.graph.describe import describe
from flowmm.nodes import clip, diffusion, image, score, seeds, text, tokens, vision
from flowmm.sockets import Fact, Image, Known, Score, Seed, Text


def fact(value):
    """The facts of a value that is here."""
    if isinstance(value, Text):
        return Fact((len(value),))
    if isinstance(value, list):
        return replace(fact(value[0]), count=len(value))
    for part in getattr(value, "__dict__", {}).values():
        if hasattr(part, "shape"):
            return Fact(tuple(part.shape), str(part.dtype).removeprefix("torch."))
    return Fact()


def agrees(told, true):
    """A rule may leave sizes open, but what it says is so."""
    if told.shape is not None:
        assert true.shape is None or len(told.shape) == len(true.shape)
        assert all(a in (None, b) for a, b in zip(told.shape, true.shape)), (told, true)
    assert told.dtype in (None, true.dtype), (told, true)
    assert told.count in (None, true.count), (told, true)
    return True


def known(node, facts=None, **values):
    """What the engine would tell a rule: defaults filled in."""
    defaults = {name: port.default for name, port in node.spec.inputs.items() if not port.required and name not in (facts or {})}
    return Known(facts or {}, defaults | values)


PICTURES = Image(np.zeros((2, 3, 40, 30), dtype=np.uint8))
TABLE = Score(np.arange(12, dtype=np.float32).reshape(4, 3))


@pytest.mark.parametrize(
    ("node", "values", "plain"),
    [
        (text.template, {"text": Text(("a", "b"))}, {"template": "one {}"}),
        (text.join, {"first": Text(("a", "b")), "second": Text(("c",))}, {}),
        (text.repeat, {"text": Text(("a",)), "like": Text(("b", "c", "d"))}, {}),
        (text.pick, {"text": Text(("a", "b"))}, {"index": 1}),
        (text.cut, {"text": Text(("a", "b"))}, {}),
        (text.lines, {}, {"text": "one\n\ntwo"}),
        (score.name, {"score": TABLE, "rows": Text(tuple("abcd"))}, {}),
        (score.softmax, {"score": TABLE}, {}),
        (score.top, {"score": TABLE}, {"count": 2}),
        (score.top, {"score": TABLE}, {"count": 50}),
        (text.numbers, {"numbers": [1.0, 2.0]}, {}),
        (seeds.several, {}, {"seed": Seed(0), "count": 3}),
        (image.resize, {"image": PICTURES}, {"width": 8, "height": 9}),
        (image.split, {"image": PICTURES}, {}),
        (image.sheet, {"images": [PICTURES]}, {}),
    ],
)
def test_plain_nodes(node, values, plain):
    told = node.spec.describe(known(node, {name: fact(value) for name, value in values.items()}, **plain))
    assert agrees(told, fact(node(**values, **plain)))


def test_ranking_and_files(tmp_path):
    PIL.Image.new("RGB", (5, 4)).save(tmp_path / "a.png")
    told = image.load.spec.describe(known(image.load, path=tmp_path / "a.png"))
    loaded = image.load(tmp_path / "a.png")
    assert agrees(told["image"], fact(loaded.image)) and agrees(told["mask"], fact(loaded.mask))
    told = image.folder.spec.describe(known(image.folder, path=tmp_path))
    assert agrees(told["images"], fact(image.folder(tmp_path).images))
    images = [Image(np.zeros((1, 3, 4, 4), dtype=np.uint8))] * 3
    told = score.rank.spec.describe(known(score.rank, {"score": fact(TABLE), "images": Fact(count=3)}, count=2))
    ranked = score.rank(TABLE, images, count=2)
    assert all(agrees(told[name], fact(getattr(ranked, name))) for name in ranked._fields)


def test_clip(clip_folder):
    parts = clip.load(clip_folder)
    spaces = clip.load.spec.spaces({"source": clip_folder})
    handles = clip.load.spec.describe(known(clip.load, source=clip_folder))
    words, scale = Text(("a", "b b")), clip.logit_scale(parts.model)
    values = dict(zip(parts._fields, parts)) | {"text": words, "image": PICTURES}
    facts = dict(handles) | {"text": fact(words), "image": fact(PICTURES)}
    for name, node, ports in (
        ("tokens", tokens.encode, {"tokenizer": "tokenizer", "text": "text"}),
        ("pixels", vision.preprocess, {"processor": "processor", "image": "image"}),
        ("texts", clip.encode_text, {"model": "model", "tokens": "tokens"}),
        ("pictures", clip.encode_image, {"model": "model", "pixels": "pixels"}),
        ("score", clip.similarity, {"text": "texts", "image": "pictures"}),
    ):
        rule = known(node, {port: facts[source] for port, source in ports.items()})
        rule.spaces.update(spaces)
        facts[name], values[name] = node.spec.describe(rule), node(**{port: values[source] for port, source in ports.items()})
        assert agrees(facts[name], fact(values[name])), name
    assert facts["score"] == Fact((2, 2), "float32") and facts["pixels"].bytes == 2 * 3 * 24 * 24 * 4
    assert agrees(clip.logit_scale.spec.describe(Known()), fact(scale))
    full = tokens.encode.spec.describe(known(tokens.encode, {"tokenizer": handles["tokenizer"], "text": fact(words)}, padding="max_length"))
    assert full.shape == tuple(tokens.encode(parts.tokenizer, words, padding="max_length").ids.shape)


@pytest.mark.parametrize("settings", [{}, {"width": 48, "height": 24}, {"count": 2}])
def test_diffusion(diffusion_folder, settings):
    parts = diffusion.load(diffusion_folder)
    spaces = diffusion.load.spec.spaces({"source": diffusion_folder})
    assert set(spaces) == set("VCSXP")
    handles = diffusion.load.spec.describe(known(diffusion.load, source=diffusion_folder))
    words = Text(("a", "b", "c"))

    def told(node, facts, **values):
        rule = known(node, facts, **values)
        rule.spaces.update(spaces)
        return node.spec.describe(rule)

    facts = told(diffusion.encode_prompt, {"tokenizer": handles["tokenizer"], "encoder": handles["text_encoder"], "text": fact(words)})
    conditioning = diffusion.encode_prompt(parts.tokenizer, parts.text_encoder, words)
    assert facts == fact(conditioning)
    facts = told(diffusion.sample, {"denoiser": handles["denoiser"], "positive": facts}, **settings)
    latent = diffusion.sample(parts.denoiser, parts.schedule, conditioning, seed=Seed(0), steps=1, guidance=1.0, **settings)
    assert facts == fact(latent)
    facts = told(diffusion.decode, {"latent": facts})
    assert facts == fact(diffusion.decode(parts.autoencoder, latent))


def test_a_size_that_comes_over_a_wire_is_left_open(diffusion_folder):
    handles = diffusion.load.spec.describe(known(diffusion.load, source=diffusion_folder))
    rule = known(diffusion.sample, {"denoiser": handles["denoiser"], "positive": Fact((1, 16, 32)), "width": Fact()})
    assert diffusion.sample.spec.describe(rule).shape == (1, 4, 16, None)


def test_the_weights_predicted_are_those_that_are_loaded(diffusion_folder):
    from flowmm.models.residency import Residency

    parts = diffusion.load(diffusion_folder)
    handles = diffusion.load.spec.describe(known(diffusion.load, source=diffusion_folder))
    for name in ("text_encoder", "denoiser", "autoencoder"):
        module = Residency("cpu").load(getattr(parts, name))
        held = sum(p.numel() * p.element_size() for p in module.parameters())
        assert abs(handles[name].weights - held) <= 4096, name


def test_rules_survive_knowing_nothing():
    from flowmm.catalog import packs

    for spec in packs.all_specs():
        if spec.module.startswith("flowmm.nodes.") and spec.describe:
            spec.describe(Known())


def test_a_rule_is_asked_once_for_what_is_the_same(monkeypatch):
    rule, asked = text.pick.spec.describe, []
    monkeypatch.setattr(text.pick.spec, "describe", lambda told: asked.append(told) or rule(told))
    with flowmm.Graph() as graph:
        lines = text.lines("one\ntwo")
        graph.output(**{f"picked_{i}": text.pick(lines, index=index) for i, index in enumerate((0, 1, 0, 0))})
    described = describe(graph.check(), {})
    wiring = graph.wiring
    assert [told.values["index"] for told in asked] == [0, 1]
    assert all(described.facts[i, "text"] == Fact((1,)) for i, name in enumerate(wiring.names) if name.startswith("pick"))

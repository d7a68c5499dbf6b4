"""Codebooks and models that draw with them: what does not fit is refused in words, before weights load; what is promised of shapes holds."""

import json

import numpy as np
import pytest
import tiny_dalle
import torch
from test_describe_rules import agrees, fact, known

import flowmm
from flowmm.face.graph import Graph
from flowmm.graph.problems import GraphError
from flowmm.models import residency
from flowmm.models.convert import convert
from flowmm.models.source import SourceError
from flowmm.models.weights import SourceError as WeightsError
from flowmm.nodes import autoregressive, codes, score, vlm
from flowmm.sockets import Codes, Fact, Image, Seed, Text


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_dalle.save(tmp_path_factory.mktemp("dalle"))


@pytest.fixture(scope="module")
def vq(tmp_path_factory):
    home = tmp_path_factory.mktemp("vq")
    tiny_dalle.vq().save_pretrained(home)
    return home


@pytest.fixture(scope="module")
def dvae(tmp_path_factory):
    home = tmp_path_factory.mktemp("dvae")
    tiny_dalle.dvae().save_pretrained(home)
    return home


def picture(width, height, count=1):
    return Image(np.random.default_rng(0).integers(0, 256, (count, 3, height, width), dtype=np.uint8))


def edited(folder, tmp_path, file="flowmm.json", **changes):
    """A copy with another card or config; None takes a field out."""
    import shutil

    copy = shutil.copytree(folder, tmp_path / "copy", dirs_exist_ok=True)
    content = json.loads((copy / file).read_text()) | changes
    (copy / file).write_text(json.dumps({name: value for name, value in content.items() if value is not None}))
    return str(copy)


# ── sizes and ranges ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size, fits", [((17, 16), "16×16"), ((30, 9), "32×8"), ((3, 20000), "4×20000"), ((1, 1), "4×4")])
def test_a_picture_without_whole_patches_is_refused_with_a_size_that_fits(vq, size, fits):
    book = codes.load(str(vq))
    with pytest.raises(ValueError, match=f"a picture of {size[0]}×{size[1]} has no whole number of 4-pixel patches; resize it to {fits}"):
        codes.encode(book, picture(*size))
    width, height = map(int, fits.split("×"))
    if width * height < 10_000:
        assert codes.encode(book, picture(width, height)).ids.shape == (1, height // 4, width // 4)


@pytest.mark.parametrize("ids", [[[[0, 40]]], [[[-1, 3]]]])
def test_codes_outside_the_codebook_are_refused(vq, dvae, ids):
    values = torch.tensor(ids)
    for home in (vq, dvae):
        with pytest.raises(ValueError, match=f"has codes 0 to 39, but these go from {values.min()} to {values.max()}"):
            codes.decode(codes.load(str(home)), Codes(values))


def test_a_square_of_the_codebooks_size_stays_as_it_is(vq):
    book = codes.load(str(vq))
    assert np.array_equal(codes.fit(book, picture(16, 16, 2)).pixels, picture(16, 16, 2).pixels)
    assert codes.fit(book, [picture(16, 16), picture(9, 31), picture(31, 300)]).pixels.shape == (3, 3, 16, 16)
    assert codes.fit(book, picture(1, 1), side=8).pixels.shape == (1, 3, 8, 8)
    wide = picture(48, 16)
    assert np.array_equal(codes.fit(book, wide).pixels, wide.pixels[..., 16:32])


def test_a_side_or_a_picture_that_cannot_be_fitted_is_refused(vq):
    book = codes.load(str(vq))
    with pytest.raises(ValueError, match="side 18 is no multiple of 4, the pixels along a code's side; try 16"):
        codes.fit(book, picture(16, 16), side=18)
    with pytest.raises(ValueError, match="a picture of 20000×3 is too narrow to cut a square from; crop it first"):
        codes.fit(book, picture(20000, 3), side=256)
    with pytest.raises(ValueError, match="no picture to fit"):
        codes.fit(book, [])


def test_psnr_is_in_decibels():
    dark, light = (Image(np.full((2, 3, 4, 4), value, dtype=np.float32)) for value in (0.25, 0.35))
    assert np.allclose(score.psnr(dark, light).values, [[20, 20]], atol=1e-4)
    assert score.psnr(dark, dark).values.tolist() == [[100, 100]]
    eight = Image(np.full((1, 3, 4, 4), 51, dtype=np.uint8))
    assert score.psnr(eight, Image(eight.as_float())).values[0, 0] == 100
    with pytest.raises(ValueError, match=r"`image` \(2 × 3 × 4 × 4\) and `original` \(1 × 3 × 4 × 4\) are of different sizes"):
        score.psnr(dark, eight)


# ── wiring ──────────────────────────────────────────────────────────────────────────────────────


def crossed(one, other):
    """A graph that encodes with one codebook and decodes with another."""
    with Graph() as graph:
        made = codes.encode(codes.load(source=str(one)), graph.input("image"))
        graph.output(image=codes.decode(codes.load(source=str(other)), made))
    return graph


def test_codes_of_one_codebook_do_not_go_into_the_decoder_of_another(vq, dvae, tmp_path):
    tiny_dalle.vq(num_vq_embeddings=64).save_pretrained(tmp_path)
    for other, words in ((dvae, ("factor 4, not 8", "width 3, not 12")), (tmp_path, ("size 40, not 64",))):
        before = dict(residency.LOADS)
        with pytest.raises(GraphError) as refused:
            crossed(vq, other).run({"image": picture(16, 16)})
        message = str(refused.value)
        assert "decode.codes: `encode.codes` does not fit with `load_2.codebook`, which is wired to `decode.codebook`" in message
        assert all(word in message for word in words) and residency.LOADS == before


def test_codes_of_the_same_kind_with_other_weights_are_warned_about(vq, tmp_path):
    tiny_dalle.vq(seed=5).save_pretrained(tmp_path)
    checked = crossed(vq, tmp_path).check()
    assert not checked.errors() and [str(problem) for problem in checked.problems] == [
        "decode.codes: `encode.codes` comes from another codebook than what it meets here; their sizes agree, their contents may not. "
        "Take both from the same model if results look wrong."
    ]
    assert not crossed(vq, vq).check().problems


def test_the_codes_a_model_draws_fit_its_own_codebook_alone(folder, dvae):
    def graph(book):
        with Graph() as made:
            parts = autoregressive.load(source=str(folder))
            words = autoregressive.picture_prompt(parts.tokenizer, made.input("prompt", "a"))
            drawn = autoregressive.sample_codes(parts.model, words, seed=made.input("seed", 0))
            made.output(image=codes.decode(codes.load(source=str(book)), drawn))
        return made

    assert not graph(folder / "codebook").check().errors()
    errors = graph(dvae).check().errors()
    assert len(errors) == 1 and "width 3, not 12" in str(errors[0])


# ── sources ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "change, words",
    [
        ({"text_length": None}, "no sensible `text_length`; for a DALL-E 1 model it states text_length, rows and columns"),
        ({"rows": 0}, "no sensible `rows`"),
        ({"columns": "three"}, "no sensible `columns`"),
        ({"rows": 5}, r"has 18 positions, but 6 of text and 5 × 3 codes are 21"),
    ],
)
def test_a_card_that_does_not_say_how_a_picture_lies_is_refused(folder, tmp_path, change, words):
    source = edited(folder, tmp_path, **change)
    with pytest.raises(SourceError, match=words):
        autoregressive.load(source)
    assert autoregressive.load.spec.spaces({"source": source}) == {}


def test_parts_that_do_not_belong_together_are_refused(folder, tmp_path, clip_folder):
    with pytest.raises(SourceError, match="knows 40 ids, which is no room for text beside the 40 codes"):
        autoregressive.load(edited(folder, tmp_path / "a", "transformer/config.json", vocab_size=40))
    index = json.loads((folder / "model_index.json").read_text())
    with pytest.raises(SourceError, match="the codebook of .* is a AutoencoderKL; a DALL-E 1 model has a DVAE or a VQModel"):
        autoregressive.load(edited(folder, tmp_path / "b", "model_index.json", **index | {"codebook": ["diffusers", "AutoencoderKL"]}))
    with pytest.raises(SourceError, match="has no codebook; it has tokenizer, transformer"):
        autoregressive.load(edited(folder, tmp_path / "c", "model_index.json", codebook=None))
    with pytest.raises(SourceError, match="`codes.load` wants a model with a codebook .*; .* is a CLIPModel"):
        codes.load(clip_folder)


def test_a_tokenizer_that_cannot_fill_up_is_refused(tmp_path):
    parts = autoregressive.load(str(tiny_dalle.save(tmp_path, words=tiny_dalle.tokenizer(pad=None))))
    with pytest.raises(ValueError, match="has no padding token, which fills the text up; name one in its tokenizer_config.json"):
        autoregressive.picture_prompt(parts.tokenizer, Text(("a",)))


def test_a_codebook_alone_neither_draws_nor_reads_and_says_so(vq, dvae, folder):
    for home, what in ((vq, "a VQ model, a codebook alone"), (dvae, "a discrete VAE, a codebook alone")):
        with pytest.raises(SourceError, match=f"is {what}; it draws no pictures"):
            autoregressive.load(str(home))
        with pytest.raises(SourceError, match=f"is {what}; it writes no text"):
            vlm.load(str(home))
    with pytest.raises(SourceError, match="is a DALL-E 1 model, which draws pictures; it writes no text"):
        vlm.load(str(folder))


def test_half_of_a_discrete_vae_is_refused_by_name(tmp_path):
    tiny_dalle.save_pickles(tmp_path / "both")
    (tmp_path / "both" / "encoder.pkl").unlink()
    half = convert(tmp_path / "both", tmp_path / "half").folder
    with pytest.raises(WeightsError, match=r"lacks 1 of its 2 weight files \(model-00001-of-00002.safetensors\)"):
        codes.load(str(half))


@pytest.mark.parametrize("half", ["encoder", "decoder"])
def test_pickles_of_the_package_with_other_layers_are_refused(tmp_path, half, monkeypatch):
    layers = getattr(tiny_dalle, half.title())
    monkeypatch.setattr(layers, "__init__", lambda self, init=layers.__init__: (init(self), self.add_module("extra", tiny_dalle.Conv2d(1, 1, 1)), None)[-1])
    tiny_dalle.save_pickles(tmp_path / "both")
    with pytest.raises(WeightsError, match=f"the pickled {half} has other layers than DALL-E's discrete VAE"):
        convert(tmp_path / "both", tmp_path / "out")
    assert not (tmp_path / "out").exists()


# ── what is known before a run ──────────────────────────────────────────────────────────────────


def test_spaces_are_read_from_configs(folder, vq, dvae):
    found = {home: dict(codes.load.spec.spaces({"source": str(home)})["K"].facts) for home in (vq, dvae, folder)}
    assert found[vq] == found[folder] == {"size": 40, "width": 3, "factor": 4}
    assert found[dvae] == {"size": 40, "width": 12, "factor": 8}
    spaces = autoregressive.load.spec.spaces({"source": str(folder)})
    assert set(spaces) == {"V", "E", "K"} and dict(spaces["V"].facts) == {"size": len(tiny_dalle.WORDS)}
    assert str(spaces["K"]) == "40 codes"
    assert spaces["K"].same_prints(codes.load.spec.spaces({"source": str(folder / "codebook")})["K"])


def test_rules_say_what_the_nodes_give(folder, vq):
    parts, book = autoregressive.load(str(folder)), codes.load(str(vq))
    handles = autoregressive.load.spec.describe(known(autoregressive.load, source=str(folder)))
    spaces = codes.load.spec.spaces({"source": str(vq)})

    def told(node, facts, **values):
        rule = known(node, facts, **values)
        rule.spaces.update(spaces)
        return node.spec.describe(rule)

    for images in (picture(20, 40, 2), [picture(20, 40), picture(7, 9)]):
        assert agrees(told(codes.fit, {"image": fact(images)}), fact(codes.fit(book, images)))
        assert agrees(told(codes.fit, {"image": fact(images)}, side=8), fact(codes.fit(book, images, side=8)))
    made = codes.encode(book, picture(16, 8, 2))
    assert told(codes.encode, {"image": fact(picture(16, 8, 2))}) == fact(made)
    assert told(codes.decode, {"codes": fact(made)}) == fact(codes.decode(book, made))
    same = picture(8, 8, 3)
    assert told(score.psnr, {"image": fact(same)}) == fact(score.psnr(same, same))
    words = Text(("a", "a red star"))
    prompt = autoregressive.picture_prompt(parts.tokenizer, words)
    assert agrees(told(autoregressive.picture_prompt, {"tokenizer": handles["tokenizer"], "text": fact(words)}), fact(prompt))
    for settings in ({}, {"count": 2}):
        drawn = autoregressive.sample_codes(parts.model, prompt, seed=Seed(0), **settings)
        assert told(autoregressive.sample_codes, {"model": handles["model"], "positive": Fact((2, None))}, **settings) == fact(drawn)


def test_the_weights_predicted_are_those_that_are_loaded(folder, dvae):
    parts = autoregressive.load(str(folder))
    handles = autoregressive.load.spec.describe(known(autoregressive.load, source=str(folder)))
    alone = codes.load.spec.describe(known(codes.load, source=str(dvae)))
    for handle, told in ((parts.model, handles["model"]), (parts.codebook, handles["codebook"]), (codes.load(str(dvae)), alone["codebook"])):
        module = residency.Residency("cpu").load(handle)
        held = sum(p.numel() * p.element_size() for p in module.parameters())
        assert abs(told.weights - held) <= 4096


def test_the_saved_graphs_are_typed_for_a_real_model(folder, vq, dvae, clip_folder):
    for name, given in (
        ("text-to-image-codes", {"model": str(folder)}), ("dalle1", {"model": str(folder), "judge": clip_folder}),
        ("dvae-reconstruct", {"model": str(vq)}), ("dvae-reconstruct", {"model": str(dvae)}), ("dvae-reconstruct", {"model": str(folder)}),
    ):  # fmt: skip
        assert flowmm.load(name).check(**given).errors() == []

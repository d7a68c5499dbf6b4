"""UniToken in the nodes: shapes told beforehand, previews, cancelling, clear refusals, and what fits what."""

import numpy as np
import pytest
import tiny_unitoken
import torch
from test_describe_rules import agrees, fact, known

import flowmm
from flowmm.catalog import Cancelled, Context
from flowmm.models import residency
from flowmm.nodes import autoregressive, codes, vision, vlm
from flowmm.sockets import Hidden, Image, Seed, Text


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(tiny_unitoken.save(tmp_path_factory.mktemp("unitoken") / "base"))


@pytest.fixture(scope="module")
def anyres(tmp_path_factory):
    return str(tiny_unitoken.save(tmp_path_factory.mktemp("unitoken") / "anyres", architecture=tiny_unitoken.ANYRES))


def pictures(count=1, height=28, width=44):
    return Image(np.random.default_rng(0).integers(0, 256, (count, 3, height, width), dtype=np.uint8))


def prompts(parts, *lines):
    return tuple(autoregressive.picture_prompt(parts.tokenizer, Text(lines or ("a",)), conditional=flag) for flag in (True, False))


@pytest.mark.parametrize("kind", ["folder", "anyres"])
def test_shapes_are_told_before_a_run(kind, request):
    source = request.getfixturevalue(kind)
    parts, told = vlm.load(source), vlm.load.spec.describe(known(vlm.load, source=source))
    assert told["model"].weights > 4 * 2 * tiny_unitoken.VOCABULARY * tiny_unitoken.HIDDEN
    facts = {"processor": told["processor"], "image": fact(pictures(2))}
    pixels = vision.preprocess(parts.processor, pictures(2))
    assert agrees(vision.preprocess.spec.describe(known(vision.preprocess, facts)), fact(pixels))
    seen = vision.encode(parts.encoder, pixels)
    described = vision.encode.spec.describe(known(vision.encode, {"encoder": told["encoder"], "pixels": fact(pixels)}))
    assert agrees(described, fact(seen)) and (described.shape[1] is None) == (kind == "anyres")
    for reading in ("features", "codes"):
        assert agrees(vision.keep.spec.describe(known(vision.keep, {"features": fact(seen)}, reading=reading)), fact(vision.keep(seen, reading=reading)))
    asked = vlm.prompt(parts.tokenizer, seen, Text(("a", "bc")))
    assert agrees(vlm.prompt.spec.describe(known(vlm.prompt, {"features": fact(seen), "text": fact(Text(("a", "bc")))})), fact(asked))


def test_a_drawings_shape_is_told_before_a_run(folder):
    told = autoregressive.load.spec.describe(known(autoregressive.load, source=folder))
    parts = autoregressive.load(folder)
    words, _ = prompts(parts)
    drawn = autoregressive.sample_codes(parts.model, words, seed=Seed(0), guidance=1.0, count=2)
    described = autoregressive.sample_codes.spec.describe(known(autoregressive.sample_codes, {"model": told["model"], "positive": fact(words)}, count=2))
    assert agrees(described, fact(drawn)) and described.shape == (2, 8, 8)


def test_a_picture_appears_while_it_is_drawn(folder):
    parts, seen = autoregressive.load(folder), []
    words, nothing = prompts(parts)
    context = Context("paint", report=lambda done, total, preview: seen.append((done, total, preview() if preview else None)))
    drawn = autoregressive.sample_codes(parts.model, words, nothing, parts.codebook, seed=Seed(0), context=context)
    assert [(done, total) for done, total, _ in seen] == [(done, 64) for done in range(65)]
    whole = codes.decode(parts.codebook, drawn)
    assert seen[32][2].pixels.shape == whole.pixels.shape == (1, 3, 16, 16)
    assert (seen[32][2].pixels != whole.pixels).any() and (seen[32][2].pixels != seen[1][2].pixels).any()


@pytest.mark.parametrize("task", ["draw", "write"])
def test_cancelling_takes_effect_at_the_next_code_or_token(folder, task):
    steps = []
    context = Context("it", report=lambda *told: steps.append(told), cancelled=lambda: len(steps) >= 3)
    parts, reader = autoregressive.load(folder), vlm.load(folder)
    words, nothing = prompts(parts)
    asked = vlm.prompt(reader.tokenizer, vision.encode(reader.encoder, vision.preprocess(reader.processor, pictures())), Text(("What?",)))

    def work(context):
        if task == "draw":
            return autoregressive.sample_codes(parts.model, words, nothing, seed=Seed(0), context=context).ids
        return autoregressive.sample_text(reader.model, asked, reader.tokenizer, most=5, context=context).tokens.ids

    with pytest.raises(Cancelled):
        work(context)
    assert len(steps) == 3
    assert torch.equal(work(Context()), work(Context()))  # the model is as it was


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ({"width": 17}, "draws in squares of 4 pixels, of which 17×16 is no whole number; try 16×16"),
        ({"width": 200, "height": 200}, "a picture of 200×200 takes 10,100 tokens, and the model's context holds 4,096"),
    ],
)
def test_sizes_that_cannot_be_drawn_are_refused(folder, size, words):
    parts = autoregressive.load(folder)
    with pytest.raises(ValueError, match=words):
        autoregressive.sample_codes(parts.model, *prompts(parts), seed=Seed(0), **size)


def test_guidance_without_a_negative_prompt_is_refused_before_weights_load(folder):
    parts = autoregressive.load(folder)
    words, _ = prompts(parts)
    before = residency.LOADS["unitoken"]
    with pytest.raises(ValueError, match="guidance 3 needs `negative`"):
        autoregressive.sample_codes(parts.model, words, seed=Seed(0))
    assert residency.LOADS["unitoken"] == before


def test_endless_prompts_are_cut_and_keep_their_end(folder):
    parts, reader = autoregressive.load(folder), vlm.load(folder)
    words, _ = prompts(parts, "x" * 100_000)
    assert words.ids.shape[1] + 2 + 72 <= 4096 and words.ids[0, -3:].tolist() == [8710, 16853, 8197]
    seen = vision.encode(reader.encoder, vision.preprocess(reader.processor, pictures()))
    asked = vlm.prompt(reader.tokenizer, seen, Text(("x" * 100_000,)))
    assert asked.ids.shape[1] < 4096 + 100 and asked.ids[0, -1] == 8710


def test_pictures_that_cannot_be_seen_are_refused(folder):
    parts = vlm.load(folder)
    with pytest.raises(ValueError, match="a picture of 3×900000 is too narrow"):
        vision.preprocess(parts.processor, pictures(1, 900_000, 3))
    with pytest.raises(ValueError, match="UniToken sees pictures in one size: leave the size out"):
        vision.preprocess(parts.processor, pictures(), size=14)


def test_a_picture_named_twice_and_a_reading_that_is_not_there_are_refused(folder):
    parts = vlm.load(folder)
    seen = vision.encode(parts.encoder, vision.preprocess(parts.processor, pictures()))
    with pytest.raises(ValueError, match="there is one picture: a text has it once or not at all"):
        vlm.prompt(parts.tokenizer, seen, Text(("<|image|> or <|image|>?",)))
    with pytest.raises(ValueError, match="read in one way only"):
        vision.keep(Hidden(seen.values))


def test_weights_are_read_once_for_reading_and_drawing(folder):
    residency.residency("cpu").clear()
    before = residency.LOADS["unitoken"]
    parts, reader = autoregressive.load(folder), vlm.load(folder)
    autoregressive.sample_codes(parts.model, *prompts(parts), seed=Seed(0), height=4, width=4)
    vision.encode(reader.encoder, vision.preprocess(reader.processor, pictures()))
    assert residency.LOADS["unitoken"] == before + 1
    codes.encode(codes.load(folder), Image(np.zeros((1, 3, 4, 4), dtype=np.float32)))
    assert residency.LOADS["unitoken"] == before + 1  # the codebook needs no language model


def test_codes_of_another_model_are_refused_before_weights_load(folder, tmp_path):
    import tiny_janus

    janus = str(tiny_janus.save(tmp_path / "janus"))
    before = residency.LOADS.total()
    with flowmm.Graph() as g:
        parts = autoregressive.load(janus)
        drawn = autoregressive.sample_codes(parts.model, autoregressive.picture_prompt(parts.tokenizer, "a cat"), seed=0)
        g.output(image=codes.decode(codes.load(folder), drawn))
    (error,) = g.check().errors()
    there, here = (dict(one.spec.spaces({"source": source})["K"].facts) for one, source in ((autoregressive.load, janus), (codes.load, folder)))
    assert error.code == "type-mismatch" and "codes" in str(error) and "codebook" in str(error)
    assert any(f"{name} {there[name]}, not {here[name]}" in str(error) or f"{name} {here[name]}, not {there[name]}" in str(error) for name in here)
    assert residency.LOADS.total() == before


def test_features_of_one_family_do_not_ask_another(folder, tmp_path):
    import tiny_janus

    janus = str(tiny_janus.save(tmp_path / "janus"))
    with flowmm.Graph() as g:
        mine, theirs = vlm.load(folder), vlm.load(janus)
        seen = vision.encode(theirs.encoder, vision.preprocess(theirs.processor, g.input("image")))
        asked = vlm.prompt(mine.tokenizer, seen, "what?")
        g.output(text=autoregressive.sample_text(mine.model, asked, mine.tokenizer).text)
    (error,) = g.check().errors()
    assert "janus" in str(error) and "unitoken" in str(error)


def test_both_readings_survive_the_disk_cache(folder, tmp_path):
    """A second run in a new runtime reads features, codes and the reading with no features back from disk."""
    inputs = {"image": pictures(), "question": "What?", "most": 3, "model": folder}
    found = []
    for _ in range(2):
        runtime = flowmm.Runtime("cpu", cache=tmp_path / "cache", threads=1)
        result = flowmm.load("unitoken-two-readings").run(inputs, runtime=runtime)
        found.append((result.both, result.codes, result.features, result.kept))
        runtime.close()
    assert found[0] == found[1] and found[0][3].pixels.shape == (1, 3, 16, 16)
    from flowmm.store.codec import encode

    seen = vision.encode(vlm.load(folder).encoder, vision.preprocess(vlm.load(folder).processor, pictures()))
    for one in (seen, vision.keep(seen, reading="codes")):
        assert encode(one).decode() == one

"""Janus's parts: what rules say beforehand, what is refused and in which words, progress, cancelling, constraints."""

import json
import shutil

import numpy as np
import pytest
import tiny_janus
import torch
from test_describe_rules import agrees, fact, known

import flowmm
from flowmm.catalog import Cancelled, Context
from flowmm.models import residency
from flowmm.models.source import SourceError
from flowmm.nodes import autoregressive, codes, vision, vlm
from flowmm.nodes._families import family_of
from flowmm.sockets import Codes, Constraint, Image, Seed, Text

PICTURES = Image(np.random.default_rng(0).integers(0, 256, (2, 3, 40, 30), dtype=np.uint8))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return tiny_janus.save(tmp_path_factory.mktemp("janus"))


@pytest.fixture
def folder(saved):
    return str(saved)


@pytest.fixture
def reader(folder):
    return vlm.load(folder)


@pytest.fixture
def painter(folder):
    return autoregressive.load(folder)


def seen(reader, image=PICTURES):
    return vision.encode(reader.encoder, vision.preprocess(reader.processor, image))


def prompts(painter, *lines):
    return [autoregressive.picture_prompt(painter.tokenizer, Text(lines or ("a",)), conditional=conditional) for conditional in (True, False)]


def told(node, spaces, facts, **values):
    rule = known(node, facts, **values)
    rule.spaces.update(spaces)
    return node.spec.describe(rule)


def test_rules_agree_with_what_is_made(folder, reader, painter):
    spaces = vlm.load.spec.spaces({"source": folder})
    assert {name: dict(space.facts) for name, space in spaces.items()} == {
        "V": {"size": 272}, "E": {"family": "janus", "width": 32}, "K": {"size": 64, "width": 8, "factor": 8},
    }  # fmt: skip
    assert autoregressive.load.spec.spaces({"source": folder}) == spaces and codes.load.spec.spaces({"source": folder}) == {"K": spaces["K"]}
    read, drawn = (node.spec.describe(known(node, source=folder)) for node in (vlm.load, autoregressive.load))
    held = sum(p.numel() * p.element_size() for p in residency.residency("cpu").load(reader.model).parameters())
    assert abs(read["model"].weights - held) <= 4096 and drawn["model"] == read["model"]

    pixels = vision.preprocess(reader.processor, PICTURES)
    facts = told(vision.preprocess, spaces, {"processor": read["processor"], "image": fact(PICTURES)})
    assert agrees(facts, fact(pixels)) and facts.shape == (2, 3, 32, 32)
    hidden = vision.encode(reader.encoder, pixels)
    facts = told(vision.encode, spaces, {"encoder": read["encoder"], "pixels": facts})
    assert agrees(facts, fact(hidden)) and facts.shape == (2, 16, 32)
    question = vlm.prompt(reader.tokenizer, hidden, Text(("why?",)))
    facts = told(vlm.prompt, spaces, {"features": facts, "text": fact(Text(("why?",)))})
    assert agrees(facts, fact(question))
    answer = autoregressive.sample_text(reader.model, question, reader.tokenizer, most=2)
    facts = told(autoregressive.sample_text, spaces, {"prompt": facts})
    assert agrees(facts["text"], fact(answer.text)) and agrees(facts["tokens"], fact(answer.tokens))

    positive, negative = prompts(painter, "a", "bb")
    facts = told(autoregressive.picture_prompt, spaces, {"text": fact(Text(("a", "bb")))})
    assert agrees(facts, fact(positive))
    made = autoregressive.sample_codes(painter.model, positive, negative, seed=Seed(0), count=2)
    facts = told(autoregressive.sample_codes, spaces, {"model": drawn["model"], "positive": facts}, count=2)
    assert agrees(facts, fact(made)) and facts.shape == (4, 4, 4)
    image = codes.decode(painter.codebook, made)
    facts = told(codes.decode, spaces, {"codes": facts})
    assert agrees(facts, fact(image)) and facts.shape == (4, 3, 32, 32)
    assert agrees(told(codes.encode, spaces, {"image": facts}), fact(codes.encode(painter.codebook, image)))


def test_all_parts_share_one_network(reader, painter, folder):
    here = residency.Residency("cpu")
    made = {id(here.load(handle)) for handle in (reader.encoder, reader.model, painter.model, painter.codebook, codes.load(folder))}
    assert len(made) == 1 and here.loaded == 1


def test_words_end_where_the_model_says(reader):
    module = residency.residency("cpu").load(reader.model)
    assert family_of(reader.model).writer(module, reader.model).stops == (tiny_janus.tokenizer().eos_token_id,)


def test_text_is_constrained_though_the_librarys_generate_would_not_hear_of_it(reader):
    question = vlm.prompt(reader.tokenizer, seen(reader), Text(("why?",)))
    free = autoregressive.sample_text(reader.model, question, reader.tokenizer, most=4)
    banned = tuple(free.tokens.ids.unique().tolist())
    other = autoregressive.sample_text(reader.model, question, reader.tokenizer, Constraint(banned=banned), most=4)
    assert not set(banned) & set(other.tokens.ids.unique().tolist())


def test_drawing_is_told_with_a_preview_and_cancelled_at_the_next_code(painter):
    positive, negative = prompts(painter)
    heard = []
    context = Context("paint", report=lambda *one: heard.append(one))
    autoregressive.sample_codes(painter.model, positive, negative, painter.codebook, seed=Seed(0), context=context)
    assert [(done, total) for done, total, _ in heard] == [(i, 16) for i in range(17)]
    picture = heard[6][2]()
    assert isinstance(picture, Image) and picture.pixels.shape == (1, 3, 32, 32)
    heard.clear()
    context = Context("paint", report=lambda *one: heard.append(one), cancelled=lambda: len(heard) >= 3)
    with pytest.raises(Cancelled):
        autoregressive.sample_codes(painter.model, positive, negative, seed=Seed(0), context=context)
    assert len(heard) == 3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"width": 64}, "draws pictures of 32×32 and no others; leave width and height out"),
        ({"height": 16, "width": 32}, "draws pictures of 32×32 and no others"),
    ],
)
def test_other_sizes_are_refused(painter, settings, words):
    positive, negative = prompts(painter)
    with pytest.raises(ValueError, match=words):
        autoregressive.sample_codes(painter.model, positive, negative, seed=Seed(0), **settings)
    assert autoregressive.sample_codes(painter.model, positive, negative, seed=Seed(0), width=32, height=32).ids.shape == (1, 4, 4)


def test_guidance_wants_a_prompt_to_lead_away_from(painter):
    positive, _ = prompts(painter)
    with pytest.raises(ValueError, match="guidance 5 needs `negative`"):
        autoregressive.sample_codes(painter.model, positive, seed=Seed(0))
    assert autoregressive.sample_codes(painter.model, positive, seed=Seed(0), guidance=1.0).ids.shape == (1, 4, 4)


def test_one_negative_serves_prompts_of_any_length(painter):
    positive, _ = prompts(painter, "a", "a much longer one")
    _, negative = prompts(painter, "")
    made = autoregressive.sample_codes(painter.model, positive, negative, seed=Seed(0))
    assert made.ids.shape == (2, 4, 4)


def test_empty_and_endless_texts(reader, painter):
    hidden = seen(reader)
    assert prompts(painter, "")[0].ids.shape[0] == 1
    assert autoregressive.sample_text(reader.model, vlm.prompt(reader.tokenizer, hidden, Text(("",))), reader.tokenizer, most=1).tokens.ids.shape == (2, 1)
    with pytest.raises(ValueError, match="a prompt has 100,0.. tokens where the model has room for 1,008 before a picture; shorten it"):
        prompts(painter, "x" * 100_000)
    long = vlm.prompt(reader.tokenizer, hidden, Text(("x" * 100_000,)))
    with pytest.raises(ValueError, match="the prompt has 100,... tokens where the model's context holds 1,024, so nothing can be written; shorten it"):
        autoregressive.sample_text(reader.model, long, reader.tokenizer)


def test_a_text_may_not_hold_the_pictures_place(reader):
    with pytest.raises(ValueError, match="<image_placeholder>, which stands for the picture and is put there by itself; leave it out"):
        vlm.prompt(reader.tokenizer, seen(reader), Text((f"is {tiny_janus.PICTURE} red?",)))


def test_history_is_questions_and_answers(reader):
    with pytest.raises(ValueError, match="3 lines leave one without its other"):
        vlm.prompt(reader.tokenizer, seen(reader), Text(("why?",)), Text(("a", "b", "c")))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 2000), (2000, 3), (33, 31)])
def test_pictures_of_any_shape_are_read(reader, height, width):
    image = Image(np.zeros((1, 3, height, width), dtype=np.uint8))
    assert vision.preprocess(reader.processor, image).values.shape == (1, 3, 32, 32)


def test_codes_the_book_has_not_and_pictures_that_do_not_fit(painter):
    with pytest.raises(ValueError, match="the codebook has codes 0 to 63, but these go from 0 to 64"):
        codes.decode(painter.codebook, Codes(torch.tensor([[[0, 64]]])))
    with pytest.raises(ValueError, match="resize it to 32×40"):
        codes.encode(painter.codebook, PICTURES)


def test_a_codebook_opens_without_tokenizer_and_processor(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "janus", ignore=shutil.ignore_patterns("tokenizer*", "processor*", "chat*"))
    assert codes.load(str(folder)).setting("side") == 32
    with pytest.raises(SourceError, match="has no tokenizer"):
        autoregressive.load(str(folder))
    with pytest.raises(SourceError, match="has no tokenizer"):
        vlm.load(str(folder))


def test_a_tokenizer_of_another_model_is_said(saved, tmp_path, painter):
    folder = shutil.copytree(saved, tmp_path / "janus")
    told = json.loads((folder / "tokenizer.json").read_text())
    told["added_tokens"] = [token for token in told["added_tokens"] if token["content"] not in (tiny_janus.PICTURE, tiny_janus.BEGIN)]
    (folder / "tokenizer.json").write_text(json.dumps(told))
    (folder / "tokenizer_config.json").write_text("{}")
    parts = vlm.load(str(folder))
    with pytest.raises(ValueError, match="has no <image_placeholder>: it is not the tokenizer of a Janus model"):
        vlm.prompt(parts.tokenizer, seen(parts), Text(("why?",)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"vision_config": {"patch_size": 0}}, "its config has no sensible `vision_config.patch_size`"),
        ({"vq_config": {"num_embeddings": "many"}}, "its config has no sensible `vq_config.num_embeddings`"),
        ({"text_config": {"max_position_embeddings": None}}, "its config has no sensible `text_config.max_position_embeddings`"),
    ],
)
def test_configs_that_make_no_sense_are_said(saved, tmp_path, changes, words):
    folder = shutil.copytree(saved, tmp_path / "janus")
    config = json.loads((folder / "config.json").read_text())
    for part, values in changes.items():
        config[part] |= values
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(SourceError, match=words):
        autoregressive.load(str(folder))
    assert autoregressive.load.spec.spaces({"source": str(folder)}) == {}


# ── wiring ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """A codebook of another family: 64 codes too, of 4 numbers each, 2 pixels along a side."""
    from diffusers import VQModel

    folder = tmp_path_factory.mktemp("vq")
    VQModel(block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2, norm_num_groups=4,
            latent_channels=4, num_vq_embeddings=64, vq_embed_dim=4).save_pretrained(folder)  # fmt: skip
    return str(folder)


def refused(graph):
    before = residency.LOADS.total()
    (error,) = graph.check().errors()
    assert error.code == "type-mismatch" and residency.LOADS.total() == before
    return str(error)


def test_codes_of_janus_into_the_decoder_of_another_family_are_refused_before_weights_load(folder, other):
    with flowmm.Graph() as g:
        parts = autoregressive.load(folder)
        drawn = autoregressive.sample_codes(parts.model, autoregressive.picture_prompt(parts.tokenizer, "a cat"), seed=0, guidance=1.0)
        g.output(image=codes.decode(codes.load(other), drawn))
    words = refused(g)
    assert words == (
        "decode.codes: `sample_codes.codes` does not fit with `load_2.codebook`, which is wired to `decode.codebook`: factor 8, not 2; width 8, not 4. "
        "Take both from the same model, or from models that share this space."
    )


def test_a_picture_read_by_janus_into_another_familys_language_model_is_refused(folder, tmp_path):
    import tiny_blip

    blip = str(tiny_blip.save_blip(tmp_path / "blip", "ForQuestionAnswering"))
    with flowmm.Graph() as g:
        mine, theirs = vlm.load(folder), vlm.load(blip)
        hidden = vision.encode(mine.encoder, vision.preprocess(mine.processor, g.input("image")))
        asked = vlm.prompt(theirs.tokenizer, hidden, "why?")
        g.output(text=autoregressive.sample_text(theirs.model, asked, theirs.tokenizer).text)
    assert "family" in refused(g)

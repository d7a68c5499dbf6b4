"""Vision-language nodes beside equality with the library: streams, cancelling, constraints, refusals, and what is said before a run."""

import json
import shutil

import numpy as np
import pytest
import tiny_blip
import torch
from test_describe_rules import agrees, fact, known

import flowmm
from flowmm.catalog import Cancelled, Context
from flowmm.models import residency
from flowmm.models.source import SourceError
from flowmm.nodes import autoregressive, codes, match, tokens, vision, vlm
from flowmm.nodes._families import family_of
from flowmm.sockets import Constraint, Image, Text

ROW = Text(("a picture of",))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    make = tmp_path_factory.mktemp
    return {
        "blip": tiny_blip.save_blip(make("blip")),
        "blip_vqa": tiny_blip.save_blip(make("vqa"), "ForQuestionAnswering", seed=2, ends=5),
        "blip_match": tiny_blip.save_blip(make("itm"), "ForImageTextRetrieval"),
        "opt": tiny_blip.save_blip2(make("opt")),
        "t5": tiny_blip.save_blip2(make("t5"), "t5", seed=2),
        "blip2_match": tiny_blip.save_blip2(make("itm2"), kind="ForImageTextRetrieval"),
    }


@pytest.fixture
def runtime():
    made = flowmm.Runtime("cpu", cache=None, threads=1)
    yield made
    made.close()


def image(count=2):
    return Image(np.stack([one.transpose(2, 0, 1) for one in tiny_blip.pictures(count)]))


def prompted(folder, text=None, count=2):
    """The parts, and a prompt for captions of some pictures."""
    parts = vlm.load(str(folder))
    seen = vision.encode(parts.encoder, vision.preprocess(parts.processor, image(count)))
    return parts, vlm.caption_prompt(parts.tokenizer, seen, text)


# ── streams and cancelling ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["blip", "opt", "t5"])
def test_the_text_is_shown_while_it_grows(folders, runtime, monkeypatch, name):
    monkeypatch.setattr("flowmm.engine.events.INTERVAL", 0.0)
    events = []
    inputs = {"image": tiny_blip.pictures(1, seed=10), "beginning": "a picture of", "model": str(folders[name]), "most": 8}
    done = flowmm.load("caption").run(inputs, runtime=runtime, listener=events.append)
    texts = [event.text for event in events if event.kind == "preview"]
    assert len(texts) > 2 and all(later.startswith(earlier.rstrip("�")) for earlier, later in zip(texts, texts[1:]))
    assert done.caption.lines[0].startswith(texts[-1].rstrip("�")) and len(texts[-1]) > len(texts[0])
    assert texts[0] == ("" if name == "t5" else "a picture of")


@pytest.mark.parametrize("name", ["blip", "opt", "t5"])
def test_cancelling_between_tokens_leaves_the_model_usable(folders, name):
    parts, prompt = prompted(folders[name])
    steps = []
    context = Context("write", report=lambda *told: steps.append(told), cancelled=lambda: len(steps) >= 3)
    with pytest.raises(Cancelled):
        autoregressive.sample_text(parts.model, prompt, parts.tokenizer, most=12, context=context)
    assert len(steps) == 3
    after = autoregressive.sample_text(parts.model, prompt, parts.tokenizer, most=12)
    residency.residency("cpu").clear()
    fresh = autoregressive.sample_text(parts.model, prompt, parts.tokenizer, most=12)
    assert torch.equal(after.tokens.ids, fresh.tokens.ids) and after.text == fresh.text


def test_a_question_of_another_length_leaves_no_hook_behind(folders):
    parts = vlm.load(str(folders["blip_vqa"]))
    seen = vision.encode(parts.encoder, vision.preprocess(parts.processor, image()))
    prompt = vlm.prompt(parts.tokenizer, seen, Text(("is it?", "what colour is it?")))
    autoregressive.sample_text(parts.model, prompt, parts.tokenizer, most=3)
    module = residency.residency("cpu").load(parts.model)
    assert not any(one._forward_pre_hooks for one in module.modules())


# ── choosing ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["blip", "opt", "t5"])
def test_constraints_bind(folders, name):
    parts, prompt = prompted(folders[name])
    free = autoregressive.sample_text(parts.model, prompt, parts.tokenizer, most=8)
    with residency.using(Context(), parts.tokenizer) as words, residency.using(Context(), parts.model) as module:
        stops = set(family_of(parts.model).writer(module, parts.model).stops)
        coded = {text: words(text, add_special_tokens=False).input_ids for text in ("red blue", "square", "it is")}

    def written(constraint):
        made = autoregressive.sample_text(parts.model, prompt, parts.tokenizer, constraint, most=8).tokens
        return [ids[mask.bool()].tolist() for ids, mask in zip(made.ids, made.mask)]

    allowed = autoregressive.constrain(parts.tokenizer, allowed=Text(("red blue",)))
    assert all(set(row) <= set(coded["red blue"]) | stops for row in written(allowed))
    begun = autoregressive.constrain(parts.tokenizer, begins="it is")
    assert all(row[: len(coded["it is"])] == coded["it is"][: len(row)] for row in written(begun))
    seen = sorted({int(i) for i in free.tokens.ids[free.tokens.mask.bool()]})
    assert not any(set(row) & set(seen) for row in written(Constraint(banned=tuple(seen))))
    assert autoregressive.constrain(parts.tokenizer, banned=Text(("square",))).banned == tuple(sorted(set(coded["square"])))


def test_a_constraint_that_leaves_nothing_says_so(folders):
    parts, prompt = prompted(folders["blip"])
    with pytest.raises(ValueError, match="bans every id, so nothing can be written; allow some"):
        autoregressive.sample_text(parts.model, prompt, parts.tokenizer, Constraint(banned=tuple(range(83))), most=2)


def test_repetition_is_divided_as_the_library_divides_it(folders):
    from transformers import BlipForConditionalGeneration

    parts, prompt = prompted(folders["blip"])
    ours = autoregressive.sample_text(parts.model, prompt, parts.tokenizer, most=10, repetition=3.0)
    model = BlipForConditionalGeneration.from_pretrained(folders["blip"]).eval()
    pixels = vision.preprocess(parts.processor, image()).values
    ids = model.generate(pixels, do_sample=False, max_new_tokens=10, repetition_penalty=3.0)[:, 1:]
    kept = ours.tokens.mask.bool()
    assert torch.equal(ours.tokens.ids[kept], ids[kept])
    plain = autoregressive.sample_text(parts.model, prompt, parts.tokenizer, most=10)
    assert plain.text != ours.text


def test_recommendations_of_a_folder_bind(folders, tmp_path):
    folder = shutil.copytree(folders["blip"], tmp_path / "model")
    (folder / "flowmm.json").write_text(json.dumps({"about": "x", "tokens": 2}))
    parts, prompt = prompted(folder)
    assert autoregressive.sample_text(parts.model, prompt, parts.tokenizer, least=5).tokens.ids.shape == (2, 2)
    assert autoregressive.sample_text(parts.model, prompt, parts.tokenizer, least=5, most=4).tokens.ids.shape == (2, 4)


# ── refusals with a sentence ────────────────────────────────────────────────────────────────────


def test_numbers_that_do_not_match(folders):
    parts = vlm.load(str(folders["opt"]))
    seen = vision.encode(parts.encoder, vision.preprocess(parts.processor, image()))
    with pytest.raises(ValueError, match="there are 2 pictures, but 3 texts; one of either, or as many, fit"):
        vlm.prompt(parts.tokenizer, seen, Text(("a", "b", "c")))
    with pytest.raises(ValueError, match="3 lines leave one without its other"):
        vlm.prompt(parts.tokenizer, seen, Text(("a",)), Text(("a", "b", "c")))


@pytest.mark.parametrize(("name", "holds"), [("blip", 64), ("blip_vqa", 64), ("opt", 96), ("t5", 512)])
def test_texts_longer_than_the_context(folders, name, holds):
    parts = vlm.load(str(folders[name]))
    seen = vision.encode(parts.encoder, vision.preprocess(parts.processor, image(1)))
    for count in (holds + 1, 100_000):
        with pytest.raises(ValueError, match=rf"tokens where the model's context holds {holds}(,|;).*shorten it"):
            if name == "blip":
                prompt = vlm.caption_prompt(parts.tokenizer, seen, Text((" ".join("a" * count),)))
            else:
                prompt = vlm.prompt(parts.tokenizer, seen, Text((" ".join("a" * count),)))
            autoregressive.sample_text(parts.model, prompt, parts.tokenizer)


def test_a_text_ends_where_the_context_does(folders):
    parts, prompt = prompted(folders["blip"], Text((" ".join("a" * 60),)), 1)
    made = autoregressive.sample_text(parts.model, prompt, parts.tokenizer, Constraint(allowed=(9,), banned=(tiny_blip.SEP,)), most=100)
    assert made.tokens.ids.tolist() == [[9] * (64 - 61)]


@pytest.mark.parametrize("name", ["opt", "t5"])
def test_the_placeholder_of_pictures_in_a_text(folders, name):
    with pytest.raises(ValueError, match="a text holds '<image>', which stands for the picture itself; leave it out"):
        prompted(folders[name], Text(("a <image> of",)))


def test_questions_that_are_none(folders):
    parts = vlm.load(str(folders["blip_vqa"]))
    seen = vision.encode(parts.encoder, vision.preprocess(parts.processor, image()))
    with pytest.raises(ValueError, match="a question is empty: ask something"):
        vlm.prompt(parts.tokenizer, seen, Text((" ",)))
    with pytest.raises(ValueError, match="one at a time and does not chat; leave `history` out"):
        vlm.prompt(parts.tokenizer, seen, Text(("is it?",)), Text(("a", "b")))


@pytest.mark.parametrize("name", ["opt", "t5"])
def test_an_empty_question_to_blip2_asks_for_a_caption(folders, name):
    parts, prompt = prompted(folders[name])
    seen = vision.encode(parts.encoder, vision.preprocess(parts.processor, image()))
    assert torch.equal(vlm.prompt(parts.tokenizer, seen, Text(("",))).ids, prompt.ids)


@pytest.mark.parametrize(
    ("name", "missing", "words"),
    [
        ("blip", ("processor_config.json",), "has no image_processor"),
        ("opt", ("tokenizer.json", "tokenizer_config.json"), "has no tokenizer"),
        ("t5", ("model.safetensors",), "no weights|has no .*safetensors|incomplete"),
    ],
)
def test_a_folder_that_is_not_whole(folders, tmp_path, name, missing, words):
    folder = shutil.copytree(folders[name], tmp_path / "model")
    for file in missing:
        (folder / file).unlink()
    with pytest.raises(SourceError, match=words):
        vlm.load(str(folder))


def test_a_blip2_of_before_image_tokens_were_named(folders, tmp_path):
    folder = shutil.copytree(folders["opt"], tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    del config["image_token_index"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(SourceError, match="its config has no sensible `image_token_index`"):
        vlm.load(str(folder))
    assert vlm.load.spec.spaces({"source": str(folder)}) == {}


def test_configs_that_say_only_what_is_not_usual(folders, tmp_path):
    """As the published repositories have them."""
    said = {
        "opt": ({"text_config": {"model_type": "opt", "hidden_size": 2560, "eos_token_id": 50118}, "image_token_index": 50265}, (50272, 2560)),
        "t5": ({"text_config": {"model_type": "t5", "d_model": 2048, "num_heads": 32}, "image_token_index": 32100}, (32128, 2048)),
        "blip": ({"text_config": {"model_type": "blip_text_model"}, "vision_config": {"model_type": "blip_vision_model"}}, (30524, 768)),
        "blip2_match": ({"qformer_config": {"vocab_size": 30523}, "vision_config": {"model_type": "blip_2_vision_model"}}, (30523, 1408)),
    }
    for name, (config, (size, width)) in said.items():
        folder = shutil.copytree(folders[name], tmp_path / name)
        architecture = json.loads((folder / "config.json").read_text())["architectures"]
        (folder / "config.json").write_text(json.dumps(config | {"architectures": architecture}))
        load = match.load if "match" in name else vlm.load
        found = load.spec.spaces({"source": str(folder)})
        assert dict(found["V"].facts)["size"] == size and dict(found["E"].facts)["width"] == width
        facts = load.spec.describe(known(load, source=str(folder)))
        tokens_read = {"opt": 2048, "t5": 512, "blip": 64, "blip2_match": 64}[name]  # the tiny BERT says 64 of itself
        assert facts["tokenizer"].shape == (None, tokens_read) and facts["encoder"].shape[2] == width
        assert load(str(folder)).tokenizer.setting("length") == tokens_read


def test_models_of_other_families(folders, clip_folder):
    for load in (vlm.load, match.load, autoregressive.load, codes.load):
        with pytest.raises(SourceError, match="`.*` is a CLIPModel"):
            load(clip_folder)
    with pytest.raises(SourceError, match="a Blip2ForImageTextRetrieval, which scores how well texts fit pictures; it writes no text"):
        vlm.load(str(folders["blip2_match"]))
    with pytest.raises(SourceError, match="which writes captions and answers questions; it has no heads that score texts"):
        match.load(str(folders["opt"]))
    with pytest.raises(SourceError, match="draws no pictures"):
        codes.load(str(folders["blip"]))


# ── before a run ────────────────────────────────────────────────────────────────────────────────


def test_pictures_seen_by_blip_into_the_language_model_of_blip2(folders):
    before = residency.LOADS.total()
    with flowmm.Graph() as g:
        small, big = vlm.load(str(folders["blip"])), vlm.load(str(folders["opt"]))
        seen = vision.encode(small.encoder, vision.preprocess(small.processor, g.input("image")))
        prompt = vlm.prompt(big.tokenizer, seen, "what is it?")
        g.output(text=autoregressive.sample_text(big.model, prompt, big.tokenizer).text)
    (error,) = g.check().errors()
    assert error.code == "type-mismatch" and "family blip, not blip2" in str(error) or "family blip2, not blip" in str(error)
    assert "prompt" in str(error) and "model" in str(error) and residency.LOADS.total() == before


def test_a_prompt_in_the_words_of_another_model(folders):
    with flowmm.Graph() as g:
        opt, t5 = vlm.load(str(folders["opt"])), vlm.load(str(folders["t5"]))
        seen = vision.encode(opt.encoder, vision.preprocess(opt.processor, g.input("image")))
        g.output(text=autoregressive.sample_text(opt.model, vlm.prompt(t5.tokenizer, seen, "what?"), opt.tokenizer).text)
    (error,) = g.check().errors()
    assert error.code == "type-mismatch" and "size" in str(error)


def test_the_features_of_blip2_for_writing_into_its_heads_for_matching(folders):
    with flowmm.Graph() as g:
        writes, scores = vlm.load(str(folders["opt"])), match.load(str(folders["blip2_match"]))
        seen = vision.encode(writes.encoder, vision.preprocess(writes.processor, g.input("image")))
        g.output(score=match.itm(scores.scorer, tokens.encode(scores.tokenizer, "a circle"), seen))
    (error,) = g.check().errors()
    assert error.code == "type-mismatch" and "blip2 vision" in str(error)


def test_a_language_model_that_draws_nothing_has_no_codes(folders):
    for name in ("blip", "blip_vqa", "opt", "t5"):
        assert vlm.load.spec.spaces({"source": str(folders[name])})["K"].facts == (("size", 0),)


@pytest.mark.parametrize("name", ["blip", "blip_vqa", "opt", "t5"])
def test_what_is_said_before_a_run_is_what_it_gives(folders, name):
    folder = str(folders[name])
    parts, spaces = vlm.load(folder), vlm.load.spec.spaces({"source": folder})
    facts = dict(vlm.load.spec.describe(known(vlm.load, source=folder)))
    assert set(spaces) == set("VEK")
    words = Text(("a red", "is it a circle?"))
    values = dict(zip(parts._fields, parts)) | {"image": image(), "text": words}
    facts |= {"image": fact(image()), "text": fact(words)}
    asked = vlm.caption_prompt if name == "blip" else vlm.prompt
    for made, node, ports in (
        ("pixels", vision.preprocess, {"processor": "processor", "image": "image"}),
        ("features", vision.encode, {"encoder": "encoder", "pixels": "pixels"}),
        ("prompt", asked, {"tokenizer": "tokenizer", "features": "features", "beginning" if name == "blip" else "text": "text"}),
        ("written", autoregressive.sample_text, {"model": "model", "prompt": "prompt", "tokenizer": "tokenizer"}),
    ):
        rule = known(node, {port: facts[source] for port, source in ports.items()})
        rule.spaces.update(spaces)
        facts[made] = node.spec.describe(rule)
        values[made] = node(**{port: values[source] for port, source in ports.items()})
        if made != "written":
            assert agrees(facts[made], fact(values[made])), made
    assert facts["features"].shape == tuple(values["features"].values.shape) and facts["pixels"].shape == (2, 3, 24, 24)
    assert all(agrees(facts["written"][port], fact(getattr(values["written"], port))) for port in ("text", "tokens"))


@pytest.mark.parametrize("name", ["blip_match", "blip2_match"])
def test_what_is_said_before_matching_is_what_it_gives(folders, name):
    folder = str(folders[name])
    parts, spaces = match.load(folder), match.load.spec.spaces({"source": folder})
    handles = match.load.spec.describe(known(match.load, source=folder))
    words = tokens.encode(parts.tokenizer, Text(("a red", "it is a circle", "no")))
    seen = vision.encode(parts.encoder, vision.preprocess(parts.processor, image()))
    rule = known(vision.encode, {"encoder": handles["encoder"], "pixels": fact(vision.preprocess(parts.processor, image()))})
    assert set(spaces) == set("VE") and vision.encode.spec.describe(rule).shape == tuple(seen.values.shape)
    for node in (match.itm, match.itc):
        rule = known(node, {"tokens": fact(words), "features": fact(seen)})
        assert node.spec.describe(rule) == fact(node(parts.scorer, words, seen))


@pytest.mark.parametrize("name", ["blip", "blip_vqa", "opt", "t5", "blip_match", "blip2_match"])
def test_the_weights_predicted_are_those_that_are_loaded_once(folders, name):
    load = match.load if "match" in name else vlm.load
    parts, port = load(str(folders[name])), "scorer" if "match" in name else "model"
    told = load.spec.describe(known(load, source=str(folders[name])))
    here = residency.Residency("cpu")
    module = here.load(getattr(parts, port))
    assert abs(told[port].weights - sum(p.numel() * p.element_size() for p in module.parameters())) <= 4096
    assert here.load(parts.encoder) is module and here.loaded == 1


def test_the_matching_graph_shows_progress_picture_by_picture(folders):
    parts = match.load(str(folders["blip_match"]))
    words, steps = tokens.encode(parts.tokenizer, Text(("a", "b"))), []
    seen = vision.encode(parts.encoder, vision.preprocess(parts.processor, image()))
    with pytest.raises(Cancelled):
        match.itm(parts.scorer, words, seen, context=Context("judge", report=lambda *told: steps.append(told), cancelled=lambda: bool(steps)))
    assert [step[:2] for step in steps] == [(0, 2)]

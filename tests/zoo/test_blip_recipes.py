"""BLIP's and BLIP-2's recipes: what is taught is what the library computes, and their folders run in the saved graphs."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from transformers import (
    AutoProcessor,
    Blip2ForConditionalGeneration,
    Blip2ForImageTextRetrieval,
    BlipForConditionalGeneration,
    BlipForImageTextRetrieval,
    BlipForQuestionAnswering,
)
from untrained import scenes

from flowmm.zoo import questions, table, world
from flowmm.zoo.recipes import blip, blip2, blip2_match, blip_match, blip_vqa, near, training

FROZEN_IDS = [120, 5, 24, 66]  # another id for a word would turn shipped models' words about
FROZEN_IDS_2 = [56, 145, 114, 64]


@pytest.fixture(scope="module")
def words():
    return blip.tokenizer()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(1)
    made = tmp_path_factory.mktemp("zoo")
    blip.write_folder(made / "blip", blip.build(), "untrained", "blip")
    return made




# --- words ---------------------------------------------------------------------------------------------------------


def test_every_word_is_one_token_and_no_text_is_unknown_or_too_long(words):
    other = blip2.tokenizer()
    for word in questions.words():
        assert len(words(word).input_ids) == 3 and len(other(word).input_ids) == 2, word
    some, rng = scenes(1500)
    texts = [questions.ask(scene, rng).text for scene in some] + [blip.caption(scene, rng) for scene in some]
    ids, _ = blip.coded(words, texts)
    assert ids.shape[1] <= blip.LENGTH and not (ids == blip.UNKNOWN).any()
    read, _, _ = blip2.lines(other, [blip2.exercise(scene, rng) for scene in some])
    assert read.shape[1] + blip2.QUERIES <= blip2.LENGTH and not (read == blip2.UNKNOWN).any()


def test_the_ids_are_the_same_in_every_process(words):
    said = ["a", "red", "left", "background"]
    assert words.convert_tokens_to_ids(said) == FROZEN_IDS
    assert blip2.tokenizer().convert_tokens_to_ids(said) == FROZEN_IDS_2


def test_captions_that_are_taught_are_true_and_name_no_held_out_pair():
    some, rng = scenes(800)
    for scene in some:
        told = world.parse(blip.caption(scene, rng))
        assert world.agree(told, scene)
        assert not {(thing.colour, thing.shape) for thing in told.things} & world.HELD_OUT


@pytest.mark.parametrize(
    ("text", "whole", "true"),
    [
        ("a large red circle on a grey background", True, True), ("a red circle on a grey background", False, True), ("a red circle", False, True),
        ("a small red circle on a grey background", False, False), ("a large red square on a grey background", False, False), ("nothing", False, False),
        ("a large red circle left of a blue square on a grey background", False, False),
    ],
)  # fmt: skip
def test_a_caption_counts_only_if_it_tells_everything_rightly(text, whole, true):
    scene = world.Scene("grey", (world.Thing("circle", "red", "large", 16.0, 16.0),))
    assert (blip.true_of(text, scene), blip.not_wrong(text, scene)) == (whole, true)


# --- what is taught ------------------------------------------------------------------------------------------------


def test_no_position_and_no_query_is_silent_at_the_start():
    model, other = blip.build(), blip2.build()
    assert model.vision_model.embeddings.position_embedding.std() > 0.2
    assert other.query_tokens[0].std(dim=0).mean() > 0.2  # alike, they would stay alike


def test_a_decoder_reads_from_the_beginning_and_writes_to_the_end(words):
    read, wanted = blip.to_write(words, ["a red circle", "a circle"], 99)
    a, red, circle = words.convert_tokens_to_ids(["a", "red", "circle"])
    assert read.tolist() == [[99, a, red, circle], [99, a, circle, blip.SEP]]
    assert wanted.tolist() == [[a, red, circle, blip.SEP], [a, circle, blip.SEP, -100]]


def test_colours_alone_are_covered(words):
    read, _ = blip.to_write(words, ["a large red circle on a grey background"] * 400, 99)
    covered = blip.veiled(read, words, np.random.default_rng(0), 0.35)
    places = (covered != read).any(dim=0).nonzero().flatten().tolist()
    assert words.convert_ids_to_tokens(read[0, places]) == ["red"]
    assert 0.25 < (covered == blip.MASK).any(dim=1).float().mean() < 0.45


def test_the_loss_of_captions_is_the_librarys(words):
    model = blip.build().eval()
    some, _ = scenes(6)
    pictures, texts = blip.pixels_of(some), [world.caption(scene) for scene in some]
    seen = model.vision_model(pictures).last_hidden_state
    mine = blip.written(model.text_decoder, *blip.to_write(words, texts, model.decoder_input_ids), seen)
    ids, mask = blip.coded(words, texts)
    ids[:, 0] = model.decoder_input_ids
    theirs = model(pixel_values=pictures, input_ids=ids, attention_mask=mask, labels=ids.masked_fill(mask == 0, -100)).loss
    assert torch.allclose(mine, theirs, atol=1e-5)


def test_the_loss_of_answers_is_the_librarys(words):
    model = blip_vqa.build().eval()
    some, rng = scenes(6)
    asked, pictures = [questions.ask(scene, rng) for scene in some], blip.pixels_of(some)
    mine = blip_vqa.loss(model, words, pictures, [one.text for one in asked], [one.answer for one in asked])
    ids, mask = blip.coded(words, [one.text for one in asked])
    answers, kept = blip.coded(words, [one.answer for one in asked])
    answers[:, 0] = model.decoder_start_token_id
    theirs = model(ids, pictures, attention_mask=mask, decoder_input_ids=answers, labels=answers.masked_fill(kept == 0, -100)).loss
    assert torch.allclose(mine, theirs, atol=1e-5)


def test_the_language_model_of_blip2_reads_queries_as_in_the_library():
    model, words = blip2.build().eval(), blip2.tokenizer()
    some, rng = scenes(5)
    pictures, told = blip.pixels_of(some), blip2.lines(words, [blip2.exercise(scene, rng) for scene in some])
    mine = blip2.continued(model, blip2.Queries(model)(model.vision_model(pictures).last_hidden_state), *told)
    ids, wanted, mask = (torch.cat([torch.full((5, blip2.QUERIES), first), part], dim=1) for part, first in zip(told, (blip2.IMAGE, -100, 1), strict=True))
    theirs = model(pixel_values=pictures, input_ids=ids, attention_mask=mask, labels=wanted).loss
    assert torch.allclose(mine, theirs, atol=1e-5)


def test_what_blip2_describes_is_whole_and_fits_the_queries():
    words = blip2.tokenizer()
    for scene in scenes(300)[0]:
        assert blip.true_of(blip2.description(scene), scene)
        assert world.parse(blip2.description(scene)).relation in (None, "left of", "above")
    assert blip2.described(words, scenes(300)[0]).shape == (300, blip2.QUERIES)


def test_questions_and_answers_are_read_and_only_answers_written():
    words = blip2.tokenizer()
    first, second = ("Question: how many things are there? Answer:", "two"), ("Question: what is it? Answer:", "a star")
    ids, wanted, mask = blip2.lines(words, [[first], [("", "a red circle")], [first, second]])
    assert [words.decode(row[row >= 0]) for row in wanted] == ["two </s>", "a red circle </s>", "two a star </s>"]
    assert (ids[:, 0] == blip2.END).all() and mask.sum(dim=1).tolist() == [13, 5, 24]
    assert words.decode(ids[2], skip_special_tokens=True).startswith("question : how many things are there? answer : two. question : what is it")


def test_nothing_but_what_lies_between_learns_in_the_last_stage():
    model, words = blip2.build(), blip2.tokenizer()
    model.requires_grad_(False)
    blip2.Queries(model).requires_grad_(True)
    begin, _ = blip2._whole(model, words, "cpu", 1)
    begin(0)(0.5).backward()
    learning = {name.split(".")[0] for name, parameter in model.named_parameters() if parameter.grad is not None and parameter.grad.abs().sum() > 0}
    assert learning == {"query_tokens", "qformer", "language_projection"}


def test_what_goes_wrong_is_asked_more_often():
    some, rng = scenes(600, two=1.0)
    wrong = {kind: 0.9 if kind == "relation" else 0.0 for kind in questions.KINDS}
    kinds = [blip_vqa.kind_of(scene, rng, wrong) for scene in some]
    assert 0.4 < np.mean([kind == "relation" for kind in kinds]) < 0.65 and set(kinds) == set(questions.KINDS)
    assert "relation" not in {blip_vqa.kind_of(scene, rng, wrong) for scene in scenes(100, two=0.0)[0]}


# --- near misses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("two", [0.0, 1.0])
def test_three_of_four_captions_are_wrong_and_what_is_matched_wrongly_does_not_fit(two):
    some, rng = scenes(80, two=two)
    for scene in some:
        told = [world.parse(world.caption(one)) for one in near.misses(scene, rng)]
        assert [world.agree(one, scene) for one in told] == [True, False, False, False]
    shown = [one for scene in some[:8] for one in near.misses(scene, rng)]
    captions = [world.caption(one) for one in shown]
    fit = blip_match.fits(shown, captions)
    assert fit.diagonal().all()
    wrong = [blip_match.wrong_for(fit, rng) for _ in range(20)]
    assert not any(fit[row, column] for chosen in wrong for row, column in enumerate(chosen))
    assert 0.6 < np.mean([row // 4 == column // 4 for chosen in wrong for row, column in enumerate(chosen)]) < 0.9


def test_words_that_are_not_true_are_marked():
    words = blip.tokenizer()
    thing = world.Thing("star", "red", "small", 8, 16), world.Thing("ring", "pink", "small", 24, 16)
    alone, pair = world.Scene("grey", (replace(thing[0], size="large"),)), world.Scene("grey", thing, "left of")
    told = {
        "a photo of a big red star on a grey background": (alone, set()), "little xq blue star": (alone, {"little", "blue"}),
        "a pink star left of a red ring on a black background": (pair, {"pink", "red", "black"}), "red star below pink circle": (pair, {"below", "circle"}),
        "a red star right of a pink ring": (pair, {"right"}),
    }  # fmt: skip
    ids, _ = blip.coded(words, list(told))
    marks = blip_match.untrue(words, ids, [scene for scene, _ in told.values()])
    for row, (_, false) in enumerate(told.values()):
        assert {word for word, mark in zip(words.convert_ids_to_tokens(ids[row].tolist()), marks[row], strict=True) if mark} == false


# --- folders -------------------------------------------------------------------------------------------------------


def test_the_others_begin_with_the_captioners_vision_and_text(folder):
    source = BlipForConditionalGeneration.from_pretrained(folder / "blip", dtype=torch.float32)
    model = blip.begun(blip_vqa.build(), folder)
    for name, part in {"vision_model": source.vision_model, "text_encoder": source.text_decoder.bert, "text_decoder.bert": source.text_decoder.bert}.items():
        mine = model.get_submodule(name).state_dict()
        assert all(torch.equal(mine[key], value) for key, value in part.state_dict().items()), name
    eyes = blip2.with_eyes(blip2.build(), folder).vision_model
    pictures = blip.pixels_of(scenes(2)[0])
    assert torch.allclose(eyes(pictures).last_hidden_state, source.vision_model(pictures).last_hidden_state, atol=1e-5)


def saved(kind, folder):
    """An untrained model of a kind, exported as after training."""
    module, modules = {
        "blip": (blip, lambda model: {"blip": model}), "blip-vqa": (blip_vqa, lambda model: {"blip": model}),
        "blip-match": (blip_match, lambda model: {"blip": blip_match.Matcher(model)}), "blip2": (blip2, blip2._between),
        "blip2-match": (blip2_match, lambda model: {"blip": blip2_match.Matcher(model)}),
    }[kind]  # fmt: skip
    torch.manual_seed(2)
    model = module.build()
    parts = {kind: modules(model)}
    if kind == "blip2":
        parts = {"blip2-language": {"language": model.language_model}, "blip2-whole": modules(model)}
    for name, part in parts.items():
        average = training.Average(part, 0.9)
        training.save_checkpoint(folder / f"{name}.pt", average, torch.optim.AdamW(next(iter(part.values())).parameters()))
    module.export(folder)
    return folder / kind, model


@pytest.mark.parametrize("kind", ["blip", "blip-vqa", "blip-match", "blip2", "blip2-match"])
def test_a_folder_is_small_in_float16_and_runs_in_its_saved_graph(kind, tmp_path, folder):
    if kind == "blip2":
        blip.write_folder(tmp_path / "blip", blip.build(), "untrained", "blip")
    made, _ = saved(kind, tmp_path)
    safetensors = pytest.importorskip("safetensors")
    with safetensors.safe_open(made / "model.safetensors", framework="np") as file:
        assert {file.get_slice(key).get_dtype() for key in file.keys()} == {"F16"}  # noqa: SIM118
    assert sum(path.stat().st_size for path in made.iterdir()) < 4_500_000
    assert not any("_name_or_path" in path.read_text() for path in made.glob("*.json"))
    image = blip.image_of(scenes(2)[0], 2)
    if kind.endswith("-match"):
        assert sum(path.stat().st_size for path in made.iterdir()) < 3_000_000
        result = blip.graph("image-text-matching", made)(image=image, texts=["a red circle", "a blue square", "zebra"])
        assert result.matching.values.shape == (3, 2)
        return
    for graph, inputs in {"caption": {}, "ask": {"question": "how many things are there?"}}.items():
        if (kind, graph) not in (("blip", "ask"), ("blip-vqa", "caption")):
            assert len(next(iter(blip.graph(graph, made)(image=image, **inputs).values()))) == 2


@pytest.mark.parametrize("kind", ["blip", "blip-vqa", "blip2"])
def test_a_folder_opens_with_the_librarys_own_processor(kind, tmp_path):
    if kind == "blip2":
        blip.write_folder(tmp_path / "blip", blip.build(), "untrained", "blip")
    made, model = saved(kind, tmp_path)
    processor = AutoProcessor.from_pretrained(made)
    cls = {"blip": BlipForConditionalGeneration, "blip-vqa": BlipForQuestionAnswering, "blip2": Blip2ForConditionalGeneration}[kind]
    opened = cls.from_pretrained(made, dtype=torch.float32).eval()
    inputs = processor(images=world.draw(scenes(1)[0][0]), text="what colour is it?", return_tensors="pt")
    assert inputs.pixel_values.shape == (1, 3, 32, 32) and inputs.pixel_values.abs().max() <= 1
    assert opened.generate(**inputs, max_new_tokens=3).shape[0] == 1


def test_answers_begin_with_the_matchers_eyes_and_reading(tmp_path):
    blip.write_folder(tmp_path / "blip", blip.build(), "untrained", "blip")
    made, _ = saved("blip-match", tmp_path)
    matcher, model = BlipForImageTextRetrieval.from_pretrained(made, dtype=torch.float32), blip_vqa.begun(tmp_path)
    for name in ("vision_model", "text_encoder"):
        mine = model.get_submodule(name).state_dict()
        assert all(torch.equal(mine[key], value) for key, value in matcher.get_submodule(name).state_dict().items()), name


# --- BLIP-2's matcher ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def beside(tmp_path_factory):
    """A folder of trainings with BLIP's matcher, and BLIP-2's exported from what is begun with it; its queries are woken."""
    made = tmp_path_factory.mktemp("matchers")
    saved("blip-match", made)
    torch.manual_seed(3)
    parts = {"blip": blip2_match.Matcher(blip2_match.begun(made))}
    training.save_checkpoint(made / "blip2-match.pt", training.Average(parts, 0.9), torch.optim.AdamW(parts["blip"].parameters()))
    blip2_match.export(made)
    return made


def test_blip2s_matcher_begins_with_the_others_eyes_and_reads_texts_as_it_does(words, beside):
    source = BlipForImageTextRetrieval.from_pretrained(beside / "blip-match", dtype=torch.float32).eval()
    model = blip2_match.begun(beside).eval()
    pictures, texts = blip.pixels_of(scenes(3)[0]), blip.coded(words, ["a red circle", "a pink star left of a blue ring", "cyan"])
    assert torch.allclose(model.vision_model(pictures).last_hidden_state, source.vision_model(pictures).last_hidden_state, atol=1e-5)
    mine = model.qformer(query_embeds=model.embeddings(input_ids=texts[0]), query_length=0, attention_mask=texts[1]).last_hidden_state[:, 0]
    theirs = source.text_encoder(input_ids=texts[0], attention_mask=texts[1]).last_hidden_state[:, 0]
    assert torch.allclose(model.text_projection(mine), source.text_proj(theirs), atol=1e-5)
    assert model.query_tokens[0].std(dim=0).mean() > 0.2


def test_what_blip2s_matcher_is_taught_is_what_the_library_and_the_graph_compute(words, beside):
    """By the library's own processor, from the exported folder; the graph takes the same numbers from it."""
    some, texts = scenes(3)[0], ["a red circle", "a pink star left of a blue ring on a grey background", "zebra"]
    processor = AutoProcessor.from_pretrained(beside / "blip2-match")
    model = Blip2ForImageTextRetrieval.from_pretrained(beside / "blip2-match", dtype=torch.float32).eval()
    inputs = processor(images=[world.draw(scene) for scene in some], text=texts, padding=True, return_tensors="pt")
    matcher, (ids, mask) = blip2_match.Matcher(model), blip.coded(words, texts)
    with torch.no_grad():
        features = model.vision_model(blip.pixels_of(some)).last_hidden_state
        said, cosines = matcher.read(features, ids, mask)[1], matcher.cosines(features, ids, mask)
        assert torch.allclose(model(**inputs, use_image_text_matching_head=True).logits_per_image, said, atol=1e-5)
        assert torch.allclose(model(**inputs).logits_per_image, cosines, atol=1e-5)
    result = blip.graph("image-text-matching", beside / "blip2-match")(image=blip.image_of(some), texts=texts)
    assert np.allclose(result.matching.values.diagonal(), said.softmax(dim=1)[:, 1].numpy(), atol=1e-4)
    assert np.allclose(result.similarity.values, cosines.T.numpy(), atol=1e-4)
    assert np.ptp(result.matching.values) > 1e-3 and np.ptp(result.similarity.values) > 1e-3


@pytest.mark.parametrize(("module", "fixed"), [(blip_match, False), (blip_match, True), (blip2_match, True)])
def test_lessons_of_matching_reach_all_that_learns(module, fixed, words, beside):
    torch.manual_seed(4)
    matcher, rng = module.Matcher(module.build()), np.random.default_rng(5)
    groups = [near.misses(scene, rng) for scene in scenes(2, two=1.0)[0]]
    some = [scene for group in groups for scene in group]
    captions = [world.caption(scene) for scene in some]
    fit = blip_match.fits(some, captions)
    losses = matcher.losses(words, some, blip.pixels_of(some), captions, fit, blip_match.wrong_for(fit, rng), fixed)
    assert all(0 < loss.item() < 50 for loss in losses)
    sum(losses).backward()
    silent = {name for name, part in matcher.named_parameters() if part.grad is None}
    assert {name.split(".")[1] for name in silent} == ({"vision_model"} if fixed else set()) and any(part.grad is not None for part in matcher.parameters())


def test_blip2s_matcher_trains_goes_on_and_is_measured(beside, tmp_path, monkeypatch):
    (tmp_path / "blip-match").symlink_to(beside / "blip-match")
    monkeypatch.setattr(blip2_match, "measure", lambda folder, n: blip_match.measure(folder, 2))
    eyes = blip2_match.begun(beside).vision_model.state_dict()
    for minutes in (0.002, 0.03):  # a few steps each, however slow the machine
        with pytest.raises(training.GateFailed, match="verdicts about single things"):
            blip2_match.train(tmp_path, minutes, resume=True)
    assert torch.load(tmp_path / "blip2-match.pt", weights_only=True)["state"]["step"] >= 2
    model = Blip2ForImageTextRetrieval.from_pretrained(tmp_path / "blip2-match", dtype=torch.float32)
    assert all(torch.allclose(eyes[name], value, atol=1e-2) for name, value in model.vision_model.state_dict().items())
    assert not torch.allclose(model.query_tokens, blip2_match.begun(beside).query_tokens, atol=1e-3)
    wanted = {line.reached for line in table.LINES if line.recipe == "blip2_match"} | {line.unseen for line in table.LINES if line.recipe == "blip2_match"}
    assert wanted <= set(blip2_match.measure(tmp_path / "blip2-match", 2)) | {""} and len(wanted) == 4

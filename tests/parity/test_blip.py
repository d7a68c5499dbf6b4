"""BLIP through the saved graphs equals transformers' `generate` and forward on the same folders: ids, texts and logits."""

import numpy as np
import PIL.Image
import pytest
import tiny_blip
import torch
from tiny_blip import pictures
from watched import watch

import flowmm
from flowmm.models.source import SourceError
from flowmm.nodes import autoregressive, match, vision, vlm

pytestmark = pytest.mark.filterwarnings("ignore:Using the model-agnostic default")
SAMPLING = {"temperature": 0.8, "top_k": 9, "top_p": 0.9}
QUESTIONS = ["what is it?", "is it red?", "what colour is a picture of a blue square?"]
TEXTS = ["a red circle", "a picture of a blue square", "no"]


@pytest.fixture
def runtime():
    made = flowmm.Runtime("cpu", cache=None, threads=1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def captioner(tmp_path_factory):
    return tiny_blip.save_blip(tmp_path_factory.mktemp("caption"), seed=2, ends=3)


@pytest.fixture(scope="module")
def answerer(tmp_path_factory):
    return tiny_blip.save_blip(tmp_path_factory.mktemp("vqa"), "ForQuestionAnswering", seed=2, ends=5)


@pytest.fixture(scope="module")
def matcher(tmp_path_factory):
    return tiny_blip.save_blip(tmp_path_factory.mktemp("itm"), "ForImageTextRetrieval")


@pytest.fixture
def told(monkeypatch):
    """What the sampler saw and wrote in the last run."""
    return watch(monkeypatch)


def library(folder, kind, dtype=torch.float32):
    """torch multiplies a strided batch with weights that want gradients in another order: here, as in flowmm, none does."""
    import transformers

    model = getattr(transformers, f"Blip{kind}").from_pretrained(folder, dtype=dtype).eval()
    return model, transformers.BlipProcessor.from_pretrained(folder)


def generated(model, **inputs):
    """ids after the first, and the logits of each step."""
    made = model.generate(**inputs, return_dict_in_generate=True, output_logits=True)
    return made.sequences, torch.stack(made.logits, dim=1)


def caption(folder, runtime, image, **inputs):
    return flowmm.load("caption").run({"image": image, "model": str(folder), **inputs}, runtime=runtime).caption.lines


def ask(folder, runtime, image, question, **inputs):
    return flowmm.load("ask").run({"image": image, "question": question, "model": str(folder), **inputs}, runtime=runtime).answer.lines


# ── captions ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("beginning", ["", "a picture of"])
@pytest.mark.parametrize("count", [1, 3])
def test_captions_are_those_of_generate(captioner, runtime, told, beginning, count):
    model, processor = library(captioner, "ForConditionalGeneration")
    image = pictures(count)
    inputs = processor(images=image, text=[beginning] * count if beginning else None, return_tensors="pt")
    ids, logits = generated(model, **inputs, do_sample=False)
    texts = processor.batch_decode(ids, skip_special_tokens=True)
    assert list(caption(captioner, runtime, image, beginning=beginning)) == texts
    told.equals(ids[:, -logits.shape[1] :], logits, tiny_blip.SEP)
    assert all(text.startswith(beginning) for text in texts) and len(set(texts)) == count


def test_rows_end_each_at_their_own_time(captioner, runtime, told):
    model, processor = library(captioner, "ForConditionalGeneration")
    image = pictures(8, seed=10)
    ids, logits = generated(model, **processor(images=image, return_tensors="pt"), do_sample=False)
    texts = caption(captioner, runtime, image)
    told.equals(ids[:, 1:], logits, tiny_blip.SEP)
    lengths = told.mask.sum(-1).tolist()
    assert len(set(lengths)) > 2 and list(texts) == processor.batch_decode(ids, skip_special_tokens=True)


@pytest.mark.parametrize("beginning", ["", "a picture of"])
def test_logits_are_those_of_forward_over_the_whole_text(captioner, runtime, told, beginning):
    model, processor = library(captioner, "ForConditionalGeneration")
    image = pictures(2)
    caption(captioner, runtime, image, beginning=beginning)
    begun = [model.config.text_config.bos_token_id, *processor.tokenizer(beginning, add_special_tokens=False).input_ids]
    whole = torch.cat([torch.tensor([begun] * 2), told.ids[:, :-1]], dim=1)
    with torch.no_grad():
        logits = model(**processor(images=image, return_tensors="pt"), input_ids=whole).logits[:, len(begun) - 1 :]
    assert (logits - told.logits).abs().max() < 2e-5  # one matrix product over all positions, not one a position; logits up to 15
    assert logits.abs().max() > 5


def test_drawn_captions_are_those_of_generate_with_the_same_seed(captioner, runtime, told):
    model, processor = library(captioner, "ForConditionalGeneration")
    image = pictures(3)
    inputs = [processor(images=one, text="a picture of", return_tensors="pt") for one in image]
    singles = []
    for i, one in enumerate(inputs):
        torch.manual_seed(5 + i)
        ids, logits = generated(model, **one, do_sample=True, **SAMPLING)
        texts = caption(captioner, runtime, image[i], beginning="a picture of", seed=5 + i, **SAMPLING)
        told.equals(ids[:, 4:], None, tiny_blip.SEP)
        singles += texts
        assert singles[i] == processor.decode(ids[0], skip_special_tokens=True)
    together = caption(captioner, runtime, image, beginning="a picture of", seed=5, **SAMPLING)
    assert list(together) == singles and len(set(singles)) == 3
    assert together != caption(captioner, runtime, image, beginning="a picture of", seed=9, **SAMPLING)


def test_three_captions_with_beginnings_of_three_lengths_are_three_single_ones(captioner, runtime, told):
    image, beginnings = pictures(3), ["a picture of", "", "a red"]
    singles = []
    for one, beginning in zip(image, beginnings):
        text = caption(captioner, runtime, one, beginning=beginning)
        singles.append((text[0], told.ids[told.mask.bool()], told.logits[0]))
    assert caption(captioner, runtime, image, beginning=beginnings) == tuple(text for text, _, _ in singles)
    for i, (_, ids, logits) in enumerate(singles):
        assert torch.equal(told.ids[i][told.mask[i].bool()], ids)
        assert (told.logits[i, : len(ids)] - logits).abs().max() < 2e-5  # sums over a padded row, in another order


def test_another_picture_or_beginning_changes_the_logits(captioner, runtime, told):
    caption(captioner, runtime, pictures(1))
    first = told.logits[:, 0]
    caption(captioner, runtime, pictures(1, seed=7))
    other_picture = told.logits[:, 0]
    caption(captioner, runtime, pictures(1), beginning="a picture of")
    assert (first - other_picture).abs().max() > 0.5 and (first - told.logits[:, 0]).abs().max() > 0.5


def test_lengths_left_out_are_what_generate_takes_and_most_and_least_bind(captioner, runtime, told):
    model, processor = library(captioner, "ForConditionalGeneration")
    inputs = processor(images=pictures(1), text=["a picture of"], return_tensors="pt")
    caption(captioner, runtime, pictures(1), beginning="a picture of", most=3)
    assert told.ids.shape == (1, 3)
    ids, _ = generated(model, **inputs, do_sample=False, max_new_tokens=3)
    assert torch.equal(told.ids, ids[:, 4:])
    seen = vision.encode(vlm.load(str(captioner)).encoder, vision.preprocess(vlm.load(str(captioner)).processor, flowmm.sockets.Image.accept(pictures(1)[0])))
    parts = vlm.load(str(captioner))
    prompt = vlm.caption_prompt(parts.tokenizer, seen)
    for least in (2, 12):
        ids, _ = generated(model, **processor(images=pictures(1), return_tensors="pt"), do_sample=False, min_new_tokens=least, max_new_tokens=14)
        ours = autoregressive.sample_text(parts.model, prompt, parts.tokenizer, least=least, most=14)
        assert torch.equal(ours.tokens.ids, ids[:, 1:])


# ── questions ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("question", QUESTIONS)
def test_answers_are_those_of_generate(answerer, runtime, told, question):
    model, processor = library(answerer, "ForQuestionAnswering")
    image = pictures(3)
    ids, logits = generated(model, **processor(images=image, text=[question] * 3, return_tensors="pt"), do_sample=False)
    assert list(ask(answerer, runtime, image, question)) == processor.batch_decode(ids, skip_special_tokens=True)
    told.equals(ids[:, 1:], logits, tiny_blip.SEP)


def test_answers_to_questions_of_other_lengths_are_those_of_each_alone(answerer, runtime, told):
    model, processor = library(answerer, "ForQuestionAnswering")
    image = pictures(3)
    singles = [generated(model, **processor(images=one, text=text, return_tensors="pt"), do_sample=False) for one, text in zip(image, QUESTIONS)]
    texts = ask(answerer, runtime, image, QUESTIONS)
    for i, (ids, logits) in enumerate(singles):
        assert texts[i] == processor.decode(ids[0], skip_special_tokens=True)
        assert torch.equal(told.ids[i][told.mask[i].bool()], ids[0, 1:])
        assert (told.logits[i, : logits.shape[1]] - logits[0]).abs().max() < 2e-5  # sums over a padded question, in another order


def test_transformers_still_loses_the_mask_of_cross_attention(answerer):
    """Once this fails, `heeding` in nodes/_families/blip.py can go."""
    model, _ = library(answerer, "ForQuestionAnswering")
    states = torch.randn(1, 4, tiny_blip.WIDTH, generator=torch.Generator().manual_seed(0))
    logits = [model.text_decoder(torch.tensor([[5]]), encoder_hidden_states=states, encoder_attention_mask=torch.tensor([mask])).logits
              for mask in ([1, 1, 1, 1], [0, 0, 1, 1])]  # fmt: skip
    assert torch.equal(*logits)


def test_the_first_logits_are_those_of_forward(answerer, runtime, told):
    model, processor = library(answerer, "ForQuestionAnswering")
    inputs = processor(images=pictures(2), text=QUESTIONS[:1] * 2, return_tensors="pt")
    states = model.vision_model(inputs.pixel_values).last_hidden_state
    read = model.text_encoder(inputs.input_ids, inputs.attention_mask, encoder_hidden_states=states).last_hidden_state
    first = torch.full((2, 1), model.decoder_start_token_id)
    logits = model.text_decoder(first, encoder_hidden_states=read, encoder_attention_mask=inputs.attention_mask).logits
    ask(answerer, runtime, pictures(2), QUESTIONS[0])
    assert torch.equal(told.logits[:, 0], logits[:, 0].detach())


def test_one_picture_with_many_questions_and_one_question_for_many_pictures(answerer, runtime):
    one, many = pictures(1), pictures(3)
    assert ask(answerer, runtime, one, QUESTIONS) == ask(answerer, runtime, one * 3, QUESTIONS)
    assert ask(answerer, runtime, many, QUESTIONS[0]) == ask(answerer, runtime, many, QUESTIONS[:1] * 3)


def test_another_picture_or_question_changes_the_logits(answerer, runtime, told):
    ask(answerer, runtime, pictures(1), QUESTIONS[0])
    first = told.logits[:, 0]
    ask(answerer, runtime, pictures(1, seed=7), QUESTIONS[0])
    other_picture = told.logits[:, 0]
    ask(answerer, runtime, pictures(1), QUESTIONS[1])
    assert (first - other_picture).abs().max() > 0.1 and (first - told.logits[:, 0]).abs().max() > 0.1


def test_drawn_answers_are_those_of_generate_with_the_same_seed(answerer, runtime, told):
    model, processor = library(answerer, "ForQuestionAnswering")
    torch.manual_seed(3)
    ids, _ = generated(model, **processor(images=pictures(1), text=QUESTIONS[0], return_tensors="pt"), do_sample=True, **SAMPLING)
    ask(answerer, runtime, pictures(1), QUESTIONS[0], seed=3, **SAMPLING)
    told.equals(ids[:, 1:], None, tiny_blip.SEP)


# ── matching ────────────────────────────────────────────────────────────────────────────────────


def scores(folder, runtime, image, texts):
    found = flowmm.load("image-text-matching").run({"image": image, "texts": texts, "model": str(folder)}, runtime=runtime)
    assert found.matching.rows == found.similarity.rows == tuple(texts)
    return found.matching.values, found.similarity.values


def test_matching_and_contrast_are_those_of_forward(matcher, runtime):
    model, processor = library(matcher, "ForImageTextRetrieval")
    image = pictures(2)
    itm, itc = scores(matcher, runtime, image, TEXTS)
    words = processor(text=TEXTS, padding=True, return_tensors="pt")
    pixels = processor(images=image, return_tensors="pt").pixel_values
    with torch.no_grad():
        cosines = model(**words, pixel_values=pixels, use_itm_head=False).itm_score
        for i in range(2):  # every text with one picture
            logits = model(**words, pixel_values=pixels[i : i + 1].expand(3, -1, -1, -1)).itm_score
            assert np.array_equal(itm[:, i], logits.softmax(dim=1)[:, 1].numpy())
            for j, text in enumerate(TEXTS):  # and each pair alone
                pair = processor(images=image[i], text=text, return_tensors="pt")
                assert abs(float(model(**pair).itm_score.softmax(dim=1)[0, 1]) - itm[j, i]) < 1e-6  # sums over a padded text
                assert abs(float(model(**pair, use_itm_head=False).itm_score) - itc[j, i]) < 1e-6
    assert np.array_equal(itc, cosines.numpy().T)
    assert itm.shape == itc.shape == (3, 2) and np.ptp(itm) > 0.05 and np.ptp(itc) > 0.05


def test_texts_are_read_in_portions_without_changing_the_scores(matcher, runtime, monkeypatch):
    together = scores(matcher, runtime, pictures(2), TEXTS)
    monkeypatch.setattr(match, "TOGETHER", 2)
    assert np.abs(scores(matcher, runtime, pictures(2), TEXTS)[0] - together[0]).max() < 1e-6


def test_another_picture_or_text_changes_the_scores(matcher, runtime):
    before = scores(matcher, runtime, pictures(1), TEXTS)
    for after in (scores(matcher, runtime, pictures(1, seed=7), TEXTS), scores(matcher, runtime, pictures(1), ["a blue circle", *TEXTS[1:]])):
        assert all(np.abs(one - other)[0].max() > 1e-3 for one, other in zip(before, after))


# ── half precision, layouts, other kinds ────────────────────────────────────────────────────────


@pytest.fixture
def half():
    made = flowmm.Runtime("cpu", cache=None, threads=1, dtype="bfloat16")
    yield made
    made.close()


def test_bfloat16_is_the_librarys_bfloat16(captioner, answerer, matcher, half, told):
    image = pictures(2)
    model, processor = library(captioner, "ForConditionalGeneration", torch.bfloat16)
    ids, logits = generated(model, **processor(images=image, return_tensors="pt"), do_sample=False)
    caption(captioner, half, image)
    told.equals(ids[:, 1:], logits.float(), tiny_blip.SEP)
    model, processor = library(answerer, "ForQuestionAnswering", torch.bfloat16)
    ids, logits = generated(model, **processor(images=image, text=QUESTIONS[:1] * 2, return_tensors="pt"), do_sample=False)
    ask(answerer, half, image, QUESTIONS[0])
    told.equals(ids[:, 1:], logits.float(), tiny_blip.SEP)
    model, processor = library(matcher, "ForImageTextRetrieval", torch.bfloat16)
    words, pixels = processor(text=TEXTS, padding=True, return_tensors="pt"), processor(images=image, return_tensors="pt").pixel_values
    itm, itc = scores(matcher, half, image, TEXTS)
    with torch.no_grad():
        assert np.array_equal(itc, model(**words, pixel_values=pixels, use_itm_head=False).itm_score.float().numpy().T)
        logits = model(**words, pixel_values=pixels[:1].expand(3, -1, -1, -1)).itm_score
    assert itm.dtype == np.float32
    assert np.abs(itm[:, 0] - logits.float().softmax(dim=1)[:, 1].numpy()).max() < 0.01  # 8 bits, and pictures in batches of 3, not 2


def test_pixels_are_those_of_the_processor_in_the_new_layout_and_the_published_one(tmp_path, runtime):
    from transformers import BlipProcessor

    folder = tiny_blip.save_blip(tmp_path)
    image = [PIL.Image.fromarray(one) for one in (*pictures(2), *pictures(1, 300, 20), *pictures(1, 1, 1))]
    expected = BlipProcessor.from_pretrained(folder)(images=image, return_tensors="pt").pixel_values
    for _ in range(2):
        parts = vlm.load(str(folder))
        ours = vision.preprocess(parts.processor, [flowmm.sockets.Image.accept(one) for one in image])
        assert torch.equal(ours.values, expected)
        texts = caption(folder, runtime, image[:1])
        tiny_blip.as_published(folder) if (folder / "processor_config.json").is_file() else None
    assert (folder / "preprocessor_config.json").is_file() and texts == caption(folder, runtime, image[:1])


def test_a_blip_of_another_kind_says_what_it_is(captioner, answerer, matcher, runtime):
    for graph, folder, words in (
        ("caption", answerer, "is a BlipForQuestionAnswering, which answers questions, but writes no captions: ask it something"),
        ("ask", captioner, "is a BlipForConditionalGeneration, which writes captions, but answers no questions: take a BlipForQuestionAnswering"),
        ("caption", matcher, "is a BlipForImageTextRetrieval, which scores how well texts fit pictures; it writes no text about pictures"),
        ("image-text-matching", captioner, "is a BlipForConditionalGeneration, which writes captions; it has no heads that score texts"),
    ):
        with pytest.raises(Exception, match=words):
            flowmm.load(graph).run({"model": str(folder)}, runtime=runtime)
    with pytest.raises(SourceError, match="draws no pictures: take a model that does"):
        autoregressive.load(str(captioner))

"""BLIP-2 with OPT and with T5 through the saved graphs equals Blip2Processor and `generate`; matching equals forward."""

import numpy as np
import PIL.Image
import pytest
import tiny_blip
import torch
from tiny_blip import pictures
from watched import watch

import flowmm
from flowmm.nodes import vision, vlm
from flowmm.sockets import Image

pytestmark = pytest.mark.filterwarnings("ignore:Using the model-agnostic default")
ASKED = "Question: {} Answer:"
QUESTIONS = ["what is it?", "is it red?", "what colour is a picture of a blue square?"]
SAMPLING = {"temperature": 0.8, "top_k": 9, "top_p": 0.9}
TEXTS = ["a red circle", "a picture of a blue square", "no"]
SETTINGS = {"opt": {"ends": 6}, "t5": {}}


@pytest.fixture
def runtime():
    made = flowmm.Runtime("cpu", cache=None, threads=1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {name: tiny_blip.save_blip2(tmp_path_factory.mktemp(name), name, **more) for name, more in SETTINGS.items()}


@pytest.fixture(params=SETTINGS)
def folder(request, folders):
    return folders[request.param]


@pytest.fixture(scope="module")
def matcher(tmp_path_factory):
    return tiny_blip.save_blip2(tmp_path_factory.mktemp("match"), kind="ForImageTextRetrieval")


@pytest.fixture
def told(monkeypatch):
    return watch(monkeypatch)


class Library:
    """transformers' own model and processor; as in flowmm no weight wants gradients (see test_blip.library)."""

    def __init__(self, folder, dtype=torch.float32, kind="ForConditionalGeneration"):
        import transformers

        self.model = getattr(transformers, f"Blip2{kind}").from_pretrained(folder, dtype=dtype).eval()
        self.processor = transformers.Blip2Processor.from_pretrained(folder)
        self.processor.tokenizer.padding_side = "left" if self.decoder_only and "Generation" in kind else "right"  # as published

    @property
    def decoder_only(self):
        return self.model.config.use_decoder_only_language_model

    @property
    def stop(self):
        return self.model.config.text_config.eos_token_id

    def generate(self, images, texts, **options):
        """ids written, logits of each step, and what people read: OPT's ids have the prompt before them."""
        inputs = self.processor(images=images, text=texts, padding=True, return_tensors="pt")
        made = self.model.generate(**inputs, return_dict_in_generate=True, output_logits=True, **options)
        logits = torch.stack(made.logits, dim=1)
        return made.sequences[:, -logits.shape[1] :], logits, [text.strip() for text in self.processor.batch_decode(made.sequences, skip_special_tokens=True)]


def caption(folder, runtime, image, **inputs):
    return flowmm.load("caption").run({"image": image, "model": str(folder), **inputs}, runtime=runtime).caption.lines


def ask(folder, runtime, image, question, **inputs):
    return flowmm.load("ask").run({"image": image, "question": question, "model": str(folder), **inputs}, runtime=runtime).answer.lines


@pytest.mark.parametrize("beginning", ["", "a picture of"])
@pytest.mark.parametrize("count", [1, 8])
def test_captions_are_those_of_generate(folder, runtime, told, beginning, count):
    library, image = Library(folder), pictures(count, seed=10)
    ids, logits, texts = library.generate(image, [beginning] * count, do_sample=False)
    assert list(caption(folder, runtime, image, beginning=beginning)) == texts
    told.equals(ids, logits, library.stop)
    if count > 1 and not beginning:
        assert len(set(texts)) > 4 and len(set(told.mask.sum(-1).tolist())) > 2  # each row ends at its own time


def test_a_caption_without_a_beginning_is_that_of_generate_without_a_text(folder, runtime, told):
    library, image = Library(folder), pictures(2)
    made = library.model.generate(library.processor(images=image, return_tensors="pt").pixel_values, do_sample=False)
    texts = [text.strip() for text in library.processor.batch_decode(made, skip_special_tokens=True)]
    assert list(caption(folder, runtime, image)) == texts


@pytest.mark.parametrize("question", QUESTIONS)
def test_answers_are_those_of_generate(folder, runtime, told, question):
    library, image = Library(folder), pictures(3)
    ids, logits, texts = library.generate(image, [ASKED.format(question)] * 3, do_sample=False)
    answers = ask(folder, runtime, image, question)
    told.equals(ids, logits, library.stop)
    said = [text.removeprefix(ASKED.format(question)) for text in texts] if library.decoder_only else texts
    assert [answer.strip() for answer in answers] == [text.strip() for text in said]


def test_several_questions_of_other_lengths_are_those_of_the_library_and_of_each_alone(folder, runtime, told):
    library, image = Library(folder), pictures(3)
    ids, logits, _ = library.generate(image, [ASKED.format(question) for question in QUESTIONS], do_sample=False)
    together = ask(folder, runtime, image, QUESTIONS)
    all_ids, all_mask, all_logits = told.ids, told.mask, told.logits
    for i, question in enumerate(QUESTIONS):
        kept = all_mask[i].bool()
        # The processor fills up between picture and text, flowmm before both: the same sums in another order; logits up to 15.
        assert torch.equal(all_ids[i][kept], ids[i, : len(kept)][kept])
        assert (all_logits[i][kept] - logits[i, : len(kept)][kept]).abs().max() < 5e-5
        assert ask(folder, runtime, image[i], question) == together[i : i + 1]
        assert (told.logits[0] - all_logits[i][: told.ids.shape[1]]).abs().max() < 5e-5


def test_the_logits_are_those_of_forward(folder, runtime, told):
    library, image = Library(folder), pictures(2)
    ask(folder, runtime, image, QUESTIONS[0])
    inputs = library.processor(images=image, text=[ASKED.format(QUESTIONS[0])] * 2, return_tensors="pt")
    if library.decoder_only:
        whole = torch.cat([inputs.input_ids, told.ids[:, :-1]], dim=1)
        logits = library.model(pixel_values=inputs.pixel_values, input_ids=whole).logits[:, inputs.input_ids.shape[1] - 1 :]
    else:
        start = torch.zeros(2, 1, dtype=torch.int64)
        logits = library.model(**inputs, decoder_input_ids=torch.cat([start, told.ids[:, :-1]], dim=1)).logits
    kept = told.mask.bool()
    assert (logits[kept] - told.logits[kept]).abs().max() < 5e-5  # one matrix product over all positions, not one a position
    assert logits.abs().max() > 3


def test_drawn_texts_are_those_of_generate_with_the_same_seed(folder, runtime, told):
    library, image = Library(folder), pictures(3)
    singles = []
    for i in range(3):
        torch.manual_seed(5 + i)
        ids, _, _ = library.generate(image[i], [ASKED.format(QUESTIONS[0])], do_sample=True, **SAMPLING)
        singles += ask(folder, runtime, image[i], QUESTIONS[0], seed=5 + i, **SAMPLING)
        told.equals(ids, None, library.stop)
    assert list(ask(folder, runtime, image, QUESTIONS[0], seed=5, **SAMPLING)) == singles


def test_a_conversation_is_written_as_the_paper_has_it(folder, runtime, told):
    library, image = Library(folder), pictures(1)
    prompt = "Question: what is it? Answer: a circle. Question: is it red? Answer:"
    ids, logits, _ = library.generate(image, [prompt], do_sample=False)
    ask(folder, runtime, image, "is it red?", history=["what is it?", "a circle"])
    told.equals(ids, logits, library.stop)


def test_another_picture_or_question_changes_the_logits(folder, runtime, told):
    ask(folder, runtime, pictures(1), QUESTIONS[0])
    first = told.logits[:, 0]
    ask(folder, runtime, pictures(1, seed=7), QUESTIONS[0])
    other_picture = told.logits[:, 0]
    ask(folder, runtime, pictures(1), QUESTIONS[1])
    assert (first - other_picture).abs().max() > 0.1 and (first - told.logits[:, 0]).abs().max() > 0.1


def test_bfloat16_is_the_librarys_bfloat16(folder, told):
    library, image = Library(folder, torch.bfloat16), pictures(2)
    half = flowmm.Runtime("cpu", cache=None, threads=1, dtype="bfloat16")
    ids, logits, _ = library.generate(image, [ASKED.format(QUESTIONS[0])] * 2, do_sample=False)
    ask(folder, half, image, QUESTIONS[0])
    told.equals(ids, logits.float(), library.stop)
    half.close()


def test_pixels_are_those_of_the_processor_in_the_new_layout_and_the_published_one(tmp_path, runtime):
    from transformers import Blip2Processor

    folder = tiny_blip.save_blip2(tmp_path)
    image = [PIL.Image.fromarray(one) for one in (*pictures(2), *pictures(1, 300, 20), *pictures(1, 1, 1))]
    expected = Blip2Processor.from_pretrained(folder)(images=image, return_tensors="pt").pixel_values
    texts = caption(folder, runtime, image[:2])
    for layout in (lambda folder: folder, tiny_blip.as_published):
        parts = vlm.load(str(layout(folder)))
        assert torch.equal(vision.preprocess(parts.processor, [Image.accept(one) for one in image]).values, expected)
        assert caption(folder, runtime, image[:2]) == texts
    assert (folder / "preprocessor_config.json").is_file()


# ── matching ────────────────────────────────────────────────────────────────────────────────────


def scores(folder, runtime, image, texts):
    found = flowmm.load("image-text-matching").run({"image": image, "texts": texts, "model": str(folder)}, runtime=runtime)
    return found.matching.values, found.similarity.values


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_matching_and_contrast_are_those_of_forward(matcher, dtype):
    library, image = Library(matcher, getattr(torch, dtype), "ForImageTextRetrieval"), pictures(2)
    runtime = flowmm.Runtime("cpu", cache=None, threads=1, dtype=dtype)
    itm, itc = scores(matcher, runtime, image, TEXTS)
    runtime.close()
    model, words = library.model, library.processor.tokenizer(TEXTS, padding=True, return_tensors="pt")
    words.pop("token_type_ids", None)
    pixels = library.processor(images=image, return_tensors="pt").pixel_values
    cosines = model(**words, pixel_values=pixels).logits_per_image
    assert np.array_equal(itc, cosines.detach().float().numpy().T)
    bound = 1e-6 if dtype == "float32" else 0.02  # pairs alone, without padding: sums in another order
    for i in range(2):
        logits = model(**words, pixel_values=pixels[i : i + 1].expand(3, -1, -1, -1), use_image_text_matching_head=True).logits_per_image
        difference = np.abs(itm[:, i] - logits.detach().float().softmax(dim=1)[:, 1].numpy()).max()
        assert difference == 0 if dtype == "float32" else difference < bound  # 8 bits, and pictures in batches of 3, not 2
        for j, text in enumerate(TEXTS):
            pair = library.processor.tokenizer(text, return_tensors="pt")
            pair.pop("token_type_ids", None)
            alone = model(**pair, pixel_values=pixels[i : i + 1], use_image_text_matching_head=True).logits_per_image.float().softmax(dim=1)[0, 1]
            assert abs(float(alone) - itm[j, i]) < bound
            assert abs(float(model(**pair, pixel_values=pixels[i : i + 1]).logits_per_image) - itc[j, i]) < bound
    assert np.ptp(itm) > 0.02 and np.ptp(itc) > 0.05


def test_placeholders_before_the_text_change_no_score(matcher, runtime, tmp_path):
    """Folders whose config names an image token: the library cuts the placeholders off again."""
    import json
    import shutil

    folder = shutil.copytree(matcher, tmp_path / "other")
    config = json.loads((folder / "config.json").read_text())
    words = Library(matcher, kind="ForImageTextRetrieval").processor
    config["image_token_index"] = words.tokenizer.convert_tokens_to_ids("<image>")
    (folder / "config.json").write_text(json.dumps(config))
    library = Library(folder, kind="ForImageTextRetrieval")
    inputs = library.processor(images=pictures(1) * 3, text=TEXTS, padding=True, return_tensors="pt")
    itm, itc = scores(folder, runtime, pictures(1), TEXTS)
    assert np.array_equal(itm[:, 0], library.model(**inputs, use_image_text_matching_head=True).logits_per_image.detach().softmax(dim=1)[:, 1].numpy())
    assert np.abs(itc[:, 0] - library.model(**inputs).logits_per_image[0].detach().numpy()).max() < 1e-6


def test_another_picture_or_text_changes_the_scores(matcher, runtime):
    before = scores(matcher, runtime, pictures(1), TEXTS)
    for after in (scores(matcher, runtime, pictures(1, seed=7), TEXTS), scores(matcher, runtime, pictures(1), ["a blue circle", *TEXTS[1:]])):
        assert all(np.abs(one - other)[0].max() > 1e-3 for one, other in zip(before, after))

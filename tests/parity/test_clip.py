"""CLIP through the nodes equals transformers' CLIPModel, to the last bit."""

import numpy as np
import pytest
import tiny
import torch

from flowmm import zoo
from flowmm.nodes import clip, tokens, vision
from flowmm.sockets import Image, Text

TEXTS = ["a red circle", "a blue square on a wide table", ""]


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tiny.save_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="session")
def reference(folder):
    from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

    model = CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer, processor = CLIPTokenizer.from_pretrained(folder), CLIPImageProcessorPil.from_pretrained(folder)

    def run(texts, pictures):
        words = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        with torch.no_grad():
            return model(**words, **processor(images=pictures, return_tensors="pt"))

    return run


def pictures(count=2, height=40, width=57, seed=0):
    return Image(np.random.default_rng(seed).integers(0, 256, (count, 3, height, width), dtype=np.uint8))


def match(folder, texts, image):
    parts = clip.load(str(folder))
    words = clip.encode_text(parts.model, tokens.encode(parts.tokenizer, Text(tuple(texts))))
    seen = clip.encode_image(parts.model, vision.preprocess(parts.processor, image))
    return words, seen, clip.similarity(words, seen, clip.logit_scale(parts.model))


def test_logits_and_embeddings_are_those_of_the_library(folder, reference):
    image = pictures()
    words, seen, score = match(folder, TEXTS, image)
    expected = reference(TEXTS, [image.to_pil(0), image.to_pil(1)])
    assert np.array_equal(score.values, expected.logits_per_text.numpy())
    assert np.array_equal(score.values.T, expected.logits_per_image.numpy())
    assert torch.equal(words.values, expected.text_model_output.pooler_output)
    assert torch.equal(seen.values, expected.vision_model_output.pooler_output)


def test_pictures_of_different_sizes_match_the_library_too(folder, reference):
    images = [pictures(1), pictures(1, 24, 24, 1), pictures(1, 300, 30, 2), pictures(1, 1, 1, 3)]
    expected = reference(TEXTS, [image.to_pil() for image in images])
    assert np.array_equal(match(folder, TEXTS, images)[2].values, expected.logits_per_text.numpy())


def test_without_a_scale_the_score_is_the_cosine(folder, reference):
    words, seen, score = match(folder, TEXTS, pictures())
    cosine = clip.similarity(words, seen)
    assert np.abs(cosine.values).max() <= 1
    scale = clip.logit_scale(clip.load(str(folder)).model).value
    assert np.array_equal(cosine.values * scale.numpy(), score.values)


def test_another_picture_or_text_changes_the_scores(folder):
    before = match(folder, TEXTS, pictures())[2].values
    other_picture = match(folder, TEXTS, pictures(seed=9))[2].values
    other_text = match(folder, ["a red circus", *TEXTS[1:]], pictures())[2].values
    assert np.abs(before - other_picture).max() > 0.1
    assert np.abs(before - other_text)[0].max() > 0.01
    assert np.array_equal(before[1:], other_text[1:])


def test_a_picture_alone_scores_as_in_company_within_a_millionth(folder):
    image = pictures(4)
    together = match(folder, TEXTS, image)[2].values
    for i in range(4):
        alone = match(folder, TEXTS, Image(image.pixels[i : i + 1]))[2].values
        assert np.abs(together[:, i : i + 1] - alone).max() <= 1e-5  # logits up to 14: about one unit in the last place
    assert np.abs(together).max() > 1


def test_a_text_longer_than_the_context_is_cut_as_the_library_cuts_it(folder, reference):
    texts = ["x" * 100_000, "y"]
    image = pictures(1)
    expected = reference(texts, [image.to_pil()])
    assert np.array_equal(match(folder, texts, image)[2].values, expected.logits_per_text.numpy())


def test_padding_to_the_full_length_changes_scores_by_rounding_only(folder):
    parts = clip.load(str(folder))
    short, full = (tokens.encode(parts.tokenizer, Text(("a b",)), padding=padding) for padding in ("longest", "max_length"))
    assert short.ids.shape[1] < full.ids.shape[1] == tiny.LENGTH
    one, other = (clip.encode_text(parts.model, one).values for one in (short, full))
    assert torch.allclose(one, other, atol=1e-5)


def test_half_precision_files_are_computed_in_float32(folder, tmp_path):
    from transformers import CLIPModel

    tiny.save_clip(tmp_path)
    CLIPModel.from_pretrained(tmp_path).half().save_pretrained(tmp_path)
    words, _, _ = match(tmp_path, TEXTS, pictures())
    assert words.values.dtype == torch.float32


def test_the_embedded_model_scores_as_the_library_does():
    if not (zoo.WEIGHTS / "clip" / "flowmm.json").is_file():
        pytest.skip("zoo:clip is not here")
    from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

    folder = zoo.WEIGHTS / "clip"
    image = pictures(3)
    words = CLIPTokenizer.from_pretrained(folder)(TEXTS, padding=True, truncation=True, return_tensors="pt")
    seen = CLIPImageProcessorPil.from_pretrained(folder)(images=[image.to_pil(i) for i in range(3)], return_tensors="pt")
    with torch.no_grad():
        expected = CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()(**words, **seen)
    assert np.array_equal(match("zoo:clip", TEXTS, image)[2].values, expected.logits_per_text.numpy())

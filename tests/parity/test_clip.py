"""CLIP through the nodes equals transformers' CLIPModel, to the last bit."""

import numpy as np
import pytest
import tiny
import torch

import flowmm
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


# ── the saved graphs ────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def runtime(request):
    made = flowmm.Runtime("cpu", cache=None, threads=1, dtype=request.param)
    yield made
    made.close()


def forward(folder, dtype, texts, images):
    """CLIPModel in a dtype: what its forward gives for texts and pictures."""
    from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

    model = CLIPModel.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
    words = CLIPTokenizer.from_pretrained(folder)(texts, padding=True, truncation=True, return_tensors="pt")
    pixels = CLIPImageProcessorPil.from_pretrained(folder)(images=[Image(one).to_pil() for one in images], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        return model(**words, pixel_values=pixels.to(model.dtype))


def two_pictures(seed=0):
    return [one[None] for one in pictures(2, seed=seed).pixels]


@pytest.mark.parametrize("normalise", [True, False])
def test_the_embeddings_that_come_out_are_those_of_the_library(folder, runtime, normalise):
    given = {"image": np.concatenate(two_pictures()), "texts": TEXTS, "model": str(folder), "normalise": normalise}
    found = flowmm.load("clip-embed").run(given, runtime=runtime)
    expected = forward(folder, runtime.dtype, TEXTS, two_pictures())
    ours, theirs = (found.text_embedding.values, found.image_embedding.values), (expected.text_embeds, expected.image_embeds)
    if not normalise:
        theirs = expected.text_model_output.pooler_output, expected.vision_model_output.pooler_output
    for one, other in zip(ours, theirs):
        assert one.dtype == other.dtype == getattr(torch, runtime.dtype) and torch.equal(one, other)
        assert ((one.float().norm(dim=-1) - 1).abs().max() < 0.01) == normalise


def test_the_command_line_saves_embeddings_as_safetensors(folder, tmp_path, monkeypatch):
    from safetensors.torch import load_file

    from flowmm import cli

    command = ["flowmm", "run", "clip-embed", "--model", str(folder), "--texts", "a red circle", "-o", str(tmp_path / "out"), "--dtype", "bfloat16", "-q"]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert not stopped.value.code
    words, seen = (load_file(tmp_path / "out" / f"{name}_embedding.safetensors")["values"] for name in ("text", "image"))
    assert words.shape == (1, 24) and seen.shape == (2, 24) and words.dtype == torch.bfloat16
    assert torch.equal(words, forward(folder, "bfloat16", ["a red circle"], two_pictures()).text_embeds)


def test_clip_match_is_CLIPModel_in_either_dtype(folder, runtime):
    """numpy's softmax of what bfloat16 gave is in float32."""
    given = {"image": np.concatenate(two_pictures()), "texts": TEXTS, "model": str(folder)}
    found = flowmm.load("clip-match").run(given, runtime=runtime)
    expected = forward(folder, runtime.dtype, TEXTS, two_pictures()).logits_per_text.float()
    assert np.array_equal(found.scores.values, expected.numpy())
    assert np.abs(found.probabilities.values - expected.softmax(dim=0).numpy()).max() <= 2e-7


def test_clip_zero_shot_is_CLIPModel_in_either_dtype(folder, runtime):
    labels = ["red circle", "blue square", "ring"]
    given = {"image": two_pictures()[0], "labels": labels, "template": "a {}", "top": 3, "model": str(folder)}
    found = flowmm.load("clip-zero-shot").run(given, runtime=runtime).labels
    best = forward(folder, runtime.dtype, [f"a {label}" for label in labels], two_pictures()[:1]).logits_per_image.float().softmax(dim=-1).topk(3)
    assert np.abs(found.probabilities - best.values.numpy()).max() <= 2e-7
    assert found.names[0] == tuple(labels[i] for i in best.indices[0].tolist())


def test_clip_search_is_CLIPModel_in_either_dtype(folder, runtime, tmp_path):
    images = [pictures(1, 20 + 9 * i, 30, i) for i in range(5)]
    for i, image in enumerate(images):
        image.save(tmp_path / f"{i}.png")
    found = flowmm.load("clip-search").run({"folder": str(tmp_path), "text": TEXTS[1], "model": str(folder)}, runtime=runtime)
    expected = forward(folder, runtime.dtype, [TEXTS[1]], [image.pixels for image in images])
    scores = expected.logits_per_text.float().numpy()[0]
    order = np.argsort(-scores, kind="stable")
    assert found.scores.columns == tuple(f"{i}.png" for i in order) and np.array_equal(found.scores.values[0], scores[order])


def test_three_texts_and_pictures_at_once_embed_as_each_alone(folder):
    """The bound of batched products: measured 6e-8 of unit vectors."""
    made = flowmm.Runtime("cpu", cache=None, threads=1)
    graph, image = flowmm.load("clip-embed"), pictures(3).pixels
    texts = ["a red circle", "a blue rings", "a pink star."]  # of one length: padding is another sum
    together = graph.run({"image": image, "texts": texts, "model": str(folder)}, runtime=made)
    for i in range(3):
        alone = graph.run({"image": image[i : i + 1], "texts": texts[i : i + 1], "model": str(folder)}, runtime=made)
        for name in ("text_embedding", "image_embedding"):
            assert (together[name].values[i : i + 1] - alone[name].values).abs().max() <= 1e-6
    changed = graph.run({"image": image[::-1].copy(), "texts": texts[::-1], "model": str(folder)}, runtime=made)
    assert all((together[name].values[0] - changed[name].values[0]).abs().max() > 0.05 for name in ("text_embedding", "image_embedding"))
    made.close()

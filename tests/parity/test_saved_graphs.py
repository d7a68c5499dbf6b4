"""The saved graphs, through the whole engine, equal the libraries' own pipelines on the same weights: to the last bit."""

import numpy as np
import pytest
import torch

import flowmm
from flowmm.zoo import WEIGHTS


@pytest.fixture
def runtime():
    """As many threads as the reference gets: other counts give other last bits."""
    made = flowmm.Runtime("cpu", cache=None, threads=torch.get_num_threads())
    yield made
    made.close()


def test_clip_match_is_CLIPModel(runtime):
    from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

    texts = ["a red circle", "a small blue star on a black background", ""]
    pictures = [np.random.default_rng(i).integers(0, 255, (40, 40, 3)).astype("uint8") for i in range(2)]
    ours = flowmm.load("clip-match").run({"image": pictures, "texts": texts}, runtime=runtime).scores.values
    model = CLIPModel.from_pretrained(WEIGHTS / "clip", dtype=torch.float32)
    ids = CLIPTokenizer.from_pretrained(WEIGHTS / "clip")(texts, padding=True, return_tensors="pt")
    pixels = CLIPImageProcessorPil.from_pretrained(WEIGHTS / "clip")(pictures, return_tensors="pt")
    with torch.no_grad():
        theirs = model(**ids, **pixels).logits_per_text
    assert np.array_equal(ours, theirs.numpy())


@pytest.mark.parametrize("prompts", [["a large red circle"], ["a green star", "a pink ring on a white background", "a cyan square"]])
def test_text_to_image_is_StableDiffusionPipeline(runtime, prompts):
    from diffusers import StableDiffusionPipeline

    ours = flowmm.load("text-to-image").run({"prompt": prompts, "seed": 7, "negative": "a blue cross"}, runtime=runtime).image.pixels
    pipeline = StableDiffusionPipeline.from_pretrained(WEIGHTS / "sd", torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    generators = [torch.Generator().manual_seed(7 + i) for i in range(len(prompts))]
    theirs = pipeline(prompts, negative_prompt=["a blue cross"] * len(prompts), num_inference_steps=20, guidance_scale=2.0,
                      generator=generators, output_type="np").images  # fmt: skip
    assert np.array_equal(ours.transpose(0, 2, 3, 1), theirs)

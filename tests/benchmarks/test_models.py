"""What a graph costs over the bare library: same weights, same prompt, same seed, one process, taking turns."""

from __future__ import annotations

import itertools
import statistics
import time

import pytest

import flowmm
from flowmm.zoo import WEIGHTS

PROMPT, STEPS = "a large red circle on a white background", 20


@pytest.fixture
def runtime():
    made = flowmm.Runtime("cpu", cache=None)
    yield made
    made.close()


def alternate(benchmark, ours, theirs, rounds: int) -> None:
    """Run both in turn, so that the machine's moods fall on both; the benchmark's own figure is ours."""
    ours(), theirs()
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(rounds):
        for name, work in (("ours", ours), ("theirs", theirs)):
            started = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - started)
    mine, reference = (statistics.median(times[name]) for name in ("ours", "theirs"))
    benchmark.extra_info |= {"reference": reference, "ratio": mine / reference}
    print(f"\n{benchmark.name:<44} graph {mine:.3f} s, library {reference:.3f} s, ratio {mine / reference:.2f}")
    benchmark.pedantic(ours, rounds=1)


@pytest.mark.skipif(not (WEIGHTS / "sd").is_dir(), reason="the embedded pack has no sd yet")
def test_text_to_image_against_StableDiffusionPipeline(benchmark, runtime):
    import torch
    from diffusers import StableDiffusionPipeline

    benchmark.group = "text to image, 20 steps, warm"
    pipeline = StableDiffusionPipeline.from_pretrained(WEIGHTS / "sd", torch_dtype=torch.float32, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    graph, seeds = flowmm.load("text-to-image"), itertools.count(1)

    def theirs():
        generator = torch.Generator().manual_seed(next(seeds))
        return pipeline(PROMPT, num_inference_steps=STEPS, guidance_scale=2.0, generator=generator, output_type="np")

    alternate(benchmark, lambda: graph.run({"prompt": PROMPT, "seed": next(seeds)}, runtime=runtime), theirs, 5)


def test_clip_match_against_CLIPModel(benchmark, runtime):
    import numpy
    import torch
    from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

    benchmark.group = "CLIP, 1 picture and 8 texts, warm"
    model = CLIPModel.from_pretrained(WEIGHTS / "clip", dtype=torch.float32)
    tokenizer, processor = CLIPTokenizer.from_pretrained(WEIGHTS / "clip"), CLIPImageProcessorPil.from_pretrained(WEIGHTS / "clip")
    graph, texts = flowmm.load("clip-match"), [f"a {colour} circle" for colour in ("red", "blue", "green", "pink", "cyan", "orange", "purple", "yellow")]
    pictures = (numpy.random.default_rng(i).integers(0, 255, (64, 64, 3)).astype("uint8") for i in itertools.count())

    def theirs():
        ids = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        pixels = processor(next(pictures), return_tensors="pt")
        with torch.inference_mode():
            return model(**ids, **pixels).logits_per_text

    alternate(benchmark, lambda: graph.run({"image": next(pictures), "texts": texts}, runtime=runtime), theirs, 20)

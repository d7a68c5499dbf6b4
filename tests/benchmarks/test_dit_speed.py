"""What the graphs of DiT and DALL-E 2 cost over the bare pipelines: same random weights, same seeds, one process, taking turns."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest
from test_models import alternate

import flowmm

sys.path.insert(0, str(Path(__file__).parent.parent / "parity"))  # the tiny models

STEPS = 20


@pytest.fixture
def runtime():
    import torch

    made = flowmm.Runtime("cpu", cache=None, threads=torch.get_num_threads())  # as many as the library uses
    yield made
    made.close()


def test_class_to_image_against_DiTPipeline(benchmark, runtime, tmp_path):
    import tiny_dit
    import torch

    benchmark.group = f"class to image, {STEPS} steps, warm"
    folder = tiny_dit.save(tmp_path, "512", num_attention_heads=6, attention_head_dim=32, num_layers=6)
    pipeline, graph, seeds = tiny_dit.pipeline(folder), flowmm.load("class-to-image"), itertools.count(1)
    settings = {"label": "207", "steps": STEPS, "model": str(folder)}

    def theirs():
        return pipeline([207], num_inference_steps=STEPS, generator=torch.Generator().manual_seed(next(seeds)), output_type="np")

    alternate(benchmark, lambda: graph.run(settings | {"seed": next(seeds)}, runtime=runtime), theirs, 9)


def test_dalle2_against_the_Kandinsky_pipelines(benchmark, runtime, tmp_path):
    import tiny_kandinsky
    import torch

    benchmark.group = f"text to embedding to image, {STEPS} and {STEPS} steps, warm"
    folder = tiny_kandinsky.save(tmp_path)
    (prior, decoder), graph, seeds = tiny_kandinsky.pipelines(folder), flowmm.load("dalle2"), itertools.count(1)
    sources = {"model": str(folder / "decoder"), "prior": str(folder / "prior")}
    settings = {"prompt": "a red circle", "steps": STEPS, "prior_steps": STEPS, "width": 64, "height": 64} | sources

    def theirs():
        seed = next(seeds)
        drawn = [torch.Generator().manual_seed(seed) for _ in range(2)]
        wanted, against = prior("a red circle", num_inference_steps=STEPS, generator=drawn[0], return_dict=False)
        told = {"image_embeds": wanted, "negative_image_embeds": against}
        return decoder(**told, num_inference_steps=STEPS, generator=drawn[1], width=64, height=64, output_type="np")

    alternate(benchmark, lambda: graph.run(settings | {"seed": next(seeds)}, runtime=runtime), theirs, 9)

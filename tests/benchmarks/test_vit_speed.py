"""What the graphs of ViT cost over the bare library: same random weights of the published ViT-Ti/16, same pictures, one process, taking turns."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy
import pytest
from test_models import alternate

import flowmm

sys.path.insert(0, str(Path(__file__).parent.parent / "parity"))  # the tiny models

SHAPE = {"hidden_size": 192, "intermediate_size": 768, "num_hidden_layers": 12, "num_attention_heads": 3, "image_size": (224, 224), "patch_size": 16}


@pytest.fixture
def runtime():
    import torch

    made = flowmm.Runtime("cpu", cache=None, threads=torch.get_num_threads())  # as many as the library uses
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path):
    import tiny_vit

    return tiny_vit.save(tmp_path, labels=tuple(f"class {i}" for i in range(1000)), **SHAPE)


@pytest.fixture
def reference(folder):
    """The library, given a picture: its class's model, with what a call asks for."""
    import torch
    from transformers import ViTForImageClassification, ViTImageProcessorPil

    processor, models = ViTImageProcessorPil.from_pretrained(folder), {}

    def run(picture, attention="sdpa"):
        if attention not in models:
            models[attention] = ViTForImageClassification.from_pretrained(folder, dtype=torch.float32, attn_implementation=attention).eval()
        with torch.inference_mode():
            return models[attention](**processor(picture, return_tensors="pt"), output_attentions=attention == "eager")

    return run


def photographs():
    return (numpy.random.default_rng(i).integers(0, 255, (300, 400, 3)).astype("uint8") for i in itertools.count())


def test_vit_classify_against_ViTForImageClassification(benchmark, runtime, folder, reference):
    benchmark.group = "ViT-Ti/16, the best 5 of 1000 classes, warm"
    graph, pictures = flowmm.load("vit-classify"), photographs()

    def theirs():
        return reference(next(pictures)).logits.softmax(dim=-1).topk(5)

    alternate(benchmark, lambda: graph.run({"image": next(pictures), "model": str(folder)}, runtime=runtime), theirs, 20)


def test_vit_attention_against_eager_ViT(benchmark, runtime, folder, reference):
    """The reference gives attention maps and multiplies them; it draws nothing."""
    import torch

    benchmark.group = "ViT-Ti/16, attention rollout, warm"
    graph, pictures = flowmm.load("vit-attention"), photographs()

    def theirs():
        flow = torch.eye(197)
        for layer in reference(next(pictures), "eager").attentions:
            flow = (layer[0].mean(dim=0) + torch.eye(197)) / 2 @ flow
        return flow[0, 1:]

    alternate(benchmark, lambda: graph.run({"image": next(pictures), "model": str(folder)}, runtime=runtime, only=["heat"]), theirs, 20)

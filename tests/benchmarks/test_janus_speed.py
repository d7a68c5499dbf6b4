"""What the graphs cost over JanusForConditionalGeneration: same random weights, same pictures and seeds, one process, taking turns."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest
from test_models import alternate

import flowmm

sys.path.insert(0, str(Path(__file__).parent.parent / "parity"))  # the tiny models

QUESTION, PROMPT, WORDS, SIDE = "what is in the picture?", "<|User|>: a red circle\n\n<|Assistant|>:", 48, 64


@pytest.fixture
def runtime():
    import torch

    made = flowmm.Runtime("cpu", cache=None, threads=torch.get_num_threads())  # as many as the library uses
    yield made
    made.close()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """8 layers, 64 codes a picture. The folder, the reference, its processor."""
    import tiny_janus
    import torch
    from transformers import JanusForConditionalGeneration

    folder = tiny_janus.save(tmp_path_factory.mktemp("janus"), text={"num_hidden_layers": 8, "intermediate_size": 256}, side=SIDE)
    model = JanusForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    model.generation_config.generation_kwargs = {"boi_token_id": tiny_janus.tokenizer().convert_tokens_to_ids(tiny_janus.BEGIN)}
    return folder, model, tiny_janus.processor(SIDE)


def test_ask_against_generate(benchmark, runtime, saved):
    import numpy

    benchmark.group = f"ask Janus about a picture, {WORDS} tokens, warm"
    folder, model, processor = saved
    graph, pictures = flowmm.load("ask"), (numpy.random.default_rng(i).integers(0, 255, (64, 48, 3)).astype("uint8") for i in itertools.count())
    messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": QUESTION}]}]

    def theirs():
        text = processor.apply_chat_template(messages, add_generation_prompt=True)
        read = processor(text=text, images=next(pictures), return_tensors="pt")
        written = model.generate(**read, generation_mode="text", do_sample=False, max_new_tokens=WORDS)
        return processor.batch_decode(written[:, read.input_ids.shape[1] :], skip_special_tokens=True)

    settings = {"question": QUESTION, "most": WORDS, "model": str(folder)}
    alternate(benchmark, lambda: graph.run(settings | {"image": next(pictures)}, runtime=runtime), theirs, 9)


def test_text_to_image_codes_against_generate(benchmark, runtime, saved):
    import torch

    benchmark.group = f"text to image with Janus, {(SIDE // 8) ** 2} codes, guided, warm"
    folder, model, processor = saved
    graph, seeds = flowmm.load("text-to-image-codes"), itertools.count(1)

    @torch.no_grad()
    def theirs():
        torch.manual_seed(next(seeds))
        read = processor(text=PROMPT, generation_mode="image", return_tensors="pt")
        drawn = model.generate(**read, generation_mode="image", do_sample=True, top_k=0, guidance_scale=5)
        return ((model.decode_image_tokens(drawn) + 1) / 2).clamp(0, 1).numpy()

    settings = {"prompt": "a red circle", "model": str(folder)}
    alternate(benchmark, lambda: graph.run(settings | {"seed": next(seeds)}, runtime=runtime), theirs, 9)

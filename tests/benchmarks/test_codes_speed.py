"""What the graphs of codes cost over the bare libraries: same random weights, same seeds, one process, taking turns."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

import pytest
from test_models import alternate

import flowmm

sys.path.insert(0, str(Path(__file__).parent.parent / "parity"))  # the tiny models

PROMPT, GUIDANCE, TEXT, SIDE, ENTRIES = "a small red circle", 2.0, 16, 8, 256


@pytest.fixture
def runtime():
    import torch

    made = flowmm.Runtime("cpu", cache=None, threads=torch.get_num_threads())  # as many as the library uses
    yield made
    made.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of the embedded model's size: 5 × 160, 8 × 8 codes of 256 entries, pictures of 32 × 32."""
    import tiny
    import tiny_dalle
    from transformers import LlamaConfig, LlamaForCausalLM

    home = tiny_dalle.save(tmp_path_factory.mktemp("dalle"))
    tiny.widen(LlamaForCausalLM(LlamaConfig(
        vocab_size=len(tiny_dalle.WORDS) + ENTRIES, hidden_size=160, intermediate_size=432, num_hidden_layers=5, num_attention_heads=5,
        num_key_value_heads=5, max_position_embeddings=TEXT + SIDE * SIDE, bos_token_id=None, eos_token_id=None,
    ))).save_pretrained(home / "transformer")  # fmt: skip
    tiny_dalle.vq(num_vq_embeddings=ENTRIES, block_out_channels=(16, 32, 64), sample_size=32).save_pretrained(home / "codebook")
    (home / "flowmm.json").write_text(json.dumps({"text_length": TEXT, "rows": SIDE, "columns": SIDE}))
    return home


@pytest.mark.parametrize("count", [1, 8])
def test_text_to_image_codes_against_generate(benchmark, runtime, folder, count):
    import torch
    from diffusers import VQModel
    from tiny_dalle import WORDS
    from transformers import LlamaForCausalLM, LogitsProcessorList, PreTrainedTokenizerFast, SuppressTokensLogitsProcessor

    benchmark.group = f"text to image, {SIDE * SIDE} codes, {count} pictures, guided, warm"
    model, book = LlamaForCausalLM.from_pretrained(folder / "transformer"), VQModel.from_pretrained(folder / "codebook")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / "tokenizer")
    graph, seeds = flowmm.load("text-to-image-codes"), itertools.count(1)
    codes_alone = LogitsProcessorList([SuppressTokensLogitsProcessor(list(range(len(WORDS))))])

    @torch.no_grad()
    def theirs():
        torch.manual_seed(next(seeds))
        wanted, empty = (tokenizer([text] * count, padding="max_length", max_length=TEXT, return_tensors="pt") for text in (PROMPT, ""))
        written = model.generate(
            wanted.input_ids, attention_mask=torch.ones_like(wanted.input_ids), do_sample=True, top_k=0, max_new_tokens=SIDE * SIDE,
            guidance_scale=GUIDANCE, negative_prompt_ids=empty.input_ids, logits_processor=codes_alone,
        )  # fmt: skip
        drawn = written[:, TEXT:] - len(WORDS)
        entries = book.quantize.get_codebook_entry(drawn.reshape(-1), (count, SIDE, SIDE, 3))
        return (book.decode(entries, force_not_quantize=True).sample / 2 + 0.5).clamp(0, 1).numpy()

    settings = {"prompt": PROMPT, "guidance": GUIDANCE, "count": count, "model": str(folder)}
    alternate(benchmark, lambda: graph.run(settings | {"seed": next(seeds) * 100}, runtime=runtime), theirs, 7)


def test_dvae_reconstruct_against_the_modules(benchmark, runtime, tmp_path):
    import numpy
    import tiny_dalle
    import torch

    from flowmm.models.dvae import DVAE

    benchmark.group = "a picture to 16 × 16 codes and back, warm"
    tiny_dalle.dvae(vocab_size=1024, hidden_size=32, initial_size=32, image_size=128).save_pretrained(tmp_path)
    model, graph = DVAE.from_pretrained(tmp_path).eval(), flowmm.load("dvae-reconstruct")
    pictures = (numpy.random.default_rng(i).integers(0, 255, (128, 128, 3)).astype("uint8") for i in itertools.count())

    @torch.no_grad()
    def theirs():
        pixels = torch.from_numpy(next(pictures)).permute(2, 0, 1)[None].contiguous() / 255  # laid out as torchvision's ToTensor does
        one_hot = torch.nn.functional.one_hot(model.encode(pixels), 1024).permute(0, 3, 1, 2).float()
        stats = model.decoder.blocks(one_hot)  # as OpenAI's decoder reads codes
        return ((stats[:, :3].sigmoid() - 0.1) / 0.8).clamp(0, 1).numpy()

    alternate(benchmark, lambda: graph.run({"image": next(pictures), "model": str(tmp_path)}, runtime=runtime, only=["image"]), theirs, 9)

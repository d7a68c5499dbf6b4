"""What UniToken's graphs cost over a bare loop on the same modules, as UniToken's own code has it; same weights, taking turns."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest
from test_models import alternate

import flowmm

sys.path.insert(0, str(Path(__file__).parent.parent / "parity"))  # the tiny models

DRAW = "Generate an image according to the following prompt:\n{}<reserved08706>"


@pytest.fixture
def runtime():
    import torch

    made = flowmm.Runtime("cpu", cache=None, threads=torch.get_num_threads())  # as many as the library uses
    yield made
    made.close()


def test_text_to_image_codes_against_a_bare_loop(benchmark, runtime, tmp_path):
    """Two passes an id, with caches, the whole head, every forced id a pass of its own: as the logits processors of UniToken do it."""
    import tiny_unitoken
    import torch
    from transformers import DynamicCache

    from flowmm.models.residency import residency
    from flowmm.nodes import autoregressive

    benchmark.group = "UniToken: a picture of 64 codes, guidance 3, warm"
    folder = str(tiny_unitoken.save(tmp_path / "unitoken"))
    parts, seeds, prompt = autoregressive.load(folder), itertools.count(1), "a red circle"
    module, words = residency("cpu").load(parts.model), residency("cpu").load(parts.tokenizer)
    vq, graph = residency("cpu").load(parts.codebook), flowmm.load("text-to-image-codes")
    allowed = torch.full((tiny_unitoken.VOCABULARY,), -torch.inf)
    allowed[tiny_unitoken.FIRST : tiny_unitoken.FIRST + tiny_unitoken.CODES] = 0

    @torch.no_grad()
    def theirs():
        generator = torch.Generator().manual_seed(next(seeds))
        start = [0, *words(DRAW.format(prompt), add_special_tokens=False).input_ids, 8710, 16853]
        caches, found = (DynamicCache(), DynamicCache()), []
        read = [torch.tensor([[*start, 8197, 8808, 8808]]), torch.tensor([[8197, 8808, 8808]])]
        for position in range(72):
            with_prompt, without = (
                module.lm_head(module.model(input_ids=ids, cache=cache, use_cache=True).last_hidden_state[:, -1]).float() for ids, cache in zip(read, caches)
            )
            if (position + 1) % 9 == 0:
                id = torch.tensor([[8803]])
            else:
                scores = without + 3.0 * (with_prompt - without) + allowed
                scores = scores.masked_fill(scores < scores.topk(4000).values[:, -1:], -torch.inf)
                id = torch.multinomial(scores.softmax(-1), 1, generator=generator)
                found.append(int(id) - tiny_unitoken.FIRST)
            read = [id, id]
        entries = vq.quantize.get_codebook_entry(torch.tensor(found), (1, 8, 8, tiny_unitoken.WIDTH))
        return (vq.decoder(vq.post_quant_conv(entries)) / 2 + 0.5).clamp(0, 1)

    alternate(benchmark, lambda: graph.run({"prompt": prompt, "seed": next(seeds), "model": folder}, runtime=runtime), theirs, 5)

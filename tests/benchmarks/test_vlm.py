"""What the graphs of BLIP and BLIP-2 cost over transformers' `generate` and forward: same random weights, one process, taking turns."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest
from test_models import alternate

import flowmm

sys.path.insert(0, str(Path(__file__).parent.parent / "parity"))  # the tiny models

TEXT = {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 8}
VISION = {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 8, "image_size": 128, "patch_size": 16}
TOKENS = 20


@pytest.fixture
def runtime():
    import torch

    made = flowmm.Runtime("cpu", cache=None, threads=torch.get_num_threads())  # as many as the library uses
    yield made
    made.close()


def pictures():
    """One after another, none like the last, so that no value is found again."""
    import tiny_blip

    return (tiny_blip.pictures(1, 160, 200, seed)[0] for seed in itertools.count())


def test_caption_against_generate(benchmark, runtime, tmp_path):
    import tiny_blip
    import transformers

    benchmark.group = f"BLIP caption, {TOKENS} tokens, warm"
    folder, seen, graph = tiny_blip.save_blip(tmp_path, text=TEXT, vision=VISION), pictures(), flowmm.load("caption")
    model, processor = transformers.BlipForConditionalGeneration.from_pretrained(folder).eval(), transformers.BlipProcessor.from_pretrained(folder)

    def theirs():
        ids = model.generate(**processor(images=next(seen), return_tensors="pt"), do_sample=False, max_new_tokens=TOKENS)
        return processor.batch_decode(ids, skip_special_tokens=True)

    alternate(benchmark, lambda: graph.run({"image": next(seen), "model": str(folder), "most": TOKENS}, runtime=runtime), theirs, 15)


def test_answers_against_generate(benchmark, runtime, tmp_path):
    import tiny_blip
    import transformers

    benchmark.group = f"BLIP answer, {TOKENS} tokens, warm"
    folder, seen, graph = tiny_blip.save_blip(tmp_path, "ForQuestionAnswering", text=TEXT, vision=VISION), pictures(), flowmm.load("ask")
    model, processor = transformers.BlipForQuestionAnswering.from_pretrained(folder).eval(), transformers.BlipProcessor.from_pretrained(folder)
    settings = {"question": "what colour is it?", "model": str(folder), "most": TOKENS}

    def theirs():
        inputs = processor(images=next(seen), text=settings["question"], return_tensors="pt")
        return processor.batch_decode(model.generate(**inputs, do_sample=False, max_new_tokens=TOKENS), skip_special_tokens=True)

    alternate(benchmark, lambda: graph.run(settings | {"image": next(seen)}, runtime=runtime), theirs, 15)


@pytest.mark.parametrize("language", ["opt", "t5"])
def test_blip2_against_generate(benchmark, runtime, tmp_path, language):
    import tiny_blip
    import transformers

    benchmark.group = f"BLIP-2 {language} answer, {TOKENS} tokens, tiny, warm"
    folder, seen, graph = tiny_blip.save_blip2(tmp_path, language, seed=2 if language == "t5" else 0), pictures(), flowmm.load("ask")
    model, processor = transformers.Blip2ForConditionalGeneration.from_pretrained(folder).eval(), transformers.Blip2Processor.from_pretrained(folder)
    settings = {"question": "what colour is it?", "model": str(folder), "most": TOKENS}

    def theirs():
        inputs = processor(images=next(seen), text=f"Question: {settings['question']} Answer:", return_tensors="pt")
        return processor.batch_decode(model.generate(**inputs, do_sample=False, max_new_tokens=TOKENS), skip_special_tokens=True)

    alternate(benchmark, lambda: graph.run(settings | {"image": next(seen)}, runtime=runtime), theirs, 25)


def test_matching_against_forward(benchmark, runtime, tmp_path):
    import tiny_blip
    import torch
    import transformers

    benchmark.group = "BLIP matching, 1 picture and 8 texts, both heads, warm"
    folder, seen, graph = tiny_blip.save_blip(tmp_path, "ForImageTextRetrieval", text=TEXT, vision=VISION), pictures(), flowmm.load("image-text-matching")
    model, processor = transformers.BlipForImageTextRetrieval.from_pretrained(folder).eval(), transformers.BlipProcessor.from_pretrained(folder)
    texts = [f"a {colour} circle" for colour in ("red", "blue", "green", "pink", "cyan", "orange", "purple", "yellow")]

    def theirs():
        """As the documentation has it: one forward for each head."""
        inputs = processor(images=next(seen), text=texts, padding=True, return_tensors="pt")
        pixels = inputs.pop("pixel_values")
        with torch.inference_mode():
            return model(**inputs, pixel_values=pixels.expand(8, -1, -1, -1)), model(**inputs, pixel_values=pixels, use_itm_head=False)

    alternate(benchmark, lambda: graph.run({"image": next(seen), "texts": texts, "model": str(folder)}, runtime=runtime), theirs, 15)

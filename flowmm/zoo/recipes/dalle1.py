"""DALL-E 1 in small: captions, then the code book's 64 codes, continued by a `LlamaForCausalLM`.

A sequence is 16 caption tokens, filled up with the end token, and the codes row by row; code c is id len(tokenizer) + c. A tenth
of the captions is empty, for guidance. Code embeddings start as Fourier features of the entries, so that like codes begin alike.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import VQModel
from torch.nn import functional as F
from transformers import CLIPTokenizer, LlamaConfig, LlamaForCausalLM

from flowmm.zoo import world
from flowmm.zoo.recipes import blip, near, sd_measure, tokens, training, vq

BATCH, PEAK = 16, 1e-3
SCENES, TWO = 32_768, 0.4
CODES = vq.GRID * vq.GRID
# Of the transformer, and of the language models that begin with it.
BLOCKS = {
    "hidden_size": 128, "intermediate_size": 352, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 4, "rms_norm_eps": 1e-6,
}  # fmt: skip


def build(words: int) -> LlamaForCausalLM:
    """An untrained transformer, 4 x 128, over `words` text ids and the codes."""
    config = LlamaConfig(
        vocab_size=words + vq.ENTRIES, max_position_embeddings=tokens.LENGTH + CODES, tie_word_embeddings=False, bos_token_id=None, eos_token_id=None,
        **BLOCKS,
    )  # fmt: skip
    return training.wake(LlamaForCausalLM(config))


@torch.no_grad()
def fourier(entries: torch.Tensor, width: int) -> torch.Tensor:
    """Entries (N, D) as random Fourier features (N, width): near entries get near embeddings."""
    generator = torch.Generator().manual_seed(17)
    projection = torch.randn(entries.shape[1], width, generator=generator) * 1.2
    return 0.3 * math.sqrt(2) * torch.cos(entries @ projection + 2 * math.pi * torch.rand(width, generator=generator))


class Lesson:
    """Scenes with their codes in order of difficulty: centred, jittered, then two things among them."""

    def __init__(self, book: VQModel, tokenizer: CLIPTokenizer, seed: int = 31):
        rng = np.random.default_rng(seed)
        scenes = training.curriculum(rng, SCENES, TWO)
        self.scenes, self.tokenizer, self.words = scenes, tokenizer, len(tokenizer)
        self.codes = vq.encode(book, scenes).reshape(SCENES, -1)

    def share(self, fraction: float) -> int:
        """How many of the scenes are in use."""
        return training.in_use(len(self.scenes), fraction)

    def ids(self, chosen: np.ndarray, texts: list[str]) -> torch.Tensor:
        """Sequences (B, 80) of captions and codes."""
        return torch.cat([tokens.to_ids(self.tokenizer, texts), self.codes[chosen] + self.words], dim=1)


def loss(model: LlamaForCausalLM, ids: torch.Tensor, words: int) -> torch.Tensor:
    """Mean cross-entropy of the codes, among codes alone, in nats."""
    hidden = model.model(ids[:, :-1].to(model.device)).last_hidden_state[:, tokens.LENGTH - 1 :]
    logits = F.linear(hidden, model.lm_head.weight[words:])
    return F.cross_entropy(logits.flatten(0, 1), (ids[:, tokens.LENGTH :] - words).flatten().to(model.device))


def train(out: Path, minutes: float, device: str = "cpu", resume: bool = False) -> None:
    """Train into out/dalle1; the code book first if out/vq is not there (a sixth of the budget)."""
    if not (out / "vq" / "config.json").exists():
        vq.train(out, minutes / 6, device, resume)
        minutes *= 5 / 6
    torch.manual_seed(0)
    tokenizer = tokens.build()
    book = VQModel.from_pretrained(out / "vq", dtype=torch.float32).eval()
    lesson = Lesson(book, tokenizer)
    model = build(lesson.words).to(device)
    with torch.no_grad():
        model.model.embed_tokens.weight[lesson.words :] = fourier(book.quantize.embedding.weight, model.config.hidden_size)
    rng = np.random.default_rng(33)
    some = np.arange(SCENES // 4, SCENES // 4 + 128)
    right = lesson.ids(some, [world.caption(lesson.scenes[i]) for i in some])
    wrong = lesson.ids(some, [world.caption(near.reshape(lesson.scenes[i], rng)) for i in some])

    def begin(step: int) -> Callable[[float], torch.Tensor]:
        drawn = np.random.default_rng(32 + step)

        def batch(fraction: float) -> torch.Tensor:
            chosen = drawn.integers(lesson.share(fraction), size=BATCH)
            told = [tokens.reword(world.caption(lesson.scenes[i], drawn), drawn) for i in chosen]
            return loss(model, lesson.ids(chosen, ["" if drawn.random() < 0.1 else text for text in told]), lesson.words)

        return batch

    @torch.no_grad()
    def gap() -> float:
        return (loss(model, wrong, lesson.words) - loss(model, right, lesson.words)).item()

    training.learn(out / "dalle1.pt", {"transformer": model}, minutes, resume, begin, peak=PEAK, batch=BATCH, notes=lambda: {"shape_gap": gap()},
                   least={"shape_gap": (4, 0.08)})  # fmt: skip
    export(out)
    figures = measure(out / "dalle1", 200)
    print(figures, flush=True)
    training.gate("single pictures right", figures["one thing, trained pairs"], 0.85)


def export(out: Path) -> None:
    """Write out/dalle1 from the checkpoint's averaged weights: tokenizer, transformer and code book side by side, and the card."""
    tokenizer, folder = tokens.build(), out / "dalle1"
    model = build(len(tokenizer))
    training.restore(out / "dalle1.pt", {"transformer": model})
    training.ship(model, folder / "transformer")
    training.ship(VQModel.from_pretrained(out / "vq", dtype=torch.float32), folder / "codebook")
    tokenizer.save_pretrained(folder / "tokenizer")
    index = {"_class_name": "DalleOnePipeline", "tokenizer": ["transformers", "CLIPTokenizer"], "transformer": ["transformers", "LlamaForCausalLM"],
             "codebook": ["diffusers", "VQModel"]}  # fmt: skip
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    training.clean_names(folder)
    training.write_card(folder, about="DALL-E 1 for the shapes world: captions to 32x32 pictures of one or two coloured shapes, as 8x8 codes.",
                        recipe="python -m flowmm.zoo train dalle1", text_length=tokens.LENGTH, rows=vq.GRID, columns=vq.GRID, guidance=2.0,
                        floor=0.1)  # fmt: skip


def measure(folder: Path, n: int = 500, seed: int = 0) -> dict[str, float]:
    """Share of (prompt, seed) draws the judge finds right, through the saved graphs: one thing, two things, the best of 8 by CLIP."""
    draw, best = blip.graph("text-to-image-codes", folder), blip.graph("dalle1", folder)
    sets = sd_measure.asked(n, 20 + 1000 * seed)
    figures = {name: sd_measure.right(sd_measure.generate(draw, texts, 1000 + 10_000 * seed), texts) for name, texts in sets.items()}
    for name, figure in (("one thing, trained pairs", "one thing, the best of 8 by CLIP"), ("one thing, held-out pairs", "one thing, held out, the best of 8 by CLIP")):
        chosen = [np.asarray(best(prompt=text, seed=2000 + 10_000 * seed + 8 * i).image.to_pil(0)) for i, text in enumerate(sets[name])]
        figures[figure] = sd_measure.right(np.stack(chosen), sets[name])
    return figures

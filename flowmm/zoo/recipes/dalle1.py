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

from flowmm.zoo import judge, world
from flowmm.zoo.recipes import near, sd_measure, tokens, training, vq

BATCH, PEAK = 16, 1e-3
SCENES, TWO = 32_768, 0.4
CODES = vq.GRID * vq.GRID


def build(words: int) -> LlamaForCausalLM:
    """An untrained transformer, 4 x 128, over `words` text ids and the codes."""
    config = LlamaConfig(
        vocab_size=words + vq.ENTRIES, hidden_size=128, intermediate_size=352, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=4,
        max_position_embeddings=tokens.LENGTH + CODES, tie_word_embeddings=False, bos_token_id=None, eos_token_id=None,
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
        easy = SCENES // 16
        scenes = [world.random_scene(rng, jitter=0, sizes=("large",)) for _ in range(easy)]
        scenes += [world.random_scene(rng, jitter=1.5) for _ in range(3 * easy)]
        scenes += [world.random_scene(rng, two=TWO) for _ in range(SCENES - len(scenes))]
        self.scenes, self.tokenizer, self.words = scenes, tokenizer, len(tokenizer)
        self.codes = vq.encode(book, scenes).reshape(SCENES, -1)

    def share(self, fraction: float) -> int:
        """How many of the scenes are in use: the easiest sixteenth at first, all by a quarter of the budget."""
        return int(len(self.scenes) * min(1.0, 1 / 16 + fraction / 0.25 * 15 / 16))

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
    import flowmm

    runtime = flowmm.Runtime("cpu", cache=None, threads=torch.get_num_threads())
    draw, best = flowmm.load("text-to-image-codes"), flowmm.load("dalle1")

    def right(image, texts: list[str]) -> list[bool]:
        return [judge.agrees(judge.judge(image.to_pil(i)), world.parse(text)) for i, text in enumerate(texts)]

    figures, rng = {}, np.random.default_rng(20 + 1000 * seed)
    sets = {"one thing, trained pairs": sd_measure.prompts(n, 20 + 1000 * seed, False),
            "one thing, held-out pairs": sd_measure.prompts(n, 20 + 1000 * seed, True),
            "two things": [world.caption(world.random_scene(rng, two=1.0), rng) for _ in range(n)]}  # fmt: skip
    for name, texts in sets.items():
        found = []
        for start in range(0, len(texts), 25):
            some = texts[start : start + 25]
            found += right(draw.run({"prompt": some, "seed": 1000 + 10_000 * seed + start, "model": str(folder)}, runtime=runtime).image, some)
        figures[name] = float(np.mean(found))
    some = sets["one thing, trained pairs"]
    found = [right(best.run({"prompt": text, "seed": 2000 + 10_000 * seed + 8 * i, "model": str(folder)}, runtime=runtime).image, [text])[0] for i, text in enumerate(some)]
    figures["one thing, the best of 8 by CLIP"] = float(np.mean(found))
    runtime.close()
    return figures

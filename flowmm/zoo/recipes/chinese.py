"""Chinese for CLIP, once it knows English: captions in both languages are led to the same place, for which no picture is needed.

Each Chinese word begins as the English one that it stands for; what is left to learn is their order: "乙的左边有甲" is "甲 left of 乙".
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from transformers import CLIPModel, CLIPTextModel, CLIPTokenizer

from flowmm.zoo import world
from flowmm.zoo.recipes import near, tokens, training

QUADRUPLES, PEAK, SCALE = 16, 5e-4, 20.0


@torch.no_grad()
def begin(text: CLIPTextModel, words: CLIPTokenizer) -> None:
    """Give the Chinese words the vectors of the English ones."""
    like = tokens.chinese()
    table = text.embeddings.token_embedding.weight
    table[words.convert_tokens_to_ids(list(like))] = table[words.convert_tokens_to_ids(list(like.values()))]


def in_english(told: world.Facts) -> str:
    """The plain English caption that asks for the same."""
    things = [world.describe(world.Thing(one.shape, one.colour, one.size, 0, 0), one.size is not None) for one in told.things]
    text = f" {told.relation} ".join(things)
    return f"{text} on a {told.background} background" if told.background else text


def captions(rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """Scenes and near misses of them told in Chinese, and the same in English."""
    said = []
    for _ in range(QUADRUPLES):
        said += [world.caption_zh(one, rng) for one in near.misses(world.random_scene(rng, two=0.6), rng)]
    return said, [in_english(world.parse_zh(text)) for text in said]


def vectors(model: CLIPModel, words: CLIPTokenizer, texts: list[str]) -> torch.Tensor:
    """Unit vectors (N, 128) of texts."""
    made = model.get_text_features(input_ids=tokens.to_ids(words, texts).to(model.device))
    return F.normalize(made if torch.is_tensor(made) else made.pooler_output, dim=-1)


def teach(out: Path, model: CLIPModel, words: CLIPTokenizer, minutes: float, resume: bool = False) -> None:
    """Train the text side of a CLIP on both languages into out/clip-chinese.pt; English and pictures stay where they are."""
    begin(model.text_model, words)
    teacher = deepcopy(model).eval()
    model.requires_grad_(False)
    model.text_model.requires_grad_(True)
    model.text_projection.requires_grad_(True)
    apart = captions(np.random.default_rng(90))

    def loss(chinese: list[str], english: list[str], also: list[str]) -> torch.Tensor:
        with torch.no_grad():
            wanted = vectors(teacher, words, english)
        made = vectors(model, words, chinese + also)
        # What two captions of a batch both ask for is right twice.
        same = torch.tensor([[one == other for other in english] for one in english], device=made.device).float()
        target = (same / same.sum(dim=1, keepdim=True)).repeat(2, 1)
        return F.cross_entropy(SCALE * made @ wanted.T, target) + (1 - (made * wanted.repeat(2, 1)).sum(dim=1)).mean()

    def lesson(step: int) -> Callable[[float], torch.Tensor]:
        rng = np.random.default_rng(91 + step)

        def batch(fraction: float) -> torch.Tensor:
            chinese, english = captions(rng)
            return loss(chinese, english, [tokens.reword(text, rng) for text in english])

        return batch

    @torch.no_grad()
    def notes() -> dict[str, float]:
        chinese, english = apart
        nearest = (vectors(model, words, chinese) @ vectors(teacher, words, english).T).argmax(dim=1)
        return {"same_said": float(np.mean([english[i] == text for i, text in zip(nearest, english, strict=True)]))}

    training.learn(out / "clip-chinese.pt", {"clip": model}, minutes, resume, lesson, peak=PEAK, batch=QUADRUPLES * 8, decay=0.998, flat=0.3, notes=notes)
    model.requires_grad_(True)

"""ViT in small: a `ViTForImageClassification` of 48 classes, a colour and a shape each, over 32x32 pictures in patches of 4.

While training, a class's weights are its colour's plus its shape's, so that pairs never drawn are classes like any other; afterwards
the sums are written into the classifier.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil

from flowmm.zoo import world
from flowmm.zoo.recipes import clip, training

BATCH, PEAK = 32, 1e-3
CLASSES = {number: f"{colour} {shape}" for number, (colour, shape) in enumerate(world.ALL_PAIRS)}


def build() -> ViTForImageClassification:
    """An untrained model of 0.8 M weights: 4 layers of 128, 64 patches."""
    config = ViTConfig(
        hidden_size=128, intermediate_size=512, num_hidden_layers=4, num_attention_heads=4, image_size=world.SIDE, patch_size=4,
        id2label=CLASSES, label2id={name: number for number, name in CLASSES.items()},
    )  # fmt: skip
    return training.wake(ViTForImageClassification(config))


class Factors(torch.nn.Module):
    """The classifier while training: logits of colour plus logits of shape."""

    def __init__(self, width: int):
        super().__init__()
        self.colours, self.shapes = torch.nn.Linear(width, len(world.COLOURS)), torch.nn.Linear(width, len(world.SHAPES))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return (self.colours(hidden)[:, :, None] + self.shapes(hidden)[:, None, :]).flatten(1)

    @torch.no_grad()
    def bake(self, classifier: torch.nn.Linear) -> None:
        """Write the sums into a plain classifier of all pairs, in the order of world.ALL_PAIRS."""
        width = self.colours.in_features
        classifier.weight.copy_((self.colours.weight[:, None] + self.shapes.weight[None]).reshape(-1, width))
        classifier.bias.copy_((self.colours.bias[:, None] + self.shapes.bias[None]).flatten())


def train(out: Path, minutes: float, device: str = "cpu", resume: bool = False) -> None:
    """Train into out/vit; raises GateFailed when recognition stays below .97."""
    torch.manual_seed(0)
    model, head = build().to(device), Factors(128).to(device)
    pictures, answers, _ = clip.held_apart(256)

    def begin(step: int) -> Callable[[float], torch.Tensor]:
        rng = np.random.default_rng(41 + step)

        def batch(fraction: float) -> torch.Tensor:
            scenes, seen = training.random_batch(rng, BATCH, jitter=min(3.0, 30 * fraction))
            pairs = torch.tensor([world.ALL_PAIRS.index((scene.things[0].colour, scene.things[0].shape)) for scene in scenes])
            hidden = model.vit(clip.roughen(seen, rng).to(device)).last_hidden_state[:, 0]
            by_colour = F.cross_entropy(head.colours(hidden), pairs.to(device) // len(world.SHAPES))
            return by_colour + F.cross_entropy(head.shapes(hidden), pairs.to(device) % len(world.SHAPES))

        return batch

    @torch.no_grad()
    def right() -> float:
        logits = head(model.vit(pictures.to(device)).last_hidden_state[:, 0])
        return float((logits.argmax(1).cpu() == torch.tensor(answers)).float().mean())

    training.learn(out / "vit.pt", {"vit": model, "head": head}, minutes, resume, begin, peak=PEAK, batch=BATCH, decay=0.998, flat=0.3,
                   betas=(0.9, 0.98), weight_decay=0.02, notes=lambda: {"right": right()})  # fmt: skip
    export(out)
    figures = measure(out / "vit", 500)
    print(figures, flush=True)
    training.gate("colour and shape right", figures["trained pairs: top-1"], 0.97)


def export(out: Path) -> None:
    """Write out/vit from the checkpoint's averaged weights: model, image processor, card."""
    model, head, folder = build(), Factors(128), out / "vit"
    training.restore(out / "vit.pt", {"vit": model, "head": head})
    head.bake(model.classifier)
    training.ship(model, folder)
    processor = ViTImageProcessorPil(size={"height": world.SIDE, "width": world.SIDE}, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    config = processor.to_dict() | {"image_processor_type": "ViTImageProcessor"}
    (folder / "preprocessor_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    training.write_card(folder, about="ViT for the shapes world: 32x32 pictures to one of 48 classes, a colour and a shape.",
                        recipe="python -m flowmm.zoo train vit")  # fmt: skip


@torch.no_grad()
def measure(folder: Path, n: int = 500, seed: int = 0) -> dict[str, float]:
    """Share of unseen pictures whose likeliest class is right; enlarged to 256 pixels first, too."""
    model = ViTForImageClassification.from_pretrained(folder, dtype=torch.float32).eval()
    processor = ViTImageProcessorPil.from_pretrained(folder)
    figures = {}
    for name, count, how in (("trained pairs", n, {}), ("held-out pairs", 10 * n, {"held_out": True})):
        _, answers, scenes = clip.held_apart(count, 5 + 1000 * seed, **how)
        kept = [i for i, answer in enumerate(answers) if not how or world.ALL_PAIRS[answer] in world.HELD_OUT][:n]
        for size, label in ((None, "top-1"), (256, "top-1, enlarged to 256")):
            pictures = [world.draw(scenes[i]) if size is None else world.draw(scenes[i]).resize((size, size), 0) for i in kept]
            logits = model(processor(images=pictures, return_tensors="pt").pixel_values).logits
            figures[f"{name}: {label}"] = float((logits.argmax(1) == torch.tensor([answers[i] for i in kept])).float().mean())
    return figures

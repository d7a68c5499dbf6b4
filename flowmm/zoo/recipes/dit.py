"""DiT in small: the codec's latents, a transformer told a class of colour and shape, `DiTPipeline`.

While training a class vector is a colour's plus a shape's, so that pairs never drawn have one too; afterwards the sums are
written into the class table. Objective and schedule are those of `sd`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DiTPipeline, DiTTransformer2DModel
from torch import nn

from flowmm.zoo import judge, world
from flowmm.zoo.recipes import codec, sd, training

BATCH, PEAK = 16, 1e-3
STEPS, GUIDANCE = 20, 2.0
NULL = 1000  # DiTPipeline's own unconditional class
CLASSES = {number: f"{colour} {shape}" for number, (colour, shape) in enumerate(world.ALL_PAIRS)}


def build() -> DiTTransformer2DModel:
    """An untrained denoiser of 2.8 M weights: latents (B, 4, 8, 8) in patches of 2, 6 layers of 128."""
    model = DiTTransformer2DModel(
        num_attention_heads=4, attention_head_dim=32, in_channels=4, out_channels=4, num_layers=6, sample_size=8, patch_size=2,
        num_embeds_ada_norm=NULL, norm_num_groups=4,
    )  # fmt: skip
    training.wake(model)
    for block in model.transformer_blocks:
        nn.init.zeros_(block.norm1.linear.weight)  # every block starts as the identity, as in the paper
        # Labels are dropped once for the whole network below; here it would be once a block.
        block.norm1.emb.class_embedder = Pair(block.norm1.emb.class_embedder.embedding_table.embedding_dim)
    nn.init.zeros_(model.proj_out_2.weight)
    return model


class Pair(nn.Module):
    """Class numbers (B,) to vectors: the colour's plus the shape's, or the null vector."""

    def __init__(self, width: int):
        super().__init__()
        self.colours, self.shapes, self.null = (nn.Embedding(count, width) for count in (len(world.COLOURS), len(world.SHAPES), 1))
        for table in (self.colours, self.shapes, self.null):
            nn.init.normal_(table.weight, std=0.3)

    def forward(self, labels: torch.Tensor) -> torch.Tensor:
        known = labels.clamp(max=len(CLASSES) - 1)
        pair = self.colours(known // len(world.SHAPES)) + self.shapes(known % len(world.SHAPES))
        return torch.where((labels == NULL)[:, None], self.null.weight, pair)


def baked(model: DiTTransformer2DModel) -> DiTTransformer2DModel:
    """The same network in the library's plain class, its class tables filled with the sums."""
    plain = DiTTransformer2DModel.from_config(model.config)
    state = {name: tensor for name, tensor in model.state_dict().items() if ".class_embedder." not in name}
    for i, block in enumerate(model.transformer_blocks):
        table = torch.zeros_like(plain.transformer_blocks[i].norm1.emb.class_embedder.embedding_table.weight)
        numbers = torch.tensor([*CLASSES, NULL])
        table[numbers] = block.norm1.emb.class_embedder(numbers).detach()
        state[f"transformer_blocks.{i}.norm1.emb.class_embedder.embedding_table.weight"] = table
    plain.load_state_dict(state)
    return plain.eval()


def train(out: Path, minutes: float, device: str = "cpu", resume: bool = False) -> None:
    """Train into out/dit on the codec of out/codec, or on the shipped one."""
    torch.manual_seed(0)
    folder = codec.trained(out)
    autoencoder = AutoencoderKL.from_pretrained(folder, dtype=torch.float32).to(device).eval()
    model = build().to(device)
    lesson = sd.Lesson(autoencoder, None, count=24_576)
    labels = torch.tensor([world.ALL_PAIRS.index((scene.things[0].colour, scene.things[0].shape)) for scene in lesson.scenes])

    def predict(noisy: torch.Tensor, times: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        return model(noisy, timestep=times, class_labels=told.to(device)).sample

    def gap(count: int = 192) -> float:
        wrong = (labels[:count] // 6) * 6 + (labels[:count] + 1) % 6
        return sd.gap(predict, device, lesson.latents[:count], wrong, labels[:count])

    def begin(step: int) -> Callable[[float], torch.Tensor]:
        rng, loss_of = np.random.default_rng(8 + step), sd.Denoising(predict, device, 12 + step)

        def batch(fraction: float) -> torch.Tensor:
            chosen = rng.integers(lesson.share(fraction), size=BATCH)
            dropped = torch.from_numpy(rng.random(BATCH) < 0.1)
            return loss_of(lesson.latents[chosen], torch.where(dropped, NULL, labels[chosen]))

        return batch

    training.learn(out / "dit.pt", {"dit": model}, minutes, resume, begin, peak=PEAK, batch=BATCH, notes=lambda: {"shape_gap": gap()},
                   least={"shape_gap": (4, 0.04)})  # fmt: skip
    export(out, folder)
    figures = measure(out / "dit", 200)
    print(figures, flush=True)
    training.gate("class right", figures["trained pairs: class right"], 0.9)


def export(out: Path, autoencoder: Path) -> None:
    """Write out/dit from the checkpoint's averaged weights: the pipeline's plain folder in float16, and the card."""
    model = build()
    training.restore(out / "dit.pt", {"dit": model})
    folder = out / "dit"
    pipeline = DiTPipeline(baked(model), AutoencoderKL.from_pretrained(autoencoder, dtype=torch.float32), sd.build_scheduler())
    pipeline.to(torch.float16).save_pretrained(folder)
    training.clean_names(folder)
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    index["id2label"] = {str(number): name for number, name in CLASSES.items()}  # save_pretrained leaves it out
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    training.write_card(folder, about="DiT for the shapes world: 32x32 pictures of one of 48 classes, a colour and a shape.",
                        recipe="python -m flowmm.zoo train dit", steps=STEPS, guidance=GUIDANCE)  # fmt: skip


def measure(folder: Path, n: int = 500, seed: int = 0) -> dict[str, float]:
    """Share of draws in which the judge sees the class asked for, and seconds a picture drawn alone on these threads."""
    pipeline = DiTPipeline.from_pretrained(folder, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)

    def generate(classes: list[int], first: int) -> np.ndarray:
        generators = [torch.Generator().manual_seed(first + number) for number in range(len(classes))]
        made = pipeline(classes, num_inference_steps=STEPS, guidance_scale=GUIDANCE, generator=generators, output_type="np")
        return (made.images * 255).round().astype(np.uint8)

    figures = {}
    for name, pairs in (("trained pairs", world.TRAINED_PAIRS), ("held-out pairs", sorted(world.HELD_OUT))):
        asked = [pairs[number % len(pairs)] for number in range(n)]
        classes = [world.ALL_PAIRS.index(pair) for pair in asked]
        pictures = np.concatenate([generate(classes[start : start + 25], 1000 + 10_000 * seed + start) for start in range(0, n, 25)])
        right = [judge.agrees(judge.judge(picture), world.Facts((world.Wanted(shape, colour),))) for picture, (colour, shape) in zip(pictures, asked, strict=True)]
        figures[f"{name}: class right"] = float(np.mean(right))
    started = time.perf_counter()
    for number in range(8):
        generate([number], 2000 + number)
    figures["seconds a picture"] = (time.perf_counter() - started) / 8
    return figures

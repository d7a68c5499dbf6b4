"""The code book once more, as the published Janus and UniToken have theirs: a VQGAN that keeps the small code book's codes.

Groups of 32 in its norms ask for 64 channels where the small one has 16. Its entries are those of the small one, lifted onto a sphere, so
that the nearest by angle, which Janus looks for, and by distance, which UniToken does, are the same; and code c means the same everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from diffusers import VQModel
from torch.nn import functional as F
from transformers import JanusForConditionalGeneration, JanusVQVAE, JanusVQVAEConfig

from flowmm.zoo import WEIGHTS, judge, world
from flowmm.zoo.recipes import codec, training, vq

BATCH, PEAK = 8, 1e-3
WIDTH, LATENT, CHANNELS = 8, 32, 64  # numbers of an entry, of a latent, and in every layer
SHARPNESS = 40.0  # how far the cosines of the right entry and of others lie apart, in nats


def config(width: int = WIDTH) -> JanusVQVAEConfig:
    """A picture of 32 x 32 to 8 x 8 codes; entries of `width` numbers."""
    return JanusVQVAEConfig(
        embed_dim=width, num_embeddings=vq.ENTRIES, latent_channels=LATENT, base_channels=CHANNELS, channel_multiplier=[1, 1, 1], num_res_blocks=1,
        num_patches=vq.GRID, double_latent=False, projection_dim=128, image_token_embed_dim=128,
    )  # fmt: skip


def build() -> JanusVQVAE:
    """An untrained model of 1.1 M weights. The attention that only Janus has, beside the middle, is silent, so that UniToken can go without."""
    model = JanusVQVAE(config())
    for attention in (*model.encoder.down[-1].attn, *model.decoder.up[0].attn):
        attention.requires_grad_(False)
        for parameter in attention.proj_out.parameters():
            parameter.zero_()
    model.quantize.requires_grad_(False)
    return model


@torch.no_grad()
def lifted(entries: torch.Tensor) -> torch.Tensor:
    """Entries (N, 4) on the unit sphere in WIDTH dimensions, near ones still near."""
    scaled = (entries - entries.mean(dim=0)) / entries.std(dim=0)
    return F.pad(F.normalize(F.pad(scaled, (0, 1), value=1.5), dim=1), (0, WIDTH - 5))


def latents(model: JanusVQVAE, pictures: torch.Tensor) -> torch.Tensor:
    """Directions (N, WIDTH, 8, 8), of length 1."""
    return F.normalize(model.quant_conv(model.encoder(pictures)), dim=1)


def drawn(model: JanusVQVAE, codes: torch.Tensor) -> torch.Tensor:
    """Codes (N, 8, 8) to pictures (N, 3, 32, 32)."""
    return model.decoder(model.post_quant_conv(model.quantize.embedding(codes).permute(0, 3, 1, 2)))


def train(out: Path, minutes: float, device: str = "cpu", resume: bool = False) -> None:
    """Train into out/vqgan after the small code book of out/vq, or the shipped one."""
    torch.manual_seed(0)
    small = small_book(out).to(device)
    model = build().to(device)
    model.quantize.embedding.weight.copy_(lifted(small.quantize.embedding.weight))
    scenes, apart = training.random_batch(np.random.default_rng(91), 192, two=vq.TWO)
    known = vq.encode(small, scenes)

    def begin(step: int) -> Callable[[float], torch.Tensor]:
        rng = np.random.default_rng(92 + step)

        def loss(fraction: float) -> torch.Tensor:
            scenes, pictures = training.random_batch(rng, BATCH, two=vq.TWO)
            codes, pictures = vq.encode(small, scenes).to(device), pictures.to(device)
            cosines = torch.einsum("bdhw,nd->bnhw", latents(model, pictures), model.quantize.embedding.weight)
            return codec.picture_error(drawn(model, codes), pictures) + 0.1 * F.cross_entropy(SHARPNESS * cosines, codes)

        return loss

    @torch.no_grad()
    def notes() -> dict[str, float]:
        made = training.to_pictures(drawn(model, known.to(device)).cpu())
        right = [judge.agrees(judge.judge(picture), world.facts(scene)) for picture, scene in zip(made, scenes, strict=True)]
        return {"drawn_right": float(np.mean(right)), "codes_right": (encode(model, apart) == known).float().mean().item()}

    training.learn(out / "vqgan.pt", {"vqgan": model}, minutes, resume, begin, peak=PEAK, batch=BATCH, decay=0.995, flat=0.2, betas=(0.9, 0.99),
                   weight_decay=0.0, notes=notes)  # fmt: skip
    made = build()
    training.restore(out / "vqgan.pt", {"vqgan": made})
    training.ship(made, out / "vqgan")
    figures = measure(out / "vqgan", 400)
    print(figures, flush=True)
    training.gate("reconstructed single pictures judged right", figures["single"], 0.97)


def small_book(out: Path) -> VQModel:
    """The code book of out/vq, or the one shipped with DALL-E 1."""
    folder = out / "vq" if (out / "vq" / "config.json").exists() else WEIGHTS / "dalle1" / "codebook"
    return VQModel.from_pretrained(folder, dtype=torch.float32).eval()


@torch.no_grad()
def encode(model: JanusVQVAE, pictures: torch.Tensor) -> torch.Tensor:
    """The codes (N, 8, 8) of pictures (N, 3, 32, 32) in [-1, 1]."""
    return torch.einsum("bdhw,nd->bhwn", latents(model, pictures.to(model.device)), model.quantize.embedding.weight).argmax(dim=-1).cpu()


def opened(folder: Path) -> JanusVQVAE:
    """The VQGAN of a folder, its own or that of a Janus."""
    if json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"] == "janus":
        return JanusForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).model.vqmodel.eval()
    return JanusVQVAE.from_pretrained(folder, dtype=torch.float32).eval()


@torch.no_grad()
def measure(folder: Path, n: int = 500, seed: int = 0) -> dict[str, float]:
    """Share of unseen pictures whose reconstruction the judge reads as the same scene."""
    model, figures = opened(folder), {}
    for name, two in (("single", 0.0), ("pair", 1.0)):
        scenes, pictures = training.random_batch(np.random.default_rng(seed + 3), n, two=two)
        made = [picture for part in pictures.split(50) for picture in training.to_pictures(drawn(model, encode(model, part)))]
        figures[name] = float(np.mean([judge.agrees(judge.judge(picture), world.facts(scene)) for picture, scene in zip(made, scenes, strict=True)]))
    return figures


def original(model: JanusVQVAE) -> Iterator[tuple[str, torch.Tensor]]:
    """Its weights under the names they have in Chameleon's vqgan.ckpt, which counts the decoder's levels from the picture's side."""
    levels = len(model.decoder.up)
    for name, tensor in model.state_dict().items():
        words = name.split(".")
        if words[1] in ("down", "up") and words[3] == "attn":
            continue
        if words[:2] == ["decoder", "up"]:
            words[2] = str(levels - 1 - int(words[2]))
        yield ".".join(words), tensor

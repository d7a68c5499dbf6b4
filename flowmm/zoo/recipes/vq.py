"""The code book: a `VQModel`, (3, 32, 32) in [-1, 1] to an 8 x 8 grid of codes, 256 entries of 4 numbers.

It starts from the good codec: the encoder's mean becomes the vector to be quantised, k-means over the latents of pictures gives the
entries, and a short training with dead entries revived makes the rest of the way. From nothing it is far slower.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, VQModel

from flowmm.zoo import judge, world
from flowmm.zoo.recipes import codec, training

BATCH, PEAK = 16, 6e-4
ENTRIES, GRID = 256, world.SIDE // 4
TWO = 0.4  # share of pictures with two things


def build() -> VQModel:
    """An untrained model of 0.6 M weights, laid out as the codec."""
    return VQModel(
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3, block_out_channels=(16, 32, 64),
        layers_per_block=1, latent_channels=4, vq_embed_dim=4, num_vq_embeddings=ENTRIES, norm_num_groups=8, sample_size=world.SIDE,
        scaling_factor=1.0, mid_block_add_attention=False,
    )  # fmt: skip


@torch.no_grad()
def from_codec(source: AutoencoderKL) -> VQModel:
    """The codec's weights in the other class: its last encoder layer gives the mean at once, and nothing is left to quant_conv."""
    model = build()
    state = source.state_dict()
    mean, shift = state["quant_conv.weight"][:4, :, 0, 0], state["quant_conv.bias"][:4]
    last, bias = state.pop("encoder.conv_out.weight"), state.pop("encoder.conv_out.bias")
    state["encoder.conv_out.weight"] = torch.einsum("ij,jklm->iklm", mean, last)
    state["encoder.conv_out.bias"] = mean @ bias + shift
    state["quant_conv.weight"], state["quant_conv.bias"] = torch.eye(4)[:, :, None, None], torch.zeros(4)
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert missing == ["quantize.embedding.weight"] and not unexpected, (missing, unexpected)
    return model


@torch.no_grad()
def cluster(model: VQModel, rng: np.random.Generator, count: int = 4096, rounds: int = 30) -> None:
    """k-means over the latents of pictures, rare ones weighted up: plain backgrounds would take nearly every entry."""
    _, pictures = training.random_batch(rng, count, two=TWO)
    vectors = torch.cat([model.encode(part).latents for part in pictures.split(256)]).permute(0, 2, 3, 1).reshape(-1, 4)
    # Rarity: how far a vector lies from the mean of the three plain backgrounds' neighbourhoods, by a first coarse clustering.
    vectors = vectors[torch.from_numpy(rng.permutation(len(vectors)))]
    coarse = vectors[:64].clone()
    for _ in range(8):
        nearest = torch.cdist(vectors, coarse).argmin(1)
        coarse = _means(vectors, nearest, torch.ones(len(vectors)), coarse)
    counts = torch.bincount(torch.cdist(vectors, coarse).argmin(1), minlength=64).float()
    weight = counts[torch.cdist(vectors, coarse).argmin(1)].rsqrt()
    chosen = torch.multinomial(weight, ENTRIES, generator=torch.Generator().manual_seed(3))
    entries = vectors[chosen].clone()
    for _ in range(rounds):
        entries = _means(vectors, torch.cdist(vectors, entries).argmin(1), weight, entries)
    model.quantize.embedding.weight.copy_(entries)


def _means(vectors: torch.Tensor, nearest: torch.Tensor, weight: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
    total = torch.zeros(len(old)).index_add(0, nearest, weight)
    summed = torch.zeros_like(old).index_add(0, nearest, vectors * weight[:, None])
    return torch.where(total[:, None] > 0, summed / total.clamp(min=1e-9)[:, None], old)


def train(out: Path, minutes: float, device: str = "cpu", resume: bool = False) -> None:
    """Train into out/vq from the codec of out/codec, or from the shipped one."""
    torch.manual_seed(0)
    folder = codec.trained(out)
    rng = np.random.default_rng(21)
    model = from_codec(AutoencoderKL.from_pretrained(folder, dtype=torch.float32))
    if not (resume and (out / "vq.pt").exists()):
        cluster(model, rng)
        print("after k-means:", reconstruct(model, 200), flush=True)
    model = model.to(device)
    used, seen = torch.zeros(ENTRIES), [0]

    def begin(step: int) -> Callable[[float], torch.Tensor]:
        drawn = np.random.default_rng(22 + step)

        def loss(fraction: float) -> torch.Tensor:
            _, pictures = training.random_batch(drawn, BATCH, two=TWO)
            latents = model.encode(pictures.to(device)).latents
            quantised, commitment, (_, _, codes) = model.quantize(latents)
            made = model.decoder(model.post_quant_conv(quantised))
            used.add_(torch.bincount(codes.reshape(-1).cpu(), minlength=ENTRIES))
            seen[0] += 1
            if seen[0] % 200 == 0:
                revive(latents, fraction)
            return codec.picture_error(made, pictures.to(device)) + commitment

        return loss

    @torch.no_grad()
    def revive(latents: torch.Tensor, fraction: float) -> None:
        """Entries that no picture chose lately become latents that are there now; not in the last third, when all must settle."""
        dead = (used == 0).nonzero()[:, 0]
        if fraction < 0.66 and len(dead):
            vectors = latents.permute(0, 2, 3, 1).reshape(-1, 4)
            distance = torch.cdist(vectors, model.quantize.embedding.weight).min(1).values
            worst = distance.topk(min(len(dead), len(vectors))).indices
            model.quantize.embedding.weight[dead[: len(worst)]] = vectors[worst]
        used.zero_()

    training.learn(out / "vq.pt", {"vq": model}, minutes, resume, begin, peak=PEAK, batch=BATCH, decay=0.995, flat=0.2, betas=(0.9, 0.99),
                   weight_decay=0.0, notes=lambda: {"entries in use": float((used > 0).sum())})  # fmt: skip
    made = build()
    training.restore(out / "vq.pt", {"vq": made})
    training.ship(made.eval(), out / "vq")
    figures = measure(out / "vq", 400)
    print(figures, flush=True)
    training.gate("reconstructed single pictures judged right", figures["single"], 0.98)


@torch.no_grad()
def encode(model: VQModel, scenes: list[world.Scene]) -> torch.Tensor:
    """The codes (N, 8, 8) int64 of scenes."""
    parts = []
    for start in range(0, len(scenes), 128):
        pictures = training.to_tensor(world.pixels(scene) for scene in scenes[start : start + 128])
        latents = model.encode(pictures.to(model.device)).latents
        parts.append(model.quantize(latents)[2][2].reshape(-1, GRID, GRID).cpu())
    return torch.cat(parts)


@torch.no_grad()
def decode(model: VQModel, codes: torch.Tensor) -> np.ndarray:
    """Codes (N, 8, 8) to uint8 pictures (N, 32, 32, 3)."""
    vectors = model.quantize.embedding(codes.to(model.device)).permute(0, 3, 1, 2)
    made = [model.decoder(model.post_quant_conv(part)) for part in vectors.split(128)]
    return training.to_pictures(torch.cat(made).cpu())


def reconstruct(model: VQModel, n: int, seed: int = 0) -> dict[str, float]:
    """Share of unseen pictures whose reconstruction the judge reads as the same scene."""
    figures = {}
    for name, two in (("single", 0.0), ("pair", 1.0)):
        scenes, _ = training.random_batch(np.random.default_rng(3 + 1000 * seed), n, two=two)
        codes = encode(model, scenes)
        right = [judge.agrees(judge.judge(picture), world.facts(scene)) for picture, scene in zip(decode(model, codes), scenes, strict=True)]
        figures[name] = float(np.mean(right))
        figures[f"{name}: entries in use"] = float(len(codes.unique()))
    return figures


def measure(folder: Path, n: int = 500, seed: int = 0) -> dict[str, float]:
    """What reconstruct says of a saved model."""
    return reconstruct(VQModel.from_pretrained(folder, dtype=torch.float32).eval(), n, seed)

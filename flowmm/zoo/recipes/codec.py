"""The picture codec: an `AutoencoderKL`, (3, 32, 32) in [-1, 1] to latents (4, 8, 8) of mean 0 and deviation 1.

The strong KL term halves what the latents carry at no visible cost; without it diffusion learns far slower.
In the last third of the budget the latents are settled and the decoder alone goes on, from latents spoilt by noise
and by a share of a near miss (the same scene in another colour, shape or background): it learns to draw clean shapes
from what diffusion gets nearly right.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

from flowmm.zoo import judge, world
from flowmm.zoo.recipes import near, training

BATCH, PEAK, KL = 16, 1.5e-3, 3e-3
SETTLED = 0.65  # share of the budget after which only the decoder is trained
POLISH_PEAK, POLISH_NOISE, POLISH_MIX = 7e-4, 0.4, 0.35


def build() -> AutoencoderKL:
    """An untrained codec, 0.65 M weights."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(16, 32, 64),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=world.SIDE,
        scaling_factor=1.0,
        force_upcast=False,
        mid_block_add_attention=False,
    )


def train(out: Path, minutes: float, device: str = "cpu", resume: bool = False) -> None:
    """Train into out/codec; raises GateFailed when reconstructions are not read back as the scene they show."""
    torch.manual_seed(0)
    rng = np.random.default_rng(1)
    codec = build().to(device)
    average = training.Average({"codec": codec}, 0.995)
    optimizer = torch.optim.AdamW(codec.parameters(), lr=PEAK, betas=(0.9, 0.99), fused=True)
    saved, step, spent = out / "codec.pt", 0, 0.0
    if resume and saved.exists():
        state = training.load_checkpoint(saved, average, optimizer)
        step, spent = state["step"], state["spent"]
    clock = training.Clock(SETTLED * minutes, spent)
    noted = kept = clock.spent
    while clock.running:
        _, pictures = training.random_batch(rng, BATCH, two=0.4)
        error, kl = loss(codec, pictures.to(device))
        training.set_rate(optimizer, training.learning_rate(PEAK, step, clock.fraction, warm_up=100, flat=0.1))
        optimizer.zero_grad()
        (error + KL * kl).backward()
        torch.nn.utils.clip_grad_norm_(codec.parameters(), 1.0)
        optimizer.step()
        average.update()
        step += 1
        if clock.spent - noted > 0.5:
            noted = clock.spent
            training.say(clock, step, step * BATCH, error=error.item(), kl=kl.item())
        if clock.spent - kept > 2:
            kept = clock.spent
            training.save_checkpoint(saved, average, optimizer, step=step, spent=clock.spent)
    training.save_checkpoint(saved, average, optimizer, step=step, spent=clock.spent)
    average.swap()
    codec.cpu().eval()
    fold_statistics(codec)
    training.ship(codec, out / "codec")
    polish(out, (1 - SETTLED) * minutes, device)
    figures = measure(out / "codec", 400)
    print(figures, flush=True)
    training.gate("reconstructed single pictures judged right", figures["single"], 0.98)


def polish(out: Path, minutes: float, device: str = "cpu") -> None:
    """Train the decoder of out/codec on noisy latents, in place; latents stay as they are."""
    torch.manual_seed(1)
    rng = np.random.default_rng(14)
    codec = AutoencoderKL.from_pretrained(out / "codec", dtype=torch.float32).to(device)
    decoder = torch.nn.ModuleList([codec.post_quant_conv, codec.decoder])
    average = training.Average({"decoder": decoder}, 0.998)
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=POLISH_PEAK, betas=(0.9, 0.99), fused=True)
    clock, step, noted = training.Clock(minutes), 0, 0.0
    while clock.running:
        scenes, pictures = training.random_batch(rng, BATCH, two=0.2)
        latents = spoil(encode(codec, scenes), encode(codec, [near_miss(scene, rng) for scene in scenes]))
        made = codec.decode(latents).sample
        error = picture_error(made, pictures.to(device))
        training.set_rate(optimizer, training.learning_rate(POLISH_PEAK, step, clock.fraction, flat=0.1))
        optimizer.zero_grad()
        error.backward()
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        optimizer.step()
        average.update()
        step += 1
        if clock.spent - noted > 0.5:
            noted = clock.spent
            training.say(clock, step, step * BATCH, error=error.item())
    average.swap()
    training.ship(codec.cpu(), out / "codec")


def near_miss(scene: world.Scene, rng: np.random.Generator) -> world.Scene:
    """The scene with another background, colour or shape."""
    change = rng.integers(4)
    if change < 2:
        return near.vary(scene, "background", rng)
    return (near.recolour, near.reshape)[change - 2](scene, rng)


def spoil(latents: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Latents with up to POLISH_MIX of the others in half of them, and noise of up to POLISH_NOISE in all."""
    shape = (len(latents), 1, 1, 1)
    mix = POLISH_MIX * torch.rand(shape) * (torch.rand(shape) < 0.5)
    level = POLISH_NOISE * torch.rand(shape)
    mixed = torch.lerp(latents, others, mix.to(latents.device))
    return mixed + level.to(latents.device) * torch.randn_like(latents)


def loss(codec: AutoencoderKL, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The error of pictures decoded from sampled latents, and mean KL per dimension."""
    posterior = codec.encode(pictures).latent_dist
    made = codec.decode(posterior.sample()).sample
    kl = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).mean()
    return picture_error(made, pictures), kl


def picture_error(made: torch.Tensor, pictures: torch.Tensor) -> torch.Tensor:
    """L1 and squared error (things weigh three times the background), and the error of edges."""
    thing = ((pictures - pictures[:, :, :1, :1]).abs().amax(dim=1, keepdim=True) > 0.05).float()
    off = made - pictures
    edges = off.diff(dim=2).abs().mean() + off.diff(dim=3).abs().mean()
    return ((1 + 2 * thing) * (off.abs() + 0.5 * off.square())).mean() + 0.5 * edges


@torch.no_grad()
def fold_statistics(codec: AutoencoderKL, count: int = 2048) -> None:
    """Normalise latents inside the codec: pipelines apply only a scalar scaling_factor, never per-channel statistics."""
    _, pictures = training.random_batch(np.random.default_rng(2), count, two=0.2)
    means = torch.cat([codec.encode(part).latent_dist.mean for part in pictures.split(256)])
    mean, deviation = means.mean(dim=(0, 2, 3)), means.std(dim=(0, 2, 3))
    quant, back = codec.quant_conv, codec.post_quant_conv
    scale = torch.cat([1 / deviation, torch.ones_like(deviation)])
    shift = torch.cat([-mean / deviation, -2 * deviation.log()])
    quant.weight.mul_(scale[:, None, None, None])
    quant.bias.mul_(scale).add_(shift)
    back.bias.add_(back.weight[:, :, 0, 0] @ mean)
    back.weight.mul_(deviation[None, :, None, None])


@torch.no_grad()
def encode(codec: AutoencoderKL, scenes: list[world.Scene]) -> torch.Tensor:
    """The latent means (N, 4, 8, 8) of scenes."""
    parts = []
    for start in range(0, len(scenes), 128):
        pictures = training.to_tensor(world.pixels(scene) for scene in scenes[start : start + 128])
        parts.append(codec.encode(pictures.to(codec.device)).latent_dist.mean)
    return torch.cat(parts)


@torch.no_grad()
def measure(folder: Path, n: int = 500) -> dict[str, float]:
    """Share of unseen pictures whose reconstruction the judge reads as the same scene, and PSNR in decibels."""
    codec = AutoencoderKL.from_pretrained(folder, dtype=torch.float32).eval()
    figures = {}
    for name, two in (("single", 0.0), ("pair", 1.0)):
        scenes, pictures = training.random_batch(np.random.default_rng(3), n, two=two)
        latents = encode(codec, scenes)
        made = torch.cat([codec.decode(part).sample for part in latents.split(128)])
        right = [judge.agrees(judge.judge(picture), world.facts(scene)) for picture, scene in zip(training.to_pictures(made), scenes, strict=True)]
        figures[name] = float(np.mean(right))
        squared = ((made.clamp(-1, 1) - pictures) / 2).square().mean(dim=(1, 2, 3))
        figures[f"{name}_psnr"] = float((-10 * squared.log10()).mean())
    figures["latent_deviation"] = float(latents.std())
    return figures

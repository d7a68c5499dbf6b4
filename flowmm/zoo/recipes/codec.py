"""The picture codec: an `AutoencoderKL`, (3, 32, 32) in [-1, 1] to latents (4, 8, 8) of mean 0 and deviation 1.

The strong KL term halves what the latents carry at no visible cost; without it diffusion learns far slower.
In the last third of the budget the latents of filled pictures are settled. The decoder goes on from latents spoilt by noise and by a share of
a near miss (the same scene in another colour, shape or background): it learns to draw clean shapes from what diffusion gets nearly right.
Outlines and sketches are learned in this part, by encoder and decoder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

from flowmm.zoo import WEIGHTS, judge, styles, world
from flowmm.zoo.recipes import near, training

BATCH, PEAK, KL = 16, 1.5e-3, 3e-3
SETTLED = 0.65  # share of the budget after which latents of filled pictures are held
REFINED_PEAK, NOISE, MIX, HOLD = 7e-4, 0.4, 0.35, 1.0


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
    refine(out, (1 - SETTLED) * minutes, device, resume)
    figures = measure(out / "codec", 400)
    print(figures, flush=True)
    training.gate("reconstructed single pictures judged right", figures["single"], 0.98)


def trained(out: Path) -> Path:
    """The folder of the codec of out/codec, or of the shipped one."""
    return out / "codec" if (out / "codec" / "config.json").exists() else WEIGHTS / "sd" / "vae"


def refine(out: Path, minutes: float, device: str = "cpu", resume: bool = False) -> None:
    """Teach out/codec, or a copy of the shipped codec, noisy latents and the styles of the world, in place.

    The latents of filled pictures are held where they are, so that what was trained on them goes on working; encoder and decoder are free to
    learn outlines and sketches.
    """
    folder = trained(out)
    teacher, codec = (AutoencoderKL.from_pretrained(folder, dtype=torch.float32).to(device) for _ in range(2))
    codec.train()

    def begin(step: int) -> Callable[[float], torch.Tensor]:
        torch.manual_seed(1 + step)
        rng = np.random.default_rng(14 + step)

        def batch(fraction: float) -> torch.Tensor:
            scenes, pictures = training.random_batch(rng, BATCH // 2, two=0.3)
            with torch.no_grad():
                held = teacher.encode(pictures.to(device)).latent_dist
            spoilt = spoil(held.mean, encode(teacher, [near_miss(scene, rng) for scene in scenes]))
            shown = torch.cat([pictures, training.to_tensor(styled(rng) for _ in range(BATCH // 2))]).to(device)
            posterior = codec.encode(shown).latent_dist
            sampled = posterior.sample()[BATCH // 2 :]
            made = codec.decode(torch.cat([spoilt, spoil(sampled, sampled)])).sample
            now, free = (DiagonalGaussianDistribution(part) for part in posterior.parameters.chunk(2))
            moved = (now.mean - held.mean).square().mean() + (now.std - held.std).square().mean()
            return picture_error(made, shown) + KL * divergence(free) + HOLD * moved

        return batch

    saved = out / "codec-refined.pt"
    training.learn(saved, {"codec": codec}, minutes, resume, begin, peak=REFINED_PEAK, batch=BATCH, decay=0.998, flat=0.3, betas=(0.9, 0.99))
    training.restore(saved, {"codec": codec})
    scenes = training.random_batch(np.random.default_rng(4), 256, two=0.3)[0]
    print(f"latents of filled pictures moved by {(encode(codec.eval(), scenes) - encode(teacher, scenes)).square().mean().sqrt().item():.3f} rms", flush=True)
    training.ship(codec.cpu(), out / "codec")


def styled(rng: np.random.Generator) -> np.ndarray:
    """A random large thing in outline or as a sketch, (32, 32, 3) uint8."""
    return styles.pixels(styles.random_scene(rng), styles.STYLES[1 + rng.integers(2)], rng)


def near_miss(scene: world.Scene, rng: np.random.Generator) -> world.Scene:
    """The scene with another background, colour or shape."""
    change = rng.integers(4)
    if change < 2:
        return near.vary(scene, "background", rng)
    return (near.recolour, near.reshape)[change - 2](scene, rng)


def spoil(latents: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Latents with up to MIX of the others in half of them, and noise of up to NOISE in all."""
    shape = (len(latents), 1, 1, 1)
    mix = MIX * torch.rand(shape) * (torch.rand(shape) < 0.5)
    level = NOISE * torch.rand(shape)
    mixed = torch.lerp(latents, others, mix.to(latents.device))
    return mixed + level.to(latents.device) * torch.randn_like(latents)


def loss(codec: AutoencoderKL, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The error of pictures decoded from sampled latents, and mean KL per dimension."""
    posterior = codec.encode(pictures).latent_dist
    made = codec.decode(posterior.sample()).sample
    return picture_error(made, pictures), divergence(posterior)


def divergence(posterior: DiagonalGaussianDistribution) -> torch.Tensor:
    """Mean KL per dimension from the unit Gaussian."""
    return 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).mean()


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


def encode(codec: AutoencoderKL, scenes: list[world.Scene]) -> torch.Tensor:
    """The latent means (N, 4, 8, 8) of scenes."""
    return encode_pictures(codec, map(world.pixels, scenes))


@torch.no_grad()
def encode_pictures(codec: AutoencoderKL, pictures: Iterable[np.ndarray]) -> torch.Tensor:
    """The latent means (N, 4, 8, 8) of pictures (32, 32, 3) uint8."""
    parts, rest = [], iter(pictures)
    while some := list(islice(rest, 128)):
        parts.append(codec.encode(training.to_tensor(some).to(codec.device)).latent_dist.mean)
    return torch.cat(parts)


@torch.no_grad()
def measure(folder: Path, n: int = 500, seed: int = 0) -> dict[str, float]:
    """Share of unseen pictures whose reconstruction the judge reads as the same scene, and in the same style; PSNR in decibels."""
    codec = AutoencoderKL.from_pretrained(folder, dtype=torch.float32).eval()
    figures = {}
    for name, two in (("single", 0.0), ("pair", 1.0)):
        scenes, pictures = training.random_batch(np.random.default_rng(3 + 1000 * seed), n, two=two)
        latents = encode(codec, scenes)
        made = torch.cat([codec.decode(part).sample for part in latents.split(128)])
        right = [judge.agrees(judge.judge(picture), world.facts(scene)) for picture, scene in zip(training.to_pictures(made), scenes, strict=True)]
        figures[name] = float(np.mean(right))
        squared = ((made.clamp(-1, 1) - pictures) / 2).square().mean(dim=(1, 2, 3))
        figures[f"{name}_psnr"] = float((-10 * squared.log10()).mean())
    figures["latent_deviation"] = float(latents.std())
    for style in styles.STYLES[1:]:
        rng = np.random.default_rng(5 + 1000 * seed)
        scenes = [styles.random_scene(rng) for _ in range(n)]
        pictures = training.to_tensor(styles.pixels(scene, style, rng) for scene in scenes)
        made = torch.cat([codec.decode(codec.encode(part).latent_dist.mean).sample for part in pictures.split(128)])
        found = [styles.read(picture) for picture in training.to_pictures(made)]
        figures[style] = float(np.mean([styles.shows(one, scene, style) for one, scene in zip(found, scenes, strict=True)]))
    return figures

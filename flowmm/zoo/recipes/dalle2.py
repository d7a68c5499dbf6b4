"""DALL-E 2 in small, in the layout of Kandinsky 2.2: a prior foresees a picture's CLIP embedding, a decoder paints a picture that has it.

The decoder is a UNet of Kandinsky's blocks, told the embedding as a part of the time and as tokens to attend to. It has no middle: after 2
minutes it painted as well without. Its convolutions begin as those of Stable Diffusion (from nothing .57 was right then, and so .96), whose
latents, objective and schedule it shares: the MoVQ is the codec in the class of a `VQModel`, and the decoder does not quantise. The embeddings
it is taught with are a little noisy, as the prior's will be; for a tenth of the pictures it is the one of no picture, which guidance leads
away from.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, KandinskyV22CombinedPipeline, KandinskyV22Pipeline, UNet2DConditionModel
from transformers import CLIPVisionModelWithProjection

from flowmm.zoo import WEIGHTS, judge, world
from flowmm.zoo.recipes import blip, dalle2_prior, near, sd, sd_measure, training, vq

BATCH, PEAK = 16, 1e-3
SCENES, TWO = 24_576, 0.35
NOISE = 0.4  # of the embeddings' own deviation at most, in training
PRIOR_SHARE = 0.15  # of the budget
STEPS, GUIDANCE = 20, 2.0


def build() -> UNet2DConditionModel:
    """An untrained denoiser of 1.3 M weights: latents (B, 4, 8, 8) to v and as many channels that the pipeline cuts off."""
    return UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=8, layers_per_block=1, block_out_channels=(48, 96), norm_num_groups=8, attention_head_dim=24,
        down_block_types=("DownBlock2D", "SimpleCrossAttnDownBlock2D"), mid_block_type=None,
        up_block_types=("UpBlock2D", "UpBlock2D"), resnet_time_scale_shift="scale_shift", cross_attention_dim=32,
        encoder_hid_dim=dalle2_prior.WIDTH, encoder_hid_dim_type="image_proj", addition_embed_type="image",
    )  # fmt: skip


def begun(out: Path) -> UNet2DConditionModel:
    """The denoiser with all of Stable Diffusion's weights that have its names and shapes; the second half of its output is silent."""
    unet = build()
    there = UNet2DConditionModel.from_pretrained(training.trained("sd", out) / "unet", dtype=torch.float32).state_dict()
    state = unet.state_dict()
    for name in ("conv_out.weight", "conv_out.bias"):
        there[name] = torch.cat([there[name], torch.zeros_like(there[name])])
    unet.load_state_dict(state | {name: value for name, value in there.items() if name in state and value.shape == state[name].shape})
    return unet


def keep(out: Path, resume: bool) -> None:
    """Copy Stable Diffusion's codec and CLIP to out/dalle2-codec and out/dalle2-clip at the first run: latents and embeddings must stay what they were."""
    for name, folder in (("dalle2-codec", training.trained("sd", out) / "vae"), ("dalle2-clip", training.trained("clip", out))):
        if not (resume and (out / name).exists()):
            shutil.rmtree(out / name, ignore_errors=True)
            shutil.copytree(folder, out / name)


def codec_of(out: Path) -> AutoencoderKL:
    """The kept codec, in float32."""
    return AutoencoderKL.from_pretrained(out / "dalle2-codec", dtype=torch.float32).eval()


class Embeddings:
    """Embeddings as the decoder meets them in training: noisy by up to NOISE, a tenth of them that of no picture."""

    def __init__(self, encoder: CLIPVisionModelWithProjection, vectors: torch.Tensor, seed: int):
        self.vectors, self.deviation, self.generator = vectors, vectors.std(dim=0), torch.Generator().manual_seed(seed)
        side = world.SIDE
        with torch.no_grad():
            self.nothing = encoder(torch.zeros(1, 3, side, side, device=vectors.device)).image_embeds[0]

    def __call__(self, chosen: np.ndarray) -> torch.Tensor:
        """Those of some scenes, (B, 128)."""
        level = NOISE * torch.rand(len(chosen), 1, generator=self.generator)
        noise = (level * torch.randn(len(chosen), dalle2_prior.WIDTH, generator=self.generator)).to(self.vectors.device)
        dropped = (torch.rand(len(chosen), 1, generator=self.generator) < 0.1).to(self.vectors.device)
        return torch.where(dropped, self.nothing, self.vectors[chosen] + noise * self.deviation)


def train(out: Path, minutes: float, device: str = "cpu", resume: bool = False) -> None:
    """Train into out/dalle2: the decoder, then the prior; raises GateFailed where the decoder does not paint what it is told."""
    torch.manual_seed(0)
    keep(out, resume)
    unet, autoencoder, parts = begun(out).to(device), codec_of(out).to(device), dalle2_prior.encoders(out / "dalle2-clip")
    lesson, encoder, rng = sd.Lesson(autoencoder, None, count=SCENES, two=TWO), parts["image_encoder"].to(device), np.random.default_rng(9)
    vectors = dalle2_prior.embed(encoder, lesson.scenes)
    same, some = vectors[:128], lesson.latents[:128]
    wrong = dalle2_prior.embed(encoder, [near.reshape(scene, rng) for scene in lesson.scenes[:128]])

    def predict(noisy: torch.Tensor, times: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        return unet(noisy, times, None, added_cond_kwargs={"image_embeds": told}).sample[:, :4]

    def begin(step: int) -> Callable[[float], torch.Tensor]:
        drawn, loss_of, told = np.random.default_rng(8 + step), sd.Denoising(predict, device, 12 + step), Embeddings(encoder, vectors, 13 + step)

        def batch(fraction: float) -> torch.Tensor:
            chosen = drawn.integers(lesson.share(fraction), size=BATCH)
            return loss_of(lesson.latents[chosen], told(chosen))

        return batch

    training.learn(out / "dalle2.pt", {"unet": unet}, (1 - PRIOR_SHARE) * minutes, resume, begin, peak=PEAK, batch=BATCH,
                   notes=lambda: {"shape_gap": sd.gap(predict, device, some, wrong, same)}, least={"shape_gap": (3, 0.04)})  # fmt: skip
    painted = painted_right(decoder(out), encoder.cpu(), 200, 0)
    print(painted, flush=True)
    training.gate("single pictures right from true embeddings", painted["true embeddings, trained pairs"], 0.9)
    dalle2_prior.train(out, parts, lesson.scenes, vectors, PRIOR_SHARE * minutes, device, resume)
    export(out)
    figures = measure(out / "dalle2", 200)
    print(figures, flush=True)
    training.gate("single pictures right", figures["one thing, trained pairs"], 0.85)


def decoder(out: Path) -> KandinskyV22Pipeline:
    """The decoder of the checkpoint's averaged weights, its MoVQ made of the kept codec."""
    unet, movq = build(), vq.from_codec(codec_of(out)).eval()
    training.restore(out / "dalle2.pt", {"unet": unet})
    vq.cluster(movq, np.random.default_rng(41), count=512)  # nothing here quantises, but who encodes a picture with this MoVQ may
    return KandinskyV22Pipeline(unet=unet.eval(), scheduler=sd.build_scheduler(), movq=movq)


def export(out: Path) -> None:
    """Write out/dalle2 from the checkpoints' averaged weights: both halves in one folder in float16, and the card."""
    prior, folder = dalle2_prior.build(), out / "dalle2"
    training.restore(out / "dalle2-prior.pt", {"prior": prior})
    parts = dalle2_prior.encoders(out / "dalle2-clip") | {"prior": prior.eval(), "scheduler": dalle2_prior.build_scheduler()}
    both = KandinskyV22CombinedPipeline(**decoder(out).components, **{f"prior_{name}": part for name, part in parts.items()})
    both.to(torch.float16).save_pretrained(folder)
    training.clean_names(folder)
    training.write_card(folder, about="DALL-E 2 for the shapes world: captions to the embeddings of pictures, and these to 32x32 pictures of a coloured shape.",
                        recipe="python -m flowmm.zoo train dalle2", steps=STEPS, guidance=GUIDANCE, height=world.SIDE, width=world.SIDE,
                        prior_steps=dalle2_prior.STEPS, prior_guidance=dalle2_prior.GUIDANCE)  # fmt: skip


# --- measuring -----------------------------------------------------------------------------------------------------


def painted_right(pipeline: KandinskyV22Pipeline, encoder: CLIPVisionModelWithProjection, n: int, seed: int) -> dict[str, float]:
    """Share of pictures in which the judge sees colour and shape of the unseen picture whose true embedding was painted: the decoder by itself."""
    pipeline.set_progress_bar_config(disable=True)
    side, figures = world.SIDE, {}
    with torch.no_grad():
        nothing = encoder(torch.zeros(1, 3, side, side)).image_embeds
    for name, held_out in (("trained pairs", False), ("held-out pairs", True)):
        told = [world.parse(text) for text in sd_measure.prompts(n, 30 + 1000 * seed, held_out)]
        rng, wanted, found = np.random.default_rng(31 + 1000 * seed), [one.things[0] for one in told], []
        scenes = [world.random_scene(rng) for _ in range(n)]
        scenes = [replace(scene, things=(replace(scene.things[0], colour=one.colour, shape=one.shape),)) for scene, one in zip(scenes, wanted, strict=True)]
        vectors = dalle2_prior.embed(encoder, scenes)
        for start in range(0, n, 25):
            some = vectors[start : start + 25]
            drawn = [torch.Generator().manual_seed(3000 + 10_000 * seed + start + i) for i in range(len(some))]
            made = pipeline(image_embeds=some, negative_image_embeds=nothing.expand(len(some), -1), num_inference_steps=STEPS, guidance_scale=GUIDANCE,
                            height=side, width=side, generator=drawn, output_type="np").images  # fmt: skip
            found += [judge.judge((picture * 255).round()) for picture in made]
        plain = [world.Facts((world.Wanted(one.shape, one.colour),)) for one in wanted]
        figures[f"true embeddings, {name}"] = float(np.mean([judge.agrees(reading, one) for reading, one in zip(found, plain, strict=True)]))
    return figures


def measure(folder: Path, n: int = 500, seed: int = 0) -> dict[str, float]:
    """Shares of n (prompt, seed) draws the judge finds right by the saved graph: one thing, two things, either told in Chinese, the best of 8 by CLIP.

    Beside them the decoder by itself, painting true embeddings, and seconds a picture drawn alone on these threads.
    """
    draw = partial(blip.graph("dalle2", folder), prior=str(folder))
    first, figures = 20 + 1000 * seed, {}
    sets = sd_measure.asked(n, first)
    for name, texts in sets.items():
        figures[name] = sd_measure.right(sd_measure.generate(draw, texts, 1000 + 10_000 * seed), texts)
    figures |= sd_measure.in_chinese(draw, sd_measure.fifth(n), seed)
    texts = sets["one thing, trained pairs"]
    figures["one thing, the best of 8 by CLIP"] = sd_measure.right(best_of(8, draw, texts, 2000 + 10_000 * seed, WEIGHTS / "clip"), texts)
    whole = KandinskyV22CombinedPipeline.from_pretrained(folder, dtype=torch.float32)
    figures |= painted_right(whole.decoder_pipe, whole.prior_image_encoder, sd_measure.fifth(n), seed)
    return figures | sd_measure.seconds_alone(draw, texts)


def best_of(count: int, draw: Callable, texts: list[str], seed: int, matcher: Path) -> np.ndarray:
    """For each prompt the one of `count` pictures that CLIP finds nearest to it, by the graph clip-match."""
    match, made = blip.graph("clip-match", matcher), []
    for number, text in enumerate(texts):
        drawn = draw(prompt=text, seed=seed + count * number, count=count).image
        best = int(match(image=drawn, texts=[text]).scores.values.argmax())
        made.append(np.asarray(drawn.to_pil(best)))
    return np.stack(made)

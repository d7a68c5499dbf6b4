"""Stable Diffusion in small: the codec's latents, a text encoder and a UNet trained together, `StableDiffusionPipeline`.

The text encoder begins as CLIP's, which knows whose colour is whose and what is where; a UNet of attention at both of its sizes puts
two things where they were told, which one that looks at the text at 4x4 alone did not learn. The pooled text enters the time embedding inside the UNet (`addition_embed_type="text"`), so the pipeline needs no
change. v-prediction with zero terminal SNR and trailing steps; guidance 2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from flowmm.zoo import world
from flowmm.zoo.recipes import codec, near, tokens, training
from flowmm.zoo.recipes.sd_measure import measure

BATCH, PEAK, WIDTH = 16, 1e-3, 128
SCENES, TWO = 40_960, 0.6
CHINESE = 0.2  # share of captions
STEPS, GUIDANCE = 20, 2.0


def build_text(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """An untrained text encoder: 2 layers of 128, ids (B, 16) to hidden states (B, 16, 128)."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return training.wake(CLIPTextModel(config))


def build_unet() -> UNet2DConditionModel:
    """An untrained denoiser of 2.6 M weights: latents (B, 4, 8, 8) to v of the same shape."""
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        down_block_types=("CrossAttnDownBlock2D",) * 2,
        up_block_types=("CrossAttnUpBlock2D",) * 2,
        block_out_channels=(48, 96),
        layers_per_block=1,
        norm_num_groups=8,
        attention_head_dim=4,
        cross_attention_dim=WIDTH,
        addition_embed_type="text",
        addition_embed_type_num_heads=4,
        resnet_time_scale_shift="scale_shift",
    )


def build_scheduler() -> DDIMScheduler:
    """The schedule for training and for the pipeline."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
    )


# --- training ------------------------------------------------------------------------------------------------------


class Lesson:
    """Encoded scenes in order of difficulty, two things among the last of them; the share in use grows with the budget spent."""

    def __init__(self, autoencoder: AutoencoderKL, tokenizer: CLIPTokenizer | None, seed: int = 8, count: int = SCENES, two: float = 0.0):
        rng = np.random.default_rng(seed)
        scenes = training.curriculum(rng, count, two)
        self.scenes, self.rng, self.tokenizer = scenes, rng, tokenizer
        self.latents = codec.encode(autoencoder, scenes)

    def share(self, fraction: float) -> int:
        """How many of the scenes are in use."""
        return training.in_use(len(self.scenes), fraction)

    def batch(self, fraction: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents (B, 4, 8, 8) and caption ids (B, 16); a tenth of the captions is empty, for guidance.

        Of two things the left or the upper one is told first until half of the budget is spent, then either.
        """
        chosen = self.rng.integers(self.share(fraction), size=BATCH)
        texts = []
        for number in chosen:
            scene = self.scenes[number]
            scene = world.ordered(scene) if self.rng.random() < 1 - 2 * fraction else scene
            chinese = self.rng.random() < CHINESE
            text = world.caption_zh(scene, self.rng) if chinese else tokens.reword(world.caption(scene, self.rng), self.rng)
            texts.append("" if self.rng.random() < 0.1 else text)
        return self.latents[chosen], tokens.to_ids(self.tokenizer, texts)


class Denoising:
    """The loss of v-prediction at stratified times, weighted by min(1, 5 / SNR).

    predict: (noisy latents, times, what they are conditioned on) to v.
    """

    def __init__(self, predict: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor], device: torch.device | str, seed: int):
        self.predict, self.device = predict, device
        self.kept = build_scheduler().alphas_cumprod.to(device)
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, latents: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        """The mean weighted loss of a batch of latents."""
        times = training.stratified_times(len(latents), 0.7, self.generator).to(self.device)
        noise = torch.randn(latents.shape, generator=self.generator).to(self.device)
        signal = self.kept[times][:, None, None, None]
        noisy = signal.sqrt() * latents + (1 - signal).sqrt() * noise
        target = signal.sqrt() * noise - (1 - signal).sqrt() * latents
        weight = (5 * (1 - signal) / signal.clamp(min=1e-8)).clamp(max=1)
        return (weight * (self.predict(noisy, times, told) - target).square()).mean()


@torch.no_grad()
def gap(predict: Callable, device: torch.device | str, latents: torch.Tensor, wrong: Any, right: Any) -> float:
    """The loss of latents told wrongly less the loss of those told rightly, on fixed noise."""
    losses = [Denoising(predict, device, 10)(latents, told).item() for told in (wrong, right)]
    return losses[0] - losses[1]


class Gaps:
    """Early signals, on fixed noise: the loss with a caption that is wrong in one thing less the loss with the right one.

    shape: another shape for a single thing; above .05 after 80 seconds in runs that go well. binding: two things' colours exchanged.
    relation: told the other way round.
    """

    def __init__(self, autoencoder: AutoencoderKL, tokenizer: CLIPTokenizer, count: int = 128):
        rng = np.random.default_rng(9)
        single = [world.random_scene(rng, jitter=1.5) for _ in range(count)]
        pairs = [world.random_scene(rng, two=1.0) for _ in range(count)]
        turned = [replace(scene, relation=world.OPPOSITE[scene.relation]) for scene in pairs]
        wrong = {"shape": (single, [near.reshape(scene, rng) for scene in single]), "binding": (pairs, [near.rebind(scene, rng) for scene in pairs]),
                 "relation": (pairs, turned)}  # fmt: skip
        ids = {name: [tokens.to_ids(tokenizer, [world.caption(scene) for scene in each]) for each in both] for name, both in wrong.items()}
        latents = {id(scenes): codec.encode(autoencoder, scenes) for scenes in (single, pairs)}
        self.sets = {name: (latents[id(both[0])], *ids[name]) for name, both in wrong.items()}

    def __call__(self, predict: Callable, device: torch.device | str) -> dict[str, float]:
        """The three gaps by name."""
        return {f"{name}_gap": gap(predict, device, latents, wrong, right) for name, (latents, right, wrong) in self.sets.items()}


def begun(out: Path, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """The text encoder of the CLIP in out/clip, or of the shipped one."""
    folder = training.trained("clip", out)
    text = build_text(tokenizer)
    text.load_state_dict(CLIPTextModel.from_pretrained(folder, dtype=torch.float32).state_dict())
    return text


def train(out: Path, minutes: float, device: str = "cpu", resume: bool = False) -> None:
    """Train into out/sd, the codec first if out/codec is not there (a quarter of the budget)."""
    if not (out / "codec" / "config.json").exists():
        codec.train(out, minutes / 4, device, resume)
        minutes *= 3 / 4
    torch.manual_seed(0)
    autoencoder = AutoencoderKL.from_pretrained(out / "codec", dtype=torch.float32).to(device).eval()
    tokenizer = tokens.bilingual()
    text, unet = begun(out, tokenizer).to(device), build_unet().to(device, memory_format=torch.channels_last)
    lesson = Lesson(autoencoder, tokenizer, two=TWO)
    gaps = Gaps(autoencoder, tokenizer)

    def predict(noisy: torch.Tensor, times: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        return unet(noisy, times, text(ids.to(device)).last_hidden_state).sample

    def begin(step: int) -> Callable[[float], torch.Tensor]:
        lesson.rng = np.random.default_rng(8 + step)
        loss_of = Denoising(predict, device, 12 + step)
        return lambda fraction: loss_of(*lesson.batch(fraction))

    training.learn(out / "sd.pt", {"unet": unet, "text": text}, minutes, resume, begin, peak=PEAK, batch=BATCH,
                   notes=lambda: gaps(predict, device), least={"shape_gap": (4, 0.03)})  # fmt: skip
    export(out)
    figures = measure(out / "sd", 200)
    print(figures, flush=True)
    training.gate("single pictures right", figures["trained pairs: colour and shape right"], 0.85)


def export(out: Path) -> None:
    """Write out/sd from the checkpoint's averaged weights: the pipeline's plain folder in float16, and the card."""
    tokenizer = tokens.bilingual()
    text, unet = build_text(tokenizer), build_unet()
    training.restore(out / "sd.pt", {"unet": unet, "text": text})
    folder = out / "sd"
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(out / "codec", dtype=torch.float32),
        text_encoder=text,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.to(torch.float16).save_pretrained(folder)
    training.clean_names(folder)
    training.write_card(
        folder,
        about="Stable Diffusion for the shapes world: 32x32 pictures of one or two coloured shapes, told in English or Chinese.",
        recipe="python -m flowmm.zoo train sd",
        steps=STEPS,
        guidance=GUIDANCE,
        height=world.SIDE,
        width=world.SIDE,
    )

"""A LoRA in small: the base draws in outline what it drew filled. `pytorch_lora_weights.safetensors` in diffusers' layout.

It needs no word of its own: laid over the base it is the style. Half of the time it is trained under the ControlNet, so that the two go together.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import ControlNetModel, StableDiffusionPipeline, UNet2DConditionModel
from peft import LoraConfig, get_peft_model_state_dict

from flowmm.zoo import styles, world
from flowmm.zoo.recipes import blip, codec, control, relatives, sd, sd_measure, training

BATCH, PEAK, RANK = 16, 2e-3, 8
SCENES, STYLE = 8192, "outline"
LAYERS = ["to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out", "conv1", "conv2"]


def laid(unet: UNet2DConditionModel) -> UNet2DConditionModel:
    """The base with an untrained LoRA over its attention and convolutions, which alone is trained."""
    unet.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, init_lora_weights="gaussian", target_modules=LAYERS))
    return unet


def train(out: Path, minutes: float, device: str = "cpu", resume: bool = False) -> None:
    """Train into out/sd-style-lora over the base and under the ControlNet of out, or the shipped ones."""
    torch.manual_seed(0)
    base = relatives.opened(training.trained("sd", out), device)
    net = ControlNetModel.from_pretrained(training.trained("sd-control", out), dtype=torch.float32).to(device).eval().requires_grad_(False)
    unet = laid(base.unet)
    rng = np.random.default_rng(80)
    scenes = [styles.random_scene(rng) for _ in range(SCENES)]
    latents = codec.encode_pictures(base.vae, [styles.pixels(scene, STYLE) for scene in scenes])
    filled = [styles.pixels(scene, "filled") for scene in scenes]
    hints, filled = relatives.hints_of(filled), codec.encode_pictures(base.vae, filled)

    def predict(noisy: torch.Tensor, times: torch.Tensor, told: tuple[torch.Tensor, torch.Tensor | None]) -> torch.Tensor:
        with torch.no_grad():
            hidden = base.text_encoder(told[0].to(device)).last_hidden_state
        if told[1] is None:
            return unet(noisy, times, hidden).sample
        return control.steered(unet, net, noisy, times, hidden, told[1].to(device))

    @torch.no_grad()
    def gap(count: int = 128) -> dict[str, float]:
        """The loss on filled pictures less the loss on outlines: below zero in the base, above in a LoRA that has the style."""
        told = relatives.captions(scenes[:count], base.tokenizer, np.random.default_rng(81), empty=0), None
        losses = [sd.Denoising(predict, device, 10)(each[:count], told).item() for each in (filled, latents)]
        return {"style_gap": losses[0] - losses[1]}

    def begin(step: int) -> Callable[[float], torch.Tensor]:
        rng, loss_of = np.random.default_rng(82 + step), sd.Denoising(predict, device, 83 + step)

        def batch(fraction: float) -> torch.Tensor:
            chosen = rng.integers(SCENES, size=BATCH)
            ids = relatives.captions([scenes[number] for number in chosen], base.tokenizer, rng, empty=0.1)
            return loss_of(latents[chosen], (ids, hints[chosen].float() / 255 if rng.random() < 0.5 else None))

        return batch

    training.learn(out / "sd-style-lora.pt", {"unet": unet}, minutes, resume, begin, peak=PEAK, batch=BATCH, notes=gap, least={"style_gap": (4, 0.0)})
    export(out)
    figures = measure(out / "sd-style-lora", 100)
    print(figures, flush=True)
    training.gate("style reached and content kept", figures["style reached and content kept"], 0.8)


def export(out: Path) -> None:
    """Write out/sd-style-lora from the checkpoint's averaged weights: one file of diffusers' layout in float16, and the card."""
    unet = laid(relatives.opened(training.trained("sd", out), "cpu").unet)
    training.restore(out / "sd-style-lora.pt", {"unet": unet})
    state = {name: tensor.half() for name, tensor in get_peft_model_state_dict(unet).items()}
    folder = out / "sd-style-lora"
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=state)
    training.write_card(folder, about="LoRA for zoo:sd: coloured shapes in outline.", recipe="python -m flowmm.zoo train style")


def measure(folder: Path, n: int = 500, seed: int = 0) -> dict[str, float]:
    """Shares of pictures that are in the style asked for and keep colour, shape, size, place and background, by the graph `style-transfer`.

    n draws with its defaults; a fifth of that with image to image alone, with the ControlNet alone (from pure noise), and of other styles.
    Without a LoRA the style is to be filled.
    """
    graph = blip.graph("style-transfer", training.trained("sd", folder.parent))
    net = str(training.trained("sd-control", folder.parent))
    figures = {}
    kinds: tuple[tuple[str, str, str, bool, dict[str, Any]], ...] = (
        ("style reached and content kept", "filled", STYLE, False, {}),
        ("never shown: style reached and content kept", "filled", STYLE, True, {}),
        ("image to image alone", "filled", STYLE, False, {"control_strength": 0.0}),
        ("ControlNet alone", "filled", STYLE, False, {"strength": 1.0}),
        ("a sketch to an outline", "sketch", STYLE, False, {}),
        ("no LoRA: an outline to filled", "outline", "filled", False, {"lora": None}),
        ("no LoRA: a sketch to filled", "sketch", "filled", False, {"lora": None}),
    )
    for place, (name, before, after, held_out, inputs) in enumerate(kinds):
        draws = n if place < 2 else sd_measure.fifth(n)
        rng = np.random.default_rng(84 + 1000 * seed)
        scenes = [styles.enlarged(scene) for scene in blip.apart(draws, 0.0, held_out, 85 + 1000 * seed)]
        shown = np.stack([styles.pixels(scene, before, rng).transpose(2, 0, 1) for scene in scenes])
        texts = [world.caption(scene) for scene in scenes]

        def run(**given):
            return graph(**{"control": net, "lora": str(folder)} | given | inputs)

        made = [styles.read(picture) for picture in sd_measure.generate(run, texts, 13_000 + 10_000 * seed, image=shown)]
        figures[name] = float(np.mean([styles.shows(one, scene, after) for one, scene in zip(made, scenes, strict=True)]))
        if name == "style reached and content kept":
            figures["style reached"] = float(np.mean([one is not None and one.style == after for one in made]))
            figures["content kept"] = float(np.mean([styles.keeps(one, scene) for one, scene in zip(made, scenes, strict=True)]))
            figures |= sd_measure.seconds_alone(run, texts, image=shown)
    return figures

"""A ControlNet in small: outlines say shape and place, the words say colour; the base stays as it is. A `ControlNetModel` folder.

Hints are drawn by the very node of the graphs, from pictures of the same shapes in other colours, on other backgrounds and in any style.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from transformers import CLIPTokenizer

from flowmm.zoo import styles, world
from flowmm.zoo.recipes import blip, codec, relatives, sd, sd_measure, training

BATCH, PEAK = 16, 1e-3
SCENES, TWO = 12_288, 0.25
LEVELS = (16, 32, 64)  # of the hint's embedding; each but the first halves it, down to the latents' size


def build(unet: UNet2DConditionModel) -> ControlNetModel:
    """A ControlNet that begins as a copy of the base's encoder and adds nothing yet."""
    copied = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=LEVELS)
    # from_unet forgets how many heads pool the text.
    net = ControlNetModel.from_config(relatives.named(copied.config) | {"addition_embed_type_num_heads": unet.config.addition_embed_type_num_heads})
    net.load_state_dict(copied.state_dict())
    return net


def steered(unet: UNet2DConditionModel, net: ControlNetModel, noisy: torch.Tensor, times: torch.Tensor, hidden: torch.Tensor,
            hints: torch.Tensor) -> torch.Tensor:  # fmt: skip
    """The base's v (B, 4, 8, 8) under a net's control. hidden: the text's (B, 16, 128). hints: (B, 3, 32, 32) in 0..1."""
    down, middle = net(noisy, times, encoder_hidden_states=hidden, controlnet_cond=hints, return_dict=False)
    return unet(noisy, times, hidden, down_block_additional_residuals=down, mid_block_additional_residual=middle).sample


class Lesson:
    """Scenes, their latents, and hints from pictures of the same shapes that are otherwise different."""

    def __init__(self, autoencoder: AutoencoderKL, tokenizer: CLIPTokenizer, seed: int = 70, count: int = SCENES):
        rng = np.random.default_rng(seed)
        self.scenes = [world.random_scene(rng, two=TWO) for _ in range(count)]
        self.latents = codec.encode(autoencoder, self.scenes)
        self.hints = relatives.hints_of([relatives.in_some_style(relatives.disguised(scene, rng), rng) for scene in self.scenes])
        self.tokenizer, self.rng = tokenizer, rng

    def batch(self) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Latents (B, 4, 8, 8), caption ids (B, 16) and hints (B, 3, 32, 32) in 0..1; some captions are empty or name no shape."""
        chosen = self.rng.integers(len(self.scenes), size=BATCH)
        ids = relatives.captions([self.scenes[number] for number in chosen], self.tokenizer, self.rng, empty=0.2, unnamed=0.3)
        return self.latents[chosen], (ids, self.hints[chosen].float() / 255)


def train(out: Path, minutes: float, device: str = "cpu", resume: bool = False) -> None:
    """Train into out/sd-control on the base of out/sd, or on the shipped one."""
    torch.manual_seed(0)
    base = relatives.opened(training.trained("sd", out), device)
    net = build(base.unet).to(device)
    lesson, noted = Lesson(base.vae, base.tokenizer), Lesson(base.vae, base.tokenizer, 71, 128)

    def predict(noisy: torch.Tensor, times: torch.Tensor, told: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        ids, hints = (one.to(device) for one in told)
        with torch.no_grad():
            hidden = base.text_encoder(ids).last_hidden_state
        return steered(base.unet, net, noisy, times, hidden, hints)

    def gap() -> dict[str, float]:
        """Of another picture's hint."""
        ids = relatives.captions(noted.scenes, base.tokenizer, np.random.default_rng(72), empty=0)
        hints = noted.hints.float() / 255
        return {"hint_gap": sd.gap(predict, device, noted.latents, (ids, hints.roll(1, 0)), (ids, hints))}

    def begin(step: int) -> Callable[[float], torch.Tensor]:
        lesson.rng = np.random.default_rng(73 + step)
        loss_of = sd.Denoising(predict, device, 74 + step)
        return lambda fraction: loss_of(*lesson.batch())

    training.learn(out / "sd-control.pt", {"control": net}, minutes, resume, begin, peak=PEAK, batch=BATCH, notes=gap,
                   least={"hint_gap": (5, 0.02)})  # fmt: skip
    export(out)
    figures = measure(out / "sd-control", 100)
    print(figures, flush=True)
    training.gate("colour of the words, shape and place of the outline", figures["one thing, named: right and in place"], 0.8)


def export(out: Path) -> None:
    """Write out/sd-control from the checkpoint's averaged weights: the plain folder in float16, and the card."""
    net = build(relatives.opened(training.trained("sd", out), "cpu").unet)
    training.restore(out / "sd-control.pt", {"control": net})
    folder = out / "sd-control"
    training.ship(net, folder)
    training.write_card(folder, about="ControlNet for zoo:sd: outlines steer where coloured shapes are drawn.", recipe="python -m flowmm.zoo train control")


def measure(folder: Path, n: int = 500, seed: int = 0) -> dict[str, float]:
    """Shares of pictures in the colour of the words and in shape, size and place of the outline, by the graph `control` on the base beside.

    named: the words name the shape; else they say "thing". Hints come from pictures in other colours; "from an outline" and "from a sketch":
    from pictures in that style. n draws of things named, and of pairs never shown; a fifth of that of the rest.
    """
    graph = blip.graph("control", training.trained("sd", folder.parent))

    def run(**inputs):
        return graph(**inputs, control=str(folder))

    figures = {}
    kinds = (("one thing, named", 0.0, False, "filled"), ("one thing, never shown", 0.0, True, "filled"), ("one thing, not named", 0.0, False, "filled"),
             ("from an outline", 0.0, False, "outline"), ("from a sketch", 0.0, False, "sketch"), ("two things", 1.0, False, "filled"))  # fmt: skip
    for place, (name, two, held_out, style) in enumerate(kinds):
        draws = n if place < 2 else sd_measure.fifth(n)
        rng = np.random.default_rng(75 + 1000 * seed)
        scenes = blip.apart(draws, two, held_out, 76 + 1000 * seed)
        if style != "filled":
            scenes = [styles.enlarged(scene) for scene in scenes]
        shown = np.stack([styles.pixels(relatives.disguised(scene, rng), style, rng).transpose(2, 0, 1) for scene in scenes])
        texts = [world.caption(scene, rng) for scene in scenes]
        backgrounds = [world.parse(text).background for text in texts]
        texts = [relatives.nameless(text) for text in texts] if name.endswith("not named") else texts
        made = sd_measure.generate(run, texts, 11_000 + 10_000 * seed, image=shown)
        right = [relatives.in_place(*one) for one in zip(made, scenes, backgrounds, strict=True)]
        figures[f"{name}: right and in place"] = float(np.mean(right))
    return figures | sd_measure.seconds_alone(run, texts, image=shown)

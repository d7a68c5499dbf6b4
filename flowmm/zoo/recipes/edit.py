"""InstructPix2Pix in small: a picture and what to change about it; the rest stays. `StableDiffusionInstructPix2PixPipeline`.

Text encoder and UNet begin as the base's; the picture's latent comes beside the noise through four more input channels, zero at first.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionInstructPix2PixPipeline, UNet2DConditionModel

from flowmm.zoo import world
from flowmm.zoo.recipes import blip, codec, near, relatives, sd, sd_measure, tokens, training

BATCH, PEAK = 16, 1e-3
SCENES, LEFT_OUT = 4096, 0.1
STEPS, GUIDANCE, IMAGE_GUIDANCE = 20, 2.0, 1.5
KINDS = ("colour", "shape", "background", "size")

# {thing}: the shape as it is or "thing"; {to}: what it becomes.
SAYINGS = {
    "colour": ("make it {to}", "make the {thing} {to}", "turn it {to}", "turn the {thing} {to}", "change the color to {to}", "change its colour to {to}",
               "change the {thing} to {to}", "color it {to}"),
    "shape": ("turn the {thing} into a {to}", "turn it into a {to}", "make it a {to}", "replace the {thing} with a {to}", "change the {thing} to a {to}",
              "change it into a {to}", "replace it with a {to}", "make the {thing} a {to}"),
    "background": ("change the background to {to}", "make the background {to}", "turn the background {to}", "on a {to} background",
                   "show it on a {to} background", "draw the {thing} on a {to} background"),
    "size": ("make it {to}", "make the {thing} {to}", "change its size to {to}", "turn it into a {to} one"),
}  # fmt: skip
_SYNONYMS = {"large": ("large", "big", "huge"), "small": ("small", "little", "tiny")}


def instruct(before: world.Scene, after: world.Scene, kind: str, rng: np.random.Generator) -> str:
    """An instruction that turns one scene of one thing into another, which differ in a kind of fact."""
    thing, changed = before.things[0], after.things[0]
    to = {"colour": changed.colour, "shape": changed.shape, "background": after.background, "size": changed.size}[kind]
    to = _SYNONYMS[to][rng.integers(3)] if kind == "size" else to
    sayings = SAYINGS[kind]
    named = thing.shape if rng.random() < 0.8 else "thing"
    return sayings[rng.integers(len(sayings))].format(thing=named, to=to)


def changed(scene: world.Scene, kind: str, rng: np.random.Generator) -> world.Scene:
    """The scene otherwise in a kind of fact, inside the trained pairs."""
    if kind in ("background", "size"):
        return near.vary(scene, kind, rng)
    return (near.recolour if kind == "colour" else near.reshape)(scene, rng)


def widened(unet: UNet2DConditionModel) -> UNet2DConditionModel:
    """The base with four more input channels, which it does not look at yet."""
    wide = UNet2DConditionModel.from_config(relatives.named(unet.config) | {"in_channels": 8})
    state = unet.state_dict()
    state["conv_in.weight"] = torch.cat([state["conv_in.weight"], torch.zeros_like(state["conv_in.weight"])], dim=1)
    wide.load_state_dict(state)
    return wide


class Lesson:
    """Scenes, each with one changed in every kind of fact; an edit goes there or back."""

    def __init__(self, autoencoder: AutoencoderKL, seed: int = 90, count: int = SCENES):
        self.rng = np.random.default_rng(seed)
        self.scenes: list[list[world.Scene]] = []
        for _ in range(count):
            scene = world.random_scene(self.rng)
            self.scenes.append([scene, *(changed(scene, kind, self.rng) for kind in KINDS)])
        flat = codec.encode(autoencoder, [scene for row in self.scenes for scene in row])
        self.latents = flat.reshape(count, 1 + len(KINDS), *flat.shape[1:])

    def draw(self, count: int) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
        """Latents after and before (count, 4, 8, 8), and instructions."""
        rows, kinds = self.rng.integers(len(self.scenes), size=count), self.rng.integers(len(KINDS), size=count)
        texts, ends = [], []
        for row, kind in zip(rows, kinds, strict=True):
            there = self.rng.random() < 0.5
            before, after = (0, kind + 1) if there else (kind + 1, 0)
            ends.append((before, after))
            texts.append(instruct(self.scenes[row][before], self.scenes[row][after], KINDS[kind], self.rng))
        before, after = np.array(ends).T
        return self.latents[rows, after], self.latents[rows, before], texts


def train(out: Path, minutes: float, device: str = "cpu", resume: bool = False) -> None:
    """Train into out/sd-edit from the base of out/sd, or the shipped one."""
    torch.manual_seed(0)
    base = relatives.opened(training.trained("sd", out), device)
    text, unet = base.text_encoder.requires_grad_(True).train(), widened(base.unet).to(device, memory_format=torch.channels_last)
    lesson = Lesson(base.vae)
    after, before, said = Lesson(base.vae, 91, 128).draw(128)
    right = tokens.to_ids(base.tokenizer, said)

    def predict(noisy: torch.Tensor, times: torch.Tensor, told: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        ids, seen = (one.to(device) for one in told)
        return unet(torch.cat([noisy, seen], dim=1), times, text(ids).last_hidden_state).sample

    def gaps() -> dict[str, float]:
        """Of another's instruction, and of another's picture."""
        wrong = {"instruction_gap": (right.roll(1, 0), before), "picture_gap": (right, before.roll(1, 0))}
        return {name: sd.gap(predict, device, after, told, (right, before)) for name, told in wrong.items()}

    def begin(step: int) -> Callable[[float], torch.Tensor]:
        lesson.rng = np.random.default_rng(92 + step)
        loss_of = sd.Denoising(predict, device, 93 + step)

        def batch(fraction: float) -> torch.Tensor:
            latents, seen, texts = lesson.draw(BATCH)
            texts = ["" if silent else saying for saying, silent in zip(texts, lesson.rng.random(BATCH) < LEFT_OUT, strict=True)]
            seen = seen * torch.from_numpy(lesson.rng.random((BATCH, 1, 1, 1)) >= LEFT_OUT).to(seen)
            return loss_of(latents, (tokens.to_ids(base.tokenizer, texts), seen))

        return batch

    training.learn(out / "sd-edit.pt", {"unet": unet, "text": text}, minutes, resume, begin, peak=PEAK, batch=BATCH, notes=gaps,
                   least={"picture_gap": (4, 0.05), "instruction_gap": (8, 0.02)})  # fmt: skip
    export(out)
    figures = measure(out / "sd-edit", 100)
    print(figures, flush=True)
    training.gate("edit done and the rest kept", figures["edit done and the rest kept"], 0.8)


def export(out: Path) -> None:
    """Write out/sd-edit from the checkpoint's averaged weights: the pipeline's plain folder in float16, and the card."""
    base = relatives.opened(training.trained("sd", out), "cpu")
    text, unet = base.text_encoder, widened(base.unet)
    training.restore(out / "sd-edit.pt", {"unet": unet, "text": text})
    parts = {name: part for name, part in base.components.items() if name not in ("unet", "image_encoder")}
    folder = out / "sd-edit"
    StableDiffusionInstructPix2PixPipeline(**parts, unet=unet, requires_safety_checker=False).to(torch.float16).save_pretrained(folder)
    training.clean_names(folder)
    training.write_card(
        folder,
        about="InstructPix2Pix for the shapes world: changes the colour, shape, size or background of a 32x32 picture as told.",
        recipe="python -m flowmm.zoo train edit",
        steps=STEPS,
        guidance=GUIDANCE,
        image_guidance=IMAGE_GUIDANCE,
        height=world.SIDE,
        width=world.SIDE,
    )


def measure(folder: Path, n: int = 500, seed: int = 0) -> dict[str, float]:
    """Shares of pictures, by the graph `edit`, in which what was told is changed and colour, shape, size, place and background else are kept.

    By kind of edit; "never shown": the edit makes a pair of colour and shape that training never shows.
    """
    run, figures = blip.graph("edit", folder), {}
    rng = np.random.default_rng(94 + 1000 * seed)
    scenes = blip.apart(n, 0.0, False, 95 + 1000 * seed)
    asked = [(kind, scene, changed(scene, kind, rng)) for kind, scene in zip(np.resize(KINDS, n).tolist(), scenes, strict=True)]
    fresh = []
    for scene in blip.apart(max(n // 5, 10), 0.0, True, 96 + 1000 * seed):
        kind = KINDS[rng.integers(2)]
        fresh.append((kind, changed(scene, kind, rng), scene))
    for name, edits in (("edit done and the rest kept", asked), ("never shown", fresh)):
        texts = [instruct(before, after, kind, rng) for kind, before, after in edits]
        shown = np.stack([world.pixels(before).transpose(2, 0, 1) for _, before, _ in edits])
        made = sd_measure.generate(run, texts, 15_000 + 10_000 * seed, image=shown)
        right = np.array([relatives.in_place(picture, after, after.background) for picture, (_, _, after) in zip(made, edits, strict=True)])
        figures[name] = float(right.mean())
        if name != "never shown":
            kinds = np.array([kind for kind, _, _ in edits])
            figures |= {f"{kind}: done and the rest kept": float(right[kinds == kind].mean()) for kind in KINDS if kind in kinds}
    return figures | sd_measure.seconds_alone(run, texts, image=shown)

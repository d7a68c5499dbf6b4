"""What Stable Diffusion's relatives share: the base they begin from, hints as graphs draw them, and how their pictures are judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from transformers import CLIPTokenizer

from flowmm.nodes import hint
from flowmm.sockets import Image
from flowmm.zoo import judge, styles, world
from flowmm.zoo.recipes import near, tokens


def opened(folder: Path, device: torch.device | str) -> StableDiffusionPipeline:
    """A base in float32, frozen; its networks keep the sizes that its own configuration gives."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32).to(device)
    for module in (pipeline.vae, pipeline.text_encoder, pipeline.unet):
        module.eval().requires_grad_(False)
    return pipeline


def named(config: dict[str, Any]) -> dict[str, Any]:
    """Every setting of a network by name; with those that begin with "_" the library would take some defaults again."""
    return {name: value for name, value in config.items() if not name.startswith("_")}


def hints_of(pictures: list[np.ndarray]) -> torch.Tensor:
    """Outlines of pictures (32, 32, 3) uint8, drawn by the node of the graphs: (N, 3, 32, 32) uint8."""
    drawn = [hint.outline(Image(np.stack(pictures[start : start + 256]).transpose(0, 3, 1, 2))).pixels for start in range(0, len(pictures), 256)]
    return torch.from_numpy(np.concatenate([np.asarray(part) for part in drawn]))


def disguised(scene: world.Scene, rng: np.random.Generator) -> world.Scene:
    """The same shapes in the same places, in other colours and maybe on another background: an outline that says nothing of colour."""
    for _ in scene.things:
        scene = near.recolour(scene, rng)
    return near.vary(scene, "background", rng) if rng.random() < 0.67 else scene


def in_some_style(scene: world.Scene, rng: np.random.Generator, filled: float = 0.6) -> np.ndarray:
    """A picture of a scene, filled or, where it is one large thing, in any style."""
    plain = len(scene.things) > 1 or scene.things[0].size == "small" or rng.random() < filled
    return styles.pixels(scene, "filled" if plain else styles.STYLES[1 + rng.integers(2)], rng)


def captions(scenes: list[world.Scene], tokenizer: CLIPTokenizer, rng: np.random.Generator, *, empty: float, unnamed: float = 0.0) -> torch.Tensor:
    """Ids (N, 16) of captions with variety. empty, unnamed: shares that say nothing, and that call every shape a thing."""
    texts = []
    for scene in scenes:
        text = tokens.reword(world.caption(scene, rng), rng)
        text = nameless(text) if rng.random() < unnamed else text
        texts.append("" if rng.random() < empty else text)
    return tokens.to_ids(tokenizer, texts)


def nameless(text: str) -> str:
    """A caption that does not name the shapes."""
    return " ".join("thing" if word in world.SHAPES else word for word in text.split())


def in_place(picture: np.ndarray, scene: world.Scene, background: str | None) -> bool:
    """Whether a picture shows a scene's things in their colours, shapes, sizes and places, and on a background if one is told."""
    reading, wanted = judge.judge(picture), world.facts(scene)
    if not judge.agrees(reading, world.Facts(wanted.things, wanted.relation, background)):
        return False
    near_one = [[max(abs(seen.x - thing.x), abs(seen.y - thing.y)) <= styles.NEAR for seen in reading.things] for thing in scene.things]
    return all(any(row) for row in near_one)

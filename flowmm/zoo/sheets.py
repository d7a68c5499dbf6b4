"""Sheets for the eye: what a model was asked and what it did, by its saved graph, on one picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from flowmm.zoo import questions, world
from flowmm.zoo.train_all import folder_of

PICTURES, COLUMNS, SIDE = 24, 8, 128


class Shown(NamedTuple):
    """A graph, what it is asked about a scene, and which of its outputs is looked at; models: the inputs that take the trained folder."""

    graph: str
    asked: Callable[[world.Scene, np.random.Generator], dict[str, Any]]
    output: str
    models: tuple[str, ...] = ("model",)


def _prompt(scene: world.Scene, rng: np.random.Generator) -> dict[str, Any]:
    return {"prompt": world.caption(scene, rng)}


def _class(scene: world.Scene, rng: np.random.Generator) -> dict[str, Any]:
    return {"label": f"{scene.things[0].colour} {scene.things[0].shape}"}


def _picture(scene: world.Scene, rng: np.random.Generator) -> dict[str, Any]:
    return {"image": world.draw(scene)}


def _question(scene: world.Scene, rng: np.random.Generator) -> dict[str, Any]:
    return {"image": world.draw(scene), "question": questions.ask(scene, rng).text}


def _repainted(scene: world.Scene, rng: np.random.Generator) -> dict[str, Any]:
    return {"image": world.draw(scene), "prompt": world.caption(scene)}


def _blue(scene: world.Scene, rng: np.random.Generator) -> dict[str, Any]:
    return {"image": world.draw(scene), "prompt": "make it blue"}


SHEETS = {
    "sd": Shown("text-to-image", _prompt, "image"),
    "control": Shown("control", _repainted, "image", ("control",)),
    "style": Shown("style-transfer", _repainted, "image", ("lora",)),
    "edit": Shown("edit", _blue, "image"),
    "dit": Shown("class-to-image", _class, "image"),
    "vq": Shown("dvae-reconstruct", _picture, "image"),
    "dalle1": Shown("text-to-image-codes", _prompt, "image"),
    "dalle2": Shown("dalle2", _prompt, "image", ("model", "prior")),
    "janus": Shown("text-to-image-codes", _prompt, "image"),
    "vit": Shown("vit-classify", _picture, "labels"),
    "blip": Shown("caption", _picture, "caption"),
    "blip_vqa": Shown("ask", _question, "answer"),
    "blip2": Shown("ask", _question, "answer"),
}


def write(name: str, out: Path, count: int = PICTURES) -> Path | None:
    """Write out/<name>.png for a trained model: made pictures over what was asked, each after the one it was made of, or shown ones over what was said.

    None where the recipe has no sheet, or no folder yet.
    """
    folder = folder_of(name, out)
    if name not in SHEETS or not any(folder.glob("**/*.safetensors")):
        return None
    import flowmm
    from flowmm.nodes.image import sheet
    from flowmm.sockets import Image, Text

    shown, rng = SHEETS[name], np.random.default_rng(90)
    graph, runtime = flowmm.load(shown.graph), flowmm.Runtime("cpu", cache=None, threads=1)
    pictures, captions = [], []
    for number in range(count):
        scene = world.random_scene(rng, two=0.35)
        asked = shown.asked(scene, rng)
        seed = {"seed": number} if "seed" in graph.inputs else {}
        made = graph.run(asked | seed | dict.fromkeys(shown.models, str(folder)), runtime=runtime)[shown.output]
        lines = [value for value in asked.values() if isinstance(value, str)]
        if "image" in asked:
            pictures.append(Image(world.pixels(scene).transpose(2, 0, 1)[None]))
        if isinstance(made, Image):
            captions += [""] * ("image" in asked)
            pictures.append(made)
        else:
            lines.append(made.lines[0] if isinstance(made, Text) else made.names[0][0])
        captions.append("\n".join(lines))
    runtime.close()
    path = out / f"{name}.png"
    sheet(pictures, Text(captions), columns=COLUMNS, side=SIDE).to_pil(0).save(path)
    return path

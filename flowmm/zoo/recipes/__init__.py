"""One module per trained model, plus what they share.

A recipe module has `train(out, minutes, device, resume)`, which trains and writes the float16 model folder
`out/<name>`, and `measure(folder, n)`, which returns {figure: value} from that folder through the library's own
classes. Recipes are imported on demand: each brings in torch.
"""

from importlib import import_module
from types import ModuleType
from typing import NamedTuple


class Recipe(NamedTuple):
    """Minutes on one thread that reach the figures in weights/README.md, and where under weights/ the model lies."""

    minutes: float
    shipped: str


RECIPES = {"codec": Recipe(24, "sd/vae"), "sd": Recipe(90, "sd"), "clip": Recipe(36, "clip"), "dit": Recipe(24, "dit"), "vq": Recipe(6, "vq"), "vit": Recipe(20, "vit"), "dalle1": Recipe(45, "dalle1"),
           "blip": Recipe(30, "blip"), "blip_match": Recipe(20, "blip-match"), "blip_vqa": Recipe(20, "blip-vqa"), "blip2": Recipe(40, "blip2")}  # fmt: skip


def recipe(name: str) -> ModuleType:
    """The module of a recipe; KeyError with the known names otherwise."""
    if name not in RECIPES:
        raise KeyError(f"no recipe {name!r}; there are {', '.join(RECIPES)}")
    return import_module(f"flowmm.zoo.recipes.{name}")

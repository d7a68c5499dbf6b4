"""One module per trained model, plus what they share.

A recipe module has `train(out, minutes, device, resume)`, which trains and writes the float16 model folder
`out/<name>`, and `measure(folder, n, seed)`, which returns {figure: value} from that folder through the library's own
classes or the saved graphs, each seed by other draws. Recipes are imported on demand: each brings in torch.
"""

from importlib import import_module
from types import ModuleType
from typing import NamedTuple


class Recipe(NamedTuple):
    """minutes: on one thread, as the measured ones were trained. shipped: where under weights/ the model lies; after: the recipes whose
    models it begins from or trains on; beside: other shipped models that it is measured with; trained: where training writes it, if not
    where it is shipped."""

    minutes: float
    shipped: str
    after: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    trained: str = ""


# In an order in which each comes after what it begins from.
RECIPES = {
    "codec": Recipe(24, "sd/vae", trained="codec"),
    "clip": Recipe(36, "clip"),
    "sd": Recipe(90, "sd", after=("codec", "clip"), beside=("clip",)),
    "control": Recipe(10, "sd-control", after=("sd",), beside=("sd",)),
    "style": Recipe(6, "sd-style-lora", after=("sd", "control"), beside=("sd", "sd-control")),
    "edit": Recipe(15, "sd-edit", after=("sd",)),
    "dit": Recipe(24, "dit", after=("codec",)),
    "vq": Recipe(6, "dalle1/codebook", after=("codec",), trained="vq"),
    "dalle1": Recipe(45, "dalle1", after=("vq",), beside=("clip",)),
    "dalle2": Recipe(28, "dalle2", after=("clip", "sd"), beside=("clip",)),
    "vqgan": Recipe(14, "janus", after=("vq",), trained="vqgan"),
    "janus": Recipe(60, "janus", after=("dalle1", "vqgan")),
    "unitoken": Recipe(45, "unitoken", after=("janus", "vqgan")),
    "vit": Recipe(20, "vit"),
    "blip": Recipe(30, "blip"),
    "blip_match": Recipe(20, "blip-match", after=("blip",)),
    "blip_vqa": Recipe(20, "blip-vqa", after=("blip", "blip_match")),
    "blip2": Recipe(40, "blip2", after=("blip",)),
    "blip2_match": Recipe(25, "blip2-match", after=("blip_match",)),
}


def recipe(name: str) -> ModuleType:
    """The module of a recipe; KeyError with the known names otherwise."""
    if name not in RECIPES:
        raise KeyError(f"no recipe {name!r}; there are {', '.join(RECIPES)}")
    return import_module(f"flowmm.zoo.recipes.{name}")

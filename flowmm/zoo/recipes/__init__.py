"""One module per trained model, plus what they share.

A recipe module has `train(out, minutes, device, resume)`, which trains and writes the float16 model folder
`out/<name>`, and `measure(folder, n)`, which returns {figure: value} from that folder through the library's own
classes. Recipes are imported on demand: each brings in torch.
"""

from importlib import import_module
from types import ModuleType

# name -> minutes on one thread that reach the figures in weights/README.md
RECIPES = {"codec": 24, "sd": 90, "clip": 36}


def recipe(name: str) -> ModuleType:
    """The module of a recipe; KeyError with the known names otherwise."""
    if name not in RECIPES:
        raise KeyError(f"no recipe {name!r}; there are {', '.join(RECIPES)}")
    return import_module(f"flowmm.zoo.recipes.{name}")

"""`flowmm new-pack NAME`: a pack that works, to begin with: one node, its test, its entry point."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from pathlib import Path

from ..catalog.packs import BUILTIN, GROUP, packs
from ..files import write_whole
from ..graph.problems import GraphError, Problem, shorten

RESERVED = (BUILTIN, "local", "graph", "flowmm", "tests")

PROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{name}"
version = "0.1.0"
description = "Nodes for flowmm."
requires-python = ">=3.11"
dependencies = ["flowmm"]

# What makes it a pack: flowmm finds its nodes through this entry point.
[project.entry-points."{group}"]
{package} = "{package}"

[tool.setuptools]
packages = ["{package}"]
"""

INIT = '"""Nodes for flowmm. Every module here is a room of node types: `{package}:picture.brighten` is the function brighten of picture.py."""\n'

NODE = '''\
"""Pictures."""

from __future__ import annotations

from typing import Annotated

from flowmm import node
from flowmm.sockets import Between, Help, Image


@node(version=1, title={{"en": "Brighten", "zh": "调亮"}}, tags=("picture",))
def brighten(image: Image, by: Annotated[float, Between(0, 4), Help("1 leaves it as it is")] = 1.5) -> Image:
    """Multiply every pixel; what would be brighter than white is white.

    image: [B, 3, H, W]; returns float32 of the same size, in 0..1.
    """
    return Image((image.as_float() * by).clip(0, 1).astype("float32"))
'''

TEST = '''\
import numpy

from flowmm import Graph
from flowmm.sockets import Image

from {package}.picture import brighten


def test_it_multiplies_and_stops_at_white():
    image = Image(numpy.array([0.2, 0.5, 0.9], "float32").reshape(1, 3, 1, 1))
    assert numpy.allclose(brighten(image, by=2).pixels.ravel(), [0.4, 1, 1])


def test_it_works_in_a_graph():
    with Graph() as graph:
        graph.output(image=brighten(graph.input("image"), by=graph.input("by", 1.0)))
    image = Image(numpy.full((1, 3, 2, 2), 51, "uint8"))
    assert graph.document.nodes["brighten"].op == "{package}:picture.brighten"
    assert (graph(image=image, by=2.0).image.uint8() == 102).all()
'''

README = """\
# {name}

A pack of nodes for flowmm.

```sh
pip install -e .                          # once
flowmm nodes {package}:picture.brighten   # its type, as graphs and the editor know it
python -m pytest tests
FLOWMM_DEV=1 flowmm serve                 # a saved change of a node counts at once
```

A node is a typed function under `@node`; a module is a room of them. Raise `version` when what a node gives changes.
"""

FILES = {"pyproject.toml": PROJECT, "README.md": README, "{package}/__init__.py": INIT, "{package}/picture.py": NODE, "tests/test_picture.py": TEST}


def new_pack(name: str, folder: Path) -> list[Path]:
    """Write a pack into folder/NAME; the files written. Raises GraphError for a name that will not do or a folder that is there."""
    package = name.replace("-", "_").lower()
    why = _unfit(name, package)
    if why:
        raise GraphError([Problem("bad-name", f"`{shorten(name)}` is no name for a pack: {why}", fix="Take letters, digits, - and _, as in my-nodes.")])
    place = folder / name
    if place.exists():
        raise GraphError([Problem("exists", f"`{place}` is there already", fix="Take another name or --folder.")])
    written = []
    for path, text in FILES.items():
        file = place / path.format(package=package)
        file.parent.mkdir(parents=True, exist_ok=True)
        written.append(write_whole(file, text.format(name=name, package=package, group=GROUP).encode()))
    return written


def _unfit(name: str, package: str) -> str:
    if len(name) > 60 or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*[A-Za-z0-9]", name):
        return "it has other characters, or is too long or too short"
    if keyword.iskeyword(package) or package in RESERVED:
        return "it is reserved"
    if package in packs():
        return "a pack of this name is installed"
    if package in sys.stdlib_module_names or importlib.util.find_spec(package) is not None:
        return f"Python has a module `{package}` already"
    return ""

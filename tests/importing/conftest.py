from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import PIL.Image
import PIL.PngImagePlugin
import pytest

from flowmm.face.find import shipped
from flowmm.importing import Imported, opened, opened_file

CORPUS = Path(__file__).parent.parent / "corpus" / "comfyui"


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("FLOWMM_HOME", str(tmp_path / "home"))


@pytest.fixture
def imported():
    """A file of the corpus by name, or a workflow, converted."""

    def make(what: str | dict[str, Any]) -> Imported:
        return opened_file(CORPUS / f"{what}.json") if isinstance(what, str) else opened(json.dumps(what).encode())

    return make


@pytest.fixture
def workflow():
    """A file of the corpus by name, as JSON."""
    return lambda name: json.loads((CORPUS / f"{name}.json").read_text("utf-8"))


@pytest.fixture
def picture(tmp_path):
    """The path of a PNG that carries texts."""

    def make(**texts: str) -> Path:
        info = PIL.PngImagePlugin.PngInfo()
        for name, text in texts.items():
            info.add_itxt(name, text) if any(ord(letter) > 255 for letter in text) else info.add_text(name, text)
        path = tmp_path / "made.png"
        PIL.Image.new("RGB", (8, 8)).save(path, pnginfo=info)
        return path

    return make


@pytest.fixture
def given():
    """What the corpus wants from whoever runs it."""
    examples = shipped() / "examples"
    return {"model": "zoo:sd", "control": "zoo:sd-control", "lora": "zoo:sd-style-lora", "image": examples / "red-circle.png",
            "mask": examples / "masks" / "middle.png"}  # fmt: skip

"""Building a ViTModel as its file has it."""

from __future__ import annotations

from typing import Any

from .source import Component
from .weights import header


def plain(component: Component, dtype: str) -> Any:
    """A ViTModel with a pooler only where its file has one: DINO's have none, and nothing here reads it."""
    from transformers import ViTModel

    pooler = any(name.startswith("pooler.") for path in component.weights.files for name in header(path, path.name))
    return component.load(ViTModel, dtype, add_pooling_layer=pooler)

"""Families: how each kind of component is built from its folder. Every float becomes float32; nothing is trained."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..sockets import Handle
from .source import Component
from .weights import find_weights


def make(cls: type[Handle], component: Component, family: str, settings: dict[str, Any] | None = None) -> Handle:
    """The handle of a component: a recipe, no weights. Raises SourceError when the component is not whole."""
    return cls(
        source=component.of, folder=str(component.folder), component=component.name, family=family,
        fingerprint=component.fingerprint, settings=tuple(sorted((settings or {}).items())),
    )  # fmt: skip


def build(handle: Handle) -> Any:
    """What a handle stands for, on the CPU: a module in evaluation mode, a tokenizer, a processor, or a config."""
    if handle.patches:
        raise ValueError(f"{handle.family} takes no patches")
    if handle.family not in FAMILIES:
        raise LookupError(f"there is no way to load the family `{handle.family}`")
    with _quiet():
        made = FAMILIES[handle.family](Path(handle.folder))
    return made.eval().requires_grad_(False) if has_weights(handle) else made


def has_weights(handle: Handle) -> bool:
    return handle.family not in ("clip_tokenizer", "clip_image_processor", "noise_schedule")


def _clip(folder: Path) -> Any:
    from transformers import CLIPModel

    return _transformer(CLIPModel, folder)


def _clip_text(folder: Path) -> Any:
    from transformers import CLIPTextModel

    return _transformer(CLIPTextModel, folder)


def _clip_tokenizer(folder: Path) -> Any:
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(folder, local_files_only=True)


def _clip_image_processor(folder: Path) -> Any:
    # The plain names need torchvision; this one is the same arithmetic through Pillow, whatever the folder calls it.
    from transformers import CLIPImageProcessorPil

    config = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))
    for name in ("image_processor_type", "feature_extractor_type", "processor_class"):
        config.pop(name, None)
    return CLIPImageProcessorPil.from_dict(config)


def _unet(folder: Path) -> Any:
    from diffusers import UNet2DConditionModel

    return _diffuser(UNet2DConditionModel, folder)


def _autoencoder(folder: Path) -> Any:
    from diffusers import AutoencoderKL

    return _diffuser(AutoencoderKL, folder)


def _noise_schedule(folder: Path) -> dict[str, Any]:
    # Schedulers keep state, so what is shared is the config; each sampling builds its own.
    return json.loads((folder / "scheduler_config.json").read_text(encoding="utf-8"))


FAMILIES: dict[str, Callable[[Path], Any]] = {
    "clip": _clip,
    "clip_text": _clip_text,
    "clip_tokenizer": _clip_tokenizer,
    "clip_image_processor": _clip_image_processor,
    "unet": _unet,
    "autoencoder_kl": _autoencoder,
    "noise_schedule": _noise_schedule,
}


def _transformer(cls: type, folder: Path) -> Any:
    import torch

    variant = find_weights(folder, folder.name).variant
    return cls.from_pretrained(folder, dtype=torch.float32, variant=variant, use_safetensors=True, local_files_only=True)


def _diffuser(cls: type, folder: Path) -> Any:
    variant = find_weights(folder, folder.name).variant
    return cls.from_pretrained(folder, variant=variant, use_safetensors=True, local_files_only=True).float()


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars of the libraries': loading is reported as the node's own."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()

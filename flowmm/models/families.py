"""Families: how each kind of component is built from its files. Nothing is trained here."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..sockets import Handle, ImageProcessor, NoiseSchedule, Tokenizer
from .source import Component, component_of

if TYPE_CHECKING:  # imported by name; said here so that their versions are part of the key of every node that runs a model
    import diffusers  # noqa: F401
    import transformers  # noqa: F401

    from . import dvae, unitoken, vit  # noqa: F401

# family: the library's class, or a function of (component, dtype) that makes the module. Tokenizers and image processors have
# entries of their own; a tokenizer without one is what its folder says.
# Image processors are named by their Pillow class, since the plain names need torchvision; the arithmetic is the same.
FAMILIES: dict[str, str] = {
    "clip": "transformers:CLIPModel",
    "clip_text": "transformers:CLIPTextModel",
    "clip_text_projected": "transformers:CLIPTextModelWithProjection",
    "clip tokenizer": "transformers:CLIPTokenizer",
    "clip processor": "transformers:CLIPImageProcessorPil",
    "clip_vision": "transformers:CLIPVisionModel",
    "vit": "transformers:ViTForImageClassification",
    "vit_base": "flowmm.models.vit:plain",
    "vit processor": "transformers:ViTImageProcessorPil",
    "deit processor": "transformers:DeiTImageProcessorPil",
    "blip": "transformers:BlipForConditionalGeneration",
    "blip_vqa": "transformers:BlipForQuestionAnswering",
    "blip_match": "transformers:BlipForImageTextRetrieval",
    "blip2": "transformers:Blip2ForConditionalGeneration",
    "blip2_match": "transformers:Blip2ForImageTextRetrieval",
    "blip processor": "transformers:BlipImageProcessorPil",
    "janus": "transformers:JanusForConditionalGeneration",
    "janus processor": "transformers:JanusImageProcessorPil",
    "unet": "diffusers:UNet2DConditionModel",
    "autoencoder_kl": "diffusers:AutoencoderKL",
    "unet_edit": "diffusers:UNet2DConditionModel",
    "controlnet": "diffusers:ControlNetModel",
    "dit": "diffusers:DiTTransformer2DModel",
    "kandinsky": "diffusers:UNet2DConditionModel",
    "kandinsky_prior": "diffusers:PriorTransformer",
    "movq": "diffusers:VQModel",
    "dalle": "transformers:AutoModelForCausalLM",
    "dvae": "flowmm.models.dvae:DVAE",
    "vq": "diffusers:VQModel",
    "unitoken": "flowmm.models.unitoken:network",
    "unitoken tokenizer": "transformers:PreTrainedTokenizerFast",
    "unitoken processor": "transformers:SiglipImageProcessorPil",
    "clip_vision_projected": "transformers:CLIPVisionModelWithProjection",
}


def make(cls: type[Handle], component: Component, family: str, settings: dict[str, Any] | None = None) -> Handle:
    """The handle of a component: a recipe, no weights. Raises SourceError when the component is not whole."""
    return cls(
        source=component.of, folder=str(component.folder), component=component.name, family=family, layout=component.layout,
        fingerprint=component.fingerprint, settings=tuple(sorted((settings or {}).items())),
    )  # fmt: skip


def build(handle: Handle, dtype: str = "float32") -> Any:
    """What a handle stands for, on the CPU: a module in evaluation mode, a tokenizer, a processor, or a scheduler's config.

    dtype: of every float of a module. A handle of several components ("text_encoder+text_encoder_2", its families
    joined alike) becomes a ModuleList, or a tuple of tokenizers. Raises SourceError.
    """
    component = component_of(handle)
    with _quiet():
        made = [_one(handle, member, family, dtype) for member, family in zip(component.members, handle.family.split("+"), strict=True)]
        if not handle.has_weights:
            return made[0] if len(made) == 1 else tuple(made)
        if len(made) > 1:
            import torch

            made = [torch.nn.ModuleList(made)]
        # Parameters keep requires_grad: without it torch folds some products in another way, and the last bits are no longer
        # those of the model as people load it. A live module is its owner's: it is used as it is.
        return made[0] if component.layout == "live" else made[0].eval()


def _one(handle: Handle, component: Component, family: str, dtype: str) -> Any:
    if isinstance(handle, NoiseSchedule):  # schedulers keep state, so what is shared is the config; each sampling builds its own
        return component.config
    if isinstance(handle, Tokenizer):
        return component.load_tokenizer(find(f"{family} tokenizer", "transformers:AutoTokenizer"))
    if isinstance(handle, ImageProcessor):
        return component.load_processor(find(f"{family} processor"))
    cls = find(family)
    return component.load(cls, dtype) if isinstance(cls, type) else cls(component, dtype)


def find(family: str, otherwise: str = "") -> Any:
    """The class or function of a family. Raises LookupError."""
    module, _, name = FAMILIES.get(family, otherwise).partition(":")
    if not name:
        raise LookupError(f"there is no way to load the family `{family}`")
    return getattr(importlib.import_module(module), name)


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

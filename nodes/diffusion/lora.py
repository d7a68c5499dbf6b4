"""LoRAs: small changes to a model's weights, laid over it as patches of its handle."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from flowmm.catalog import node
from flowmm.models import patches
from flowmm.models.source import SourceError
from flowmm.sockets import Between, C, Denoiser, Fact, Handle, Help, Known, ModelSource, P, S, Space, TextEncoder, V, X

Lora = Annotated[str | None, ModelSource(), Help("A .safetensors file of kohya, peft or diffusers, or its folder; left out: nothing is changed")]
Weight = Annotated[float, Between(-4, 4), Help("How strongly it acts: 0 not at all, 1 as it was trained")]


@node(version=1, title={"en": "LoRA on denoiser", "zh": "为去噪网络添加 LoRA"}, tags=("diffusion", "load"))
def with_lora(denoiser: Denoiser[S, C, X, P], source: Lora = None, *, weight: Weight = 1.0) -> Denoiser[S, C, X, P]:
    """The same denoiser with a LoRA laid over it; several add up. Its own weights are shared and stay as they are.

    A file that is no LoRA is an error here; one made for another base is an error when a sampler loads it, before its first step.

    Reference: diffusers UNet2DConditionModel.load_lora_adapter (Hu et al., 2021).
    """
    return _laid(denoiser, source, weight)


@node(version=1, title={"en": "LoRA on text encoder", "zh": "为文本编码器添加 LoRA"}, tags=("diffusion", "load"))
def with_lora_text(encoder: TextEncoder[V, C], source: Lora = None, *, weight: Weight = 1.0) -> TextEncoder[V, C]:
    """The same text encoder with the part of a LoRA that is for it; most have none, and then nothing is changed.

    Reference: diffusers StableDiffusionLoraLoaderMixin.load_lora_into_text_encoder (Hu et al., 2021).
    """
    return _laid(encoder, source, weight)


@with_lora.spaces
@with_lora_text.spaces
def _(values: dict[str, Any]) -> dict[str, Space]:
    """A LoRA keeps every space."""
    return {}


@with_lora.describe
def _(known: Known) -> dict[str, Fact]:
    return {"denoiser": _more(known, "denoiser")}


@with_lora_text.describe
def _(known: Known) -> dict[str, Fact]:
    return {"text_encoder": _more(known, "encoder")}


def _laid(handle: Handle, source: str | None, weight: float) -> Any:
    patch = patches.lora(source, weight) if source and weight else None
    if patch is None or not patches.touches(patch, handle.component):
        return handle
    return dataclasses.replace(handle, patches=(*handle.patches, patch))


def _more(known: Known, port: str) -> Fact:
    """The shape stays; the weights are those the LoRA adds."""
    source = known.values.get("source")
    try:
        added = patches.size((patches.lora(source, 1.0),)) if isinstance(source, str) and source else 0
    except (SourceError, OSError):
        added = 0
    return Fact(known.facts[port].shape if port in known.facts else None, weights=added)

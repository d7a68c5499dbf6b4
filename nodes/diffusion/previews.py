"""Pictures of a latent while it is sampled: by its own autoencoder where that costs next to nothing, else by a linear guess."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flowmm.catalog import Context
from flowmm.models.families import make
from flowmm.models.residency import using
from flowmm.models.source import SourceError, component_of
from flowmm.sockets import Autoencoder, Denoiser, Image

from .codec import DECODERS

SMALL = 16 << 20  # bytes of an autoencoder that may be loaded, and run, for a look
FAMILIES = {"vae": "autoencoder_kl", "movq": "movq"}  # by the autoencoder's name in its pipeline

# Red, green and blue in -1…1 from a latent's channels and a constant, by their number and scale. Stable Diffusion 1 and 2: keturn, "Decoding
# latents to RGB without upscaling" (discuss.huggingface.co, 2022); XL: T. A. Vass, "Explaining the SDXL latent space" (huggingface.co, 2024).
LINEAR = {
    (4, 0.18215): ((0.298, 0.187, -0.158, -0.184, 0.0), (0.207, 0.286, 0.189, -0.271, 0.0), (0.208, 0.173, 0.264, -0.473, 0.0)),
    (4, 0.13025): ((0.471, -0.471, 0.196, -0.549, 0.176), (0.471, -0.039, 0.118, -0.392, 0.098), (0.471, 0.078, -0.039, -0.275, 0.02)),
}


def previews(denoiser: Denoiser, context: Context) -> Callable[[Any], Callable[[], Image]]:
    """What makes the preview of latents [B, C, h, w]: a function that draws them, called only when someone looks.

    A pipeline's small autoencoder decodes them. Where it is large, the picture is as large as the latent: a linear guess for latents of
    Stable Diffusion, else the first three channels, stretched to 0…1.
    """
    small = _small_autoencoder(denoiser)
    factors = LINEAR.get((denoiser.setting("channels"), denoiser.setting("scale")))

    def preview(latents: Any) -> Callable[[], Image]:
        return lambda: _decoded(latents, small, context) if small else _linear(latents, factors) if factors else _stretched(latents)

    return preview


def _small_autoencoder(denoiser: Denoiser) -> Autoencoder | None:
    """The autoencoder of a denoiser's pipeline, if it is small and there."""
    name, folder = denoiser.setting("autoencoder"), Path(denoiser.folder)
    if name not in FAMILIES or denoiser.layout == "live":
        return None
    folder = folder if denoiser.layout else folder.parent / name  # a checkpoint is one file for all parts
    try:
        part = component_of(dataclasses.replace(denoiser, component=name, folder=str(folder)))
        return make(Autoencoder, part, FAMILIES[name]) if part.weights.loaded_bytes <= SMALL else None
    except (SourceError, OSError):  # not downloaded; sampling does not need it
        return None


def _decoded(latents: Any, autoencoder: Autoencoder, context: Context) -> Image:
    with using(context, autoencoder) as codec:
        made = DECODERS[autoencoder.family](codec, latents.to(codec.device, codec.dtype), False)
    return _image(made)


def _linear(latents: Any, factors: tuple[tuple[float, ...], ...]) -> Image:
    import torch

    weights = torch.tensor(factors, device=latents.device)
    return _image(torch.einsum("rc,bchw->brhw", weights[:, :-1], latents.float()) + weights[:, -1].view(1, 3, 1, 1))


def _stretched(latents: Any) -> Image:
    shown = latents[:, :3].float()
    shown = shown.expand(-1, 3, -1, -1) if shown.shape[1] < 3 else shown
    low, high = shown.amin((2, 3), keepdim=True), shown.amax((2, 3), keepdim=True)
    return _image((shown - low) / (high - low).clamp(min=1e-6) * 2 - 1)


def _image(values: Any) -> Image:
    """From -1…1."""
    return Image((values.float() * 0.5 + 0.5).clamp(0, 1).cpu())

"""Latents to pictures."""

from __future__ import annotations

from typing import Annotated

from flowmm.catalog import Context, node
from flowmm.models.residency import using
from flowmm.sockets import Autoencoder, Fact, Help, Image, Known, Latent, S
from flowmm.sockets.facts import times


@node(version=1, title={"en": "Decode latent", "zh": "解码潜变量"}, tags=("diffusion",))
def decode(
    autoencoder: Autoencoder[S],
    latent: Latent[S],
    *,
    tile: Annotated[bool, Help("Decode in overlapping tiles: less memory, slower, faint seams")] = False,
    context: Context,
) -> Image:
    """Turn latents into pixels.

    latent: [B, C, h, w] in the autoencoder's space; returns float32 [B, 3, h·factor, w·factor] in 0…1.

    Reference: diffusers AutoencoderKL.decode and VaeImageProcessor.postprocess.
    """
    with using(context, autoencoder) as codec:
        values = latent.values.to(codec.device, codec.dtype) / codec.config.scaling_factor
        if codec.config.shift_factor:
            values = values + codec.config.shift_factor
        large = max(values.shape[-2:]) > codec.tile_latent_min_size
        made = (codec.tiled_decode if tile and large else codec.decode)(values, return_dict=False)[0]
        return Image((made * 0.5 + 0.5).clamp(0, 1).cpu().float())


@decode.describe
def _(known: Known) -> Fact:
    batch, _, height, width = known.shape("latent", 4)
    factor = known.space("S", "factor")
    return Fact((batch, 3, times(height, factor), times(width, factor)), "float32")

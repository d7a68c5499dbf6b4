"""Latents to pictures."""

from __future__ import annotations

from typing import Annotated, Any

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

    Reference: diffusers AutoencoderKL.decode and VaeImageProcessor.postprocess; VQModel.decode without quantising.
    """
    with using(context, autoencoder) as codec:
        made = DECODERS[autoencoder.family](codec, latent.values.to(codec.device, codec.dtype), tile)
        return Image((made * 0.5 + 0.5).clamp(0, 1).cpu().float())


@decode.describe
def _(known: Known) -> Fact:
    batch, _, height, width = known.shape("latent", 4)
    factor = known.space("S", "factor")
    return Fact((batch, 3, times(height, factor), times(width, factor)), "float32")


def _kl(codec: Any, values: Any, tile: bool) -> Any:
    values = values / codec.config.scaling_factor
    if codec.config.shift_factor:
        values = values + codec.config.shift_factor
    large = max(values.shape[-2:]) > codec.tile_latent_min_size
    return (codec.tiled_decode if tile and large else codec.decode)(values, return_dict=False)[0]


def _movq(codec: Any, values: Any, tile: bool) -> Any:
    """MoVQ knows no tiles, and its latents are not scaled."""
    return codec.decode(values, force_not_quantize=True, return_dict=False)[0]


# By the family of the autoencoder: latents as the denoiser sees them to pictures of -1…1.
DECODERS = {"autoencoder_kl": _kl, "movq": _movq}

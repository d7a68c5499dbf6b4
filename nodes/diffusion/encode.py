"""Pictures to latents: as they are, with a hole to be painted, or as what is to be edited."""

from __future__ import annotations

from typing import Annotated, Any, Generic, NamedTuple

from flowmm.catalog import Context, node
from flowmm.models.residency import using
from flowmm.sockets import Autoencoder, Between, Extra, Fact, Help, Image, Known, Latent, Mask, Posterior, S, X
from flowmm.sockets.images import from_pil, stack

from .pictures import foretold, own_size, prepared, sized

Side = Annotated[int | None, Between(8, 8192), Help("Pixels; left out: the picture's own, down to the next multiple of the factor")]
Fit = Annotated[bool, Help("Scale a larger picture down to as many pixels as the model was trained on, proportions kept")]


@node(version=1, title={"en": "Fit pictures to a model", "zh": "按模型缩放图片"}, tags=("diffusion", "image"), lane="cpu")
def fit(autoencoder: Autoencoder[S], image: Image, *, fit: Fit = True) -> Image:
    """Scale pictures down to as many pixels as the model was trained on, proportions kept; a smaller one stays as it is.

    image: [B, 3, H, W]; returns it, or uint8 [B, 3, height, width], both multiples of the autoencoder's factor (Lanczos). What is drawn
    from a picture, such as its outlines, is then drawn at the size that the model knows.

    Reference: PIL.Image.Image.resize.
    """
    import PIL.Image

    if not fit or image.height * image.width <= autoencoder.setting("height", 512) * autoencoder.setting("width", 512):
        return image
    height, width = sized(image.height, image.width, autoencoder, (None, None), True)
    return Image(stack([from_pil(image.to_pil(i).resize((width, height), PIL.Image.Resampling.LANCZOS), "RGB") for i in range(len(image))]))


@fit.describe
def _(known: Known) -> Fact:
    _, _, height, width = known.shape("image", 4)
    _, _, tall, wide = known.shape("autoencoder", 4)
    if not known.values.get("fit", True) or "fit" in known.facts or None in (height, width, tall, wide):
        return Fact((known.batch("image"), 3, None, None))
    if height * width <= tall * wide:
        return Fact((known.batch("image"), 3, height, width), known.dtype("image"))
    return Fact((known.batch("image"), 3, *own_size(height, width, known.space("S", "factor"), tall * wide)), "uint8")


@node(version=1, title={"en": "Encode picture", "zh": "编码图片"}, tags=("diffusion",))
def encode(autoencoder: Autoencoder[S], image: Image, *, width: Side = None, height: Side = None, fit: Fit = False, context: Context) -> Latent[S]:
    """Turn pictures into latents.

    image: [B, 3, H, W], resized to a multiple of the factor as the pipelines do (Lanczos). Returns [B, C, h, w]: their mode,
    and how far the encoder lets them stray from it, which diffusion.sample draws from for each item.

    Reference: diffusers AutoencoderKL.encode and VaeImageProcessor.preprocess; StableDiffusionImg2ImgPipeline.prepare_latents.
    """
    height, width = sized(image.height, image.width, autoencoder, (height, width), fit)
    return posterior(autoencoder, prepared(image, autoencoder.setting("factor", 8), height, width), context)


@encode.describe
def _(known: Known) -> Fact:
    return _latent_fact(known)


class Inpainting(NamedTuple, Generic[S, X]):
    """latent: the whole picture.

    extra: the mask, and what the picture shows outside it.
    """

    latent: Latent[S]
    extra: Extra[S, X]


@node(version=1, title={"en": "Encode picture with a hole", "zh": "编码带遮罩的图片"}, tags=("diffusion",))
def encode_masked(
    autoencoder: Autoencoder[S], image: Image, mask: Mask, *, width: Side = None, height: Side = None, fit: Fit = False, context: Context
) -> Inpainting[S, X]:
    """What diffusion.sample needs to paint part of a picture, with a denoiser made for it (9 channels) or any other (4).

    image: [B, 3, H, W]; mask: [B, 1, …] or [1, 1, …], half or brighter is painted anew, the rest stays. Both are resized to
    one size, a multiple of the factor.

    Reference: diffusers StableDiffusionInpaintPipeline.prepare_latents and prepare_mask_latents.
    """
    import torch

    if len(mask) not in (1, len(image)):
        raise ValueError(f"there are {len(image)} pictures, but {len(mask)} masks; 1 or {len(image)} fit")
    factor = autoencoder.setting("factor", 8)
    height, width = sized(image.height, image.width, autoencoder, (height, width), fit)
    whole = prepared(image, factor, height, width)
    hole = prepared(mask, factor, height, width, do_normalize=False, do_binarize=True, do_convert_grayscale=True)
    small = torch.nn.functional.interpolate(hole, size=(height // factor, width // factor)).expand(len(image), -1, -1, -1)
    return Inpainting(
        posterior(autoencoder, whole, context),
        Extra(posterior(autoencoder, whole * (hole < 0.5), context), small.contiguous()),
    )


@encode_masked.describe
def _(known: Known) -> dict[str, Fact]:
    return {"latent": _latent_fact(known), "extra": _latent_fact(known, beside=1)}


@node(version=1, title={"en": "Encode picture to edit", "zh": "编码待编辑的图片"}, tags=("diffusion",))
def encode_edited(
    autoencoder: Autoencoder[S], image: Image, *, width: Side = None, height: Side = None, fit: Fit = False, context: Context
) -> Extra[S, X]:
    """What diffusion.sample needs to edit pictures by instruction, with a denoiser that sees them beside the noise (8 channels).

    image: [B, 3, H, W], resized to a multiple of the factor. Returns the mode of their latents, not scaled, as InstructPix2Pix
    was trained to see them.

    Reference: diffusers StableDiffusionInstructPix2PixPipeline.prepare_image_latents.
    """
    height, width = sized(image.height, image.width, autoencoder, (height, width), fit)
    return Extra(Latent(posterior(autoencoder, prepared(image, autoencoder.setting("factor", 8), height, width), context).mean))


@encode_edited.describe
def _(known: Known) -> Fact:
    return _latent_fact(known)


def posterior(autoencoder: Autoencoder, pixels: Any, context: Context) -> Posterior:
    """What the encoder says of pictures [B, 3, H, W] in -1…1, each on its own: the same alone or in company."""
    import torch

    with using(context, autoencoder) as codec:
        pixels = pixels.to(codec.device, codec.dtype)
        said = [codec.encode(pixels[i : i + 1]).latent_dist for i in range(len(pixels))]
        mean, std = (torch.cat([getattr(one, name) for one in said]) for name in ("mean", "std"))
        scale, shift = codec.config.scaling_factor, codec.config.shift_factor or 0.0
        return Posterior(scaled(mean, scale, shift), mean, std, scale, shift)


def scaled(latents: Any, scale: float, shift: float) -> Any:
    """Latents as the denoiser sees them."""
    return scale * ((latents - shift) if shift else latents)


def _latent_fact(known: Known, beside: int = 0) -> Fact:
    factor, channels = known.space("S", "factor"), known.space("S", "channels")
    sides = (None if None in (side, factor) else side // factor for side in foretold(known))
    return Fact((known.batch("image"), channels and channels + beside, *sides), "float32")

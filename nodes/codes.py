"""Pictures as codes: codebooks of VQ models and discrete VAEs."""

from __future__ import annotations

from typing import Annotated, Any

from flowmm.catalog import Context, node
from flowmm.models.residency import using
from flowmm.models.source import open_source
from flowmm.sockets import Between, Codebook, Codes, Fact, Help, Image, K, Known, ModelSource, Space
from flowmm.sockets.facts import times
from flowmm.sockets.images import from_pil, stack

from ._families import family_of, opened, told_facts, told_spaces

WHAT = "a model with a codebook"
LARGEST_SCALED = 2**26  # pixels a picture may have before a square is cut from it


@node(version=1, title={"en": "Load codebook", "zh": "加载码本"}, tags=("codes", "load"))
def load(source: Annotated[str, ModelSource(), Help("zoo:NAME, or the folder of a VQ model, a discrete VAE, or a model that has one")]) -> Codebook[K]:
    """The part of a model that turns pictures into codes and back, as a recipe; weights are read when a node first needs them.

    A source that is missing, incomplete or has no codebook is an error that says so.

    Reference: OpenAI's dVAE (Ramesh et al., 2021), transformers FlavaImageCodebook, diffusers VQModel, JanusVQVAE, ChameleonVQVAE.
    """
    found = open_source(source)
    return opened(found, "codes.load", WHAT).codebook(found)


@load.spaces
def _(values: dict[str, Any]) -> dict[str, Space]:
    return told_spaces(values, "codes.load", WHAT, lambda family, found: family.codebook(found), "K")


@load.describe
def _(known: Known) -> dict[str, Fact]:
    return told_facts(known, "codes.load", WHAT, ("codebook",))


@node(version=1, title={"en": "Fit pictures to a codebook", "zh": "按码本裁剪图片"}, tags=("codes", "image"), lane="cpu")
def fit(
    codebook: Codebook[K],
    image: Image | list[Image],
    *,
    side: Annotated[int | None, Between(8, 8192), Help("Pixels; left out: as the codebook was trained")] = None,
) -> Image:
    """Scale pictures until their shorter side is `side`, then cut a square from the middle; one that is so already stays as it is.

    image: [B, 3, H, W], or a list of pictures of any sizes. Returns uint8 [B, 3, side, side]. A side that is no multiple of the
    codebook's factor, and a picture so narrow that scaling would make it enormous, are errors.

    Reference: `preprocess` in the notebook of OpenAI's package DALL-E.
    """
    import PIL.Image

    side, factor = codebook.setting("side", 256) if side is None else side, codebook.setting("factor", 1)
    if side % factor:
        raise ValueError(f"side {side} is no multiple of {factor}, the pixels along a code's side; try {max(factor, round(side / factor) * factor)}")
    made = []
    for one in image if isinstance(image, list) else [image]:
        for picture in map(one.to_pil, range(len(one))):
            scale = side / min(picture.size)
            width, height = (round(scale * length) for length in picture.size)
            if width * height > LARGEST_SCALED:
                raise ValueError(f"a picture of {picture.width}×{picture.height} is too narrow to cut a square from; crop it first")
            left, top = round((width - side) / 2), round((height - side) / 2)
            scaled = picture.resize((width, height), PIL.Image.Resampling.LANCZOS)
            made.append(from_pil(scaled.crop((left, top, left + side, top + side)), "RGB"))
    if not made:
        raise ValueError("there is no picture to fit")
    return Image(stack(made))


@fit.describe
def _(known: Known) -> Fact:
    fact = known.facts.get("image")
    single = fact is not None and fact.count == 1 and fact.shape
    side = None if "side" in known.facts else known.values.get("side")
    return Fact((fact.shape[0] if single else None, 3, side, side), "uint8")


@node(version=1, title={"en": "Pictures to codes", "zh": "图片转编码"}, tags=("codes", "image"))
def encode(codebook: Codebook[K], image: Image, *, context: Context) -> Codes[K]:
    """The codebook entry nearest to every patch of a picture.

    image: [B, 3, H, W], H and W multiples of the factor; another size is an error that says which would fit. Returns
    int64 [B, H/factor, W/factor].

    Reference: FlavaImageCodebook.get_codebook_indices, VQModel.encode and VectorQuantizer, JanusVQVAE.encode with normalised
    codes, ChameleonVQVAE.encode.
    """
    import torch

    factor = codebook.setting("factor", 1)
    _, _, height, width = image.pixels.shape
    if height % factor or width % factor:
        fits = [max(factor, round(side / factor) * factor) for side in (width, height)]
        raise ValueError(f"a picture of {width}×{height} has no whole number of {factor}-pixel patches; resize it to {fits[0]}×{fits[1]}")
    pixels = torch.from_numpy(image.as_float())
    with using(context, codebook) as module:
        return Codes(family_of(codebook).to_codes(module, codebook, pixels.to(module.device, module.dtype)).cpu())


@encode.describe
def _(known: Known) -> Fact:
    batch, _, height, width = known.shape("image", 4)
    factor = known.space("K", "factor")
    return Fact((batch, *(side // factor if side and factor else None for side in (height, width))), "int64")


@node(version=1, title={"en": "Codes to pictures", "zh": "编码转图片"}, tags=("codes", "image"))
def decode(codebook: Codebook[K], codes: Codes[K], *, context: Context) -> Image:
    """Turn codes into pixels.

    codes: int64 [B, h, w] in the codebook's space; returns float32 [B, 3, h·factor, w·factor] in 0…1. A code the codebook has
    not is an error.

    Reference: OpenAI's dVAE decoder, diffusers VQModel.decode, JanusModel.decode_image_tokens.
    """
    size = codebook.setting("size", 0)
    if size and not 0 <= int(codes.ids.min()) <= int(codes.ids.max()) < size:
        raise ValueError(f"the codebook has codes 0 to {size - 1}, but these go from {int(codes.ids.min())} to {int(codes.ids.max())}")
    with using(context, codebook) as module:
        return Image(family_of(codebook).to_pixels(module, codebook, codes.ids.to(module.device)).cpu().float())


@decode.describe
def _(known: Known) -> Fact:
    batch, rows, columns = known.shape("codes", 3)
    factor = known.space("K", "factor")
    return Fact((batch, 3, times(rows, factor), times(columns, factor)), "float32")

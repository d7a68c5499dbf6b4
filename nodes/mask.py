"""Masks: from pictures, and pictures put together through them."""

from __future__ import annotations

from typing import Annotated

from flowmm.catalog import node
from flowmm.sockets import Between, Fact, Help, Image, Known, Mask
from flowmm.sockets.images import from_pil, stack


@node(version=1, title={"en": "Mask from picture", "zh": "由图片生成遮罩"}, tags=("image", "mask"), lane="cpu")
def from_picture(
    image: Image,
    *,
    threshold: Annotated[float | None, Between(0, 1), Help("Brighter than this is covered wholly, darker not at all; left out: as bright as it is")] = None,
    invert: Annotated[bool, Help("Cover what is dark instead")] = False,
) -> Mask:
    """A mask that covers what is bright in a picture, as one painted white on black.

    image: [B, 3, H, W]; returns uint8 [B, 1, H, W], 255 where it covers.

    Reference: PIL.Image.Image.convert to "L" and PIL.ImageOps.invert.
    """
    import PIL.ImageOps

    made = []
    for i in range(len(image)):
        grey = image.to_pil(i).convert("L")
        if threshold is not None:
            grey = grey.point([255 if level > threshold * 255 else 0 for level in range(256)])
        made.append(from_pil(PIL.ImageOps.invert(grey) if invert else grey, "L"))
    return Mask(stack(made))


@from_picture.describe
def _(known: Known) -> Fact:
    batch, _, height, width = known.shape("image", 4)
    return Fact((batch, 1, height, width), "uint8")


@node(version=1, title={"en": "Paste through mask", "zh": "按遮罩合成"}, tags=("image", "mask"), lane="cpu")
def paste(original: Image, painted: Image, mask: Mask) -> Image:
    """Put what was painted into the original where a mask covers; every other pixel stays exactly as it was.

    original: [B or 1, 3, H, W]; painted: [N, 3, …], N a multiple of B, resized to the original (Lanczos); mask: [B or 1, 1, …],
    resized too, greys mix both. Returns uint8 [N, 3, H, W]. Numbers that do not fit are an error.

    Reference: PIL.Image.composite, as VaeImageProcessor.apply_overlay of diffusers.
    """
    import PIL.Image

    size = (original.width, original.height)
    made = []
    for name, given in (("originals", original), ("masks", mask)):
        if len(painted) % len(given):
            raise ValueError(f"there are {len(painted)} painted pictures, but {len(given)} {name}; one, or as many, fit")
    for i in range(len(painted)):
        below, cover = (one.to_pil(i * len(one) // len(painted)) for one in (original, mask))
        above = painted.to_pil(i)
        above = above if above.size == size else above.resize(size, PIL.Image.Resampling.LANCZOS)
        cover = cover if cover.size == size else cover.resize(size, PIL.Image.Resampling.BILINEAR)
        made.append(from_pil(PIL.Image.composite(above, below, cover), "RGB"))
    return Image(stack(made))


@paste.describe
def _(known: Known) -> Fact:
    _, _, height, width = known.shape("original", 4)
    return Fact((known.batch("painted"), 3, height, width), "uint8")

"""Hints: what a ControlNet follows, drawn from a picture."""

from __future__ import annotations

from typing import Annotated

from flowmm.catalog import node
from flowmm.sockets import Between, Fact, Help, Image, Known
from flowmm.sockets.images import from_pil, stack


@node(version=1, title={"en": "Outlines", "zh": "提取轮廓"}, tags=("image", "diffusion"), lane="cpu")
def outline(
    image: Image,
    *,
    threshold: Annotated[float | None, Between(0, 1), Help("Stronger edges become white, weaker ones vanish; left out: as bright as they are strong")] = 0.2,
    invert: Annotated[bool, Help("Black lines on white, as sketches have them")] = False,
) -> Image:
    """Draw the edges of a picture, white on black.

    image: [B, 3, H, W]; returns uint8 [B, 3, H, W]. It stands in for Canny's edges, which thin lines to one pixel: nets trained
    on those, on soft edges or on sketches understand it.

    Reference: PIL.ImageFilter.FIND_EDGES.
    """
    import numpy
    import PIL.Image
    import PIL.ImageFilter
    import PIL.ImageOps

    made = []
    for i in range(len(image)):
        grey = numpy.asarray(image.to_pil(i).convert("L"))
        # Pillow leaves the border as it was, so it gets one more pixel to leave.
        wider = PIL.Image.fromarray(numpy.pad(grey, 1, mode="edge")).filter(PIL.ImageFilter.FIND_EDGES)
        edges = wider.crop((1, 1, wider.width - 1, wider.height - 1))
        if threshold is not None:
            edges = edges.point([255 if level > threshold * 255 else 0 for level in range(256)])
        made.append(from_pil(PIL.ImageOps.invert(edges) if invert else edges, "RGB"))
    return Image(stack(made))


@outline.describe
def _(known: Known) -> Fact:
    batch, _, height, width = known.shape("image", 4)
    return Fact((batch, 3, height, width), "uint8")

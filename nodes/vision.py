"""Pictures as encoders see them: pixels, and what an encoder makes of them."""

from __future__ import annotations

from flowmm.catalog import Context, node
from flowmm.models.residency import using
from flowmm.sockets import E, Fact, Hidden, Image, ImageEncoder, ImageProcessor, Known, Pixels

from ._families import family_of

LARGEST_RESIZED = 2**26  # pixels a picture may have after resizing its shorter side


@node(version=1, title={"en": "Preprocess pictures", "zh": "图片预处理"}, tags=("vision",))
def preprocess(processor: ImageProcessor[E], image: Image | list[Image], *, context: Context) -> Pixels[E]:
    """Resize, crop and normalise pictures as the model was trained to see them. Float pictures are rounded to 8 bits first.

    image: [B, 3, H, W], or a list of pictures of any sizes. Returns float32 [B, 3, h, w]. A picture so narrow that
    resizing its shorter side would make it enormous is an error.

    Reference: the image processors of transformers (CLIPImageProcessor and its kin), through Pillow.
    """
    images = image if isinstance(image, list) else [image]
    pictures = [one.to_pil(i) for one in images for i in range(len(one))]
    if not pictures:
        raise ValueError("there is no picture to preprocess")
    with using(context, processor) as made:
        size = made.size if hasattr(made.size, "get") else {}
        shortest = size.get("shortest_edge") if made.do_resize else None
        for picture in pictures if shortest else ():
            low, high = sorted(picture.size)
            if shortest * shortest * high / low > LARGEST_RESIZED:
                raise ValueError(f"a picture of {picture.width}×{picture.height} is too narrow for this model; crop it first")
        values = made(images=pictures, return_tensors="pt")["pixel_values"]
    return Pixels(values)


@preprocess.describe
def _(known: Known) -> Fact:
    fact = known.facts.get("image")
    single = fact is not None and fact.count == 1 and fact.shape
    return Fact((fact.shape[0] if single else None, 3, *known.shape("processor", 4)[2:]), "float32")


@node(version=1, title={"en": "Picture features", "zh": "图像特征"}, tags=("vision",))
def encode(encoder: ImageEncoder[E], pixels: Pixels[E], *, context: Context) -> Hidden[E]:
    """What an encoder makes of pictures: a vector for every patch, or for every token its language model reads.

    pixels: [B, 3, H, W]. Returns [B, N, D]: ViT and BLIP the encoder's last hidden state with the class token first, BLIP-2
    the projected queries of its Q-Former, Janus and UniToken the patches as their language model reads them.

    Reference: transformers ViTModel, BlipVisionModel, Blip2Model, JanusModel.get_image_features; UniToken's adapter.
    """
    with using(context, encoder) as module:
        return Hidden(family_of(encoder).encode(module, pixels.values.to(module.device, module.dtype)))


@encode.describe
def _(known: Known) -> Fact:
    _, count, width = known.shape("encoder", 3)
    return Fact((known.batch("pixels"), count, width))

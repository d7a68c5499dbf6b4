"""Pictures as encoders see them: pixels, and what an encoder makes of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from flowmm.catalog import Context, node
from flowmm.models.residency import using
from flowmm.sockets import Between, E, Fact, Help, Hidden, Image, ImageEncoder, ImageProcessor, Known, Pixels

from ._families import family_of

LARGEST_RESIZED = 2**26  # pixels a picture may have after resizing its shorter side


@node(version=1, title={"en": "Preprocess pictures", "zh": "图片预处理"}, tags=("vision",))
def preprocess(
    processor: ImageProcessor[E],
    image: Image | list[Image],
    *,
    size: Annotated[int | None, Between(8, 4096), Help("Pixels of the shorter side, for encoders that take other sizes; left out: as trained")] = None,
    context: Context,
) -> Pixels[E]:
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
        sizes = _sizes(made, size)
        shortest = sizes["size"].get("shortest_edge") if made.do_resize else None
        for picture in pictures if shortest else ():
            low, high = sorted(picture.size)
            if shortest * shortest * high / low > LARGEST_RESIZED:
                raise ValueError(f"a picture of {picture.width}×{picture.height} is too narrow for this model; crop it first")
        found = made(images=pictures, return_tensors="pt", **(sizes if size else {}))
    return Pixels(found["pixel_values"], *(found.get(name) for name in ("coded", "tiles", "sizes")))


@preprocess.describe
def _(known: Known) -> Fact:
    fact = known.facts.get("image")
    single = fact is not None and fact.count == 1 and fact.shape
    height, width = known.shape("processor", 4)[2:]
    size = known.values.get("size", "open")
    if size is not None:
        height, width = (round(side * size / min(height, width)) if height and width and size != "open" else None for side in (height, width))
    return Fact((fact.shape[0] if single else None, 3, height, width), "float32")


@node(version=1, title={"en": "What the encoder sees", "zh": "编码器所见"}, tags=("vision", "image"))
def seen(processor: ImageProcessor[E], image: Image, *, context: Context) -> Image:
    """The part of pictures that an encoder sees, at their own resolution: CLIP crops to the centre, ViT sees everything.

    image: [B, 3, H, W]; returns [B, 3, h, w] in the same dtype. What is drawn over a picture patch by patch belongs over this.

    Reference: center_crop of transformers' image processors.
    """
    with using(context, processor) as made:
        if not getattr(made, "do_center_crop", False):
            return image
        sides = _sizes(made, None)
        whole, crop = sides["size"] if made.do_resize else {}, sides["crop_size"]
        shorter = min(image.height, image.width)
        cut = []
        for side, name in ((image.height, "height"), (image.width, "width")):
            resized = whole.get(name) or int(side * whole.get("shortest_edge", shorter) / shorter)
            kept = max(1, round(side * min(1, crop[name] / resized)))
            cut.append(slice((side - kept) // 2, (side - kept) // 2 + kept))
        return Image(image.pixels[:, :, cut[0], cut[1]])


@seen.describe
def _(known: Known) -> Fact:
    return Fact((known.batch("image"), 3, None, None), known.dtype("image"))


def _sizes(made: Any, side: int | None) -> dict[str, dict[str, int]]:
    """A processor's `size` and `crop_size`; in proportion, so that the shorter side of what it makes is `side`."""
    names = ("shortest_edge", "height", "width")
    read = {what: getattr(made, what, None) for what in ("size", "crop_size")}
    read = {what: {name: value[name] for name in names if value.get(name)} for what, value in read.items() if hasattr(value, "get")}
    sizes = {"size": {}} | read
    if side is not None:
        shorter = min((sizes["crop_size"] if getattr(made, "do_center_crop", False) else sizes["size"]).values(), default=0)
        if not shorter:
            raise ValueError("this model's pictures have no fixed size: leave the size out")
        sizes = {what: {name: round(value * side / shorter) for name, value in parts.items()} for what, parts in sizes.items()}
    return sizes


@node(version=1, title={"en": "Picture features", "zh": "图像特征"}, tags=("vision",))
def encode(encoder: ImageEncoder[E], pixels: Pixels[E], *, context: Context) -> Hidden[E]:
    """What an encoder makes of pictures: a vector for every patch, or for every token its language model reads.

    pixels: [B, 3, H, W]. Returns [B, N, D]: ViT and BLIP the encoder's last hidden state with the class token first, as BLIP-2
    for matching; BLIP-2 for writing the projected queries of its Q-Former, Janus and UniToken the patches as their language model reads them.

    Reference: transformers ViTModel, BlipVisionModel, Blip2Model, JanusModel.get_image_features; UniToken's adapter.
    """
    with using(context, encoder) as module:
        return family_of(encoder).see(module, pixels)


@encode.describe
def _(known: Known) -> Fact:
    _, count, width = known.shape("encoder", 3)
    patch, (height, across) = known.space("E", "patch"), known.shape("pixels", 4)[2:]
    if patch is not None:  # an encoder that takes other sizes
        count = 1 + (height // patch) * (across // patch) if height and across else None
    return Fact((known.batch("pixels"), count, width))


@node(version=1, title={"en": "Keep one reading", "zh": "只留一种读法"}, tags=("vision",), lane="device")
def keep(features: Hidden[E], *, reading: Annotated[Literal["features", "codes"], Help("Which one stays")] = "features") -> Hidden[E]:
    """Of pictures that a model reads twice, as features and as codes, keep one reading: to see what each is good for.

    features: [B, N, D] with codes [B, h, w], as UniToken's; others have one reading only, and are an error. Returns [B, N, D]
    without codes, or [B, 0, D] with them.

    Reference: the comparison of discrete, continuous and unified visual encoding in UniToken (arXiv 2504.04423).
    """
    if features.codes is None:
        raise ValueError("these pictures are read in one way only; a model that reads them twice, such as UniToken, gives features with codes")
    if reading == "features":
        return Hidden(features.values, features.mask)
    return Hidden(features.values[:, :0], None if features.mask is None else features.mask[:, :0], features.codes)


@keep.describe
def _(known: Known) -> Fact:
    batch, count, width = known.shape("features", 3)
    reading = None if "reading" in known.facts else known.values.get("reading")
    return Fact((batch, {"features": count, "codes": 0}.get(reading), width))

"""Pictures: from files, resized, batched, laid out on a contact sheet."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from flowmm.catalog import node
from flowmm.sockets import Between, Fact, Help, Image, Known, Mask, NotAccepted, Text
from flowmm.sockets.images import from_pil, open_picture, stack

from ._sheet import draw_grid, draw_sheet

Filter = Literal["bicubic", "bilinear", "lanczos", "nearest", "box"]


class Loaded(NamedTuple):
    """image: uint8 [1, 3, H, W].

    mask: its alpha, uint8 [1, 1, H, W], 255 where the picture is opaque; all 255 without alpha.
    """

    image: Image
    mask: Mask


@node(version=1, title={"en": "Load picture", "zh": "加载图片"}, tags=("image",), pure=False, lane="files")
def load(path: Path) -> Loaded:
    """Read one picture file: its first frame, upright; 16-bit greys are scaled, CMYK and palettes become RGB.

    Returns uint8 [1, 3, H, W] and its alpha. A missing, damaged, too large or unknown file is an error that says so.

    Reference: PIL.Image.open and PIL.ImageOps.exif_transpose.
    """
    picture = open_picture(path)
    pixels = from_pil(picture, "RGB")
    if picture.has_transparency_data:
        alpha = from_pil(picture.convert("RGBA").getchannel("A"), "L")
    else:
        alpha = pixels[:, :1] * 0 + 255
    return Loaded(Image(pixels), Mask(alpha))


@load.describe
def _(known: Known) -> dict[str, Fact]:
    return {"image": Fact((1, 3, None, None), "uint8"), "mask": Fact((1, 1, None, None), "uint8")}


class Album(NamedTuple):
    """images: uint8 [1, 3, H, W] each, in natural order of their names.

    names: of the files.

    skipped: how many files of the folder are no pictures.
    """

    images: list[Image]
    names: Text
    skipped: int


@node(version=1, title={"en": "Load folder", "zh": "加载文件夹"}, tags=("image",), pure=False, lane="files")
def folder(path: Path, *, limit: Annotated[int, Between(1, 100_000), Help("Pictures read at most")] = 1000) -> Album:
    """Read the pictures of a folder, not of folders inside it, in natural order (2 before 10).

    Returns up to `limit` pictures, their file names, and how many other files were passed over. A folder that is
    missing or holds no picture is an error.

    Reference: PIL.Image.open.
    """
    if not path.is_dir():
        raise ValueError(f"there is no folder `{path.name}`")
    home = path.resolve()
    files = sorted((file for file in home.iterdir() if file.is_file() and not file.name.startswith(".")), key=_natural)
    images, names, skipped = [], [], 0
    for file in files:
        if len(images) == limit:
            break
        try:
            if file.resolve().parent != home:
                raise NotAccepted("a link out of the folder")
            images.append(Image(from_pil(open_picture(file), "RGB")))
            names.append(file.name)
        except NotAccepted:
            skipped += 1
    if not images:
        raise ValueError(f"the folder `{path.name}` holds no picture" + (f"; its {skipped} files are none" if skipped else ""))
    return Album(images, Text(tuple(names)), skipped)


@folder.describe
def _(known: Known) -> dict[str, Fact]:
    return {"images": Fact((1, 3, None, None), "uint8", count=None), "names": Fact((None,))}


@node(version=1, title={"en": "Resize picture", "zh": "缩放图片"}, tags=("image",), lane="cpu")
def resize(
    image: Image,
    width: Annotated[int, Between(1, 16384), Help("Pixels")],
    height: Annotated[int, Between(1, 16384), Help("Pixels")],
    *,
    filter: Filter = "bicubic",
) -> Image:
    """Resize every picture to one size; proportions are not kept.

    image: [B, 3, H, W]; returns uint8 [B, 3, height, width].

    Reference: PIL.Image.Image.resize.
    """
    import PIL.Image

    method = PIL.Image.Resampling[filter.upper()]
    return Image(stack([from_pil(image.to_pil(i).resize((width, height), method), "RGB") for i in range(len(image))]))


@resize.describe
def _(known: Known) -> Fact:
    return Fact((known.batch("image"), 3, known.values.get("height"), known.values.get("width")), "uint8")


@node(version=1, title={"en": "Batch pictures", "zh": "合并为批次"}, tags=("image",))
def batch(images: list[Image]) -> Image:
    """Several pictures of one size as one batch; if any is float32, all become so.

    images: [B, 3, H, W] each; returns [sum of B, 3, H, W]. Different sizes are an error that says which.

    Reference: numpy.concatenate.
    """
    arrays = [image.pixels for image in images]
    if len({array.dtype for array in arrays}) > 1:
        arrays = [array if array.dtype == "float32" else array.astype("float32") / 255 for array in arrays]
    return Image(stack(arrays))


@node(version=1, title={"en": "Split batch", "zh": "拆分批次"}, tags=("image",))
def split(image: Image) -> list[Image]:
    """Every picture of a batch on its own.

    image: [B, 3, H, W]; returns B pictures [1, 3, H, W].

    Reference: numpy.split.
    """
    return [Image(image.pixels[i : i + 1]) for i in range(len(image))]


@split.describe
def _(known: Known) -> Fact:
    _, _, height, width = known.shape("image", 4)
    return Fact((1, 3, height, width), known.dtype("image"), count=known.batch("image"))


@node(version=1, title={"en": "Contact sheet", "zh": "缩略图总览"}, tags=("image",), lane="cpu")
def sheet(
    images: list[Image],
    captions: Text | None = None,
    *,
    columns: Annotated[int, Between(1, 32), Help("Pictures a row at most")] = 4,
    side: Annotated[int, Between(32, 1024), Help("Pixels of a thumbnail's longer side")] = 192,
) -> Image:
    """Lay pictures out on one sheet, each with its caption under it: a name, and in grey what follows a line break.

    images: N pictures of any size; captions: N strings, or none. Returns uint8 [1, 3, H, W].

    Reference: none, for the eye only.
    """
    pictures = [image.to_pil(i) for image in images for i in range(len(image))]
    if not pictures:
        raise ValueError("there is no picture to lay out")
    if captions is not None and len(captions) != len(pictures):
        raise ValueError(f"there are {len(pictures)} pictures, but {len(captions)} captions")
    return Image(from_pil(draw_sheet(pictures, captions.lines if captions else None, columns, side), "RGB"))


@sheet.describe
def _(known: Known) -> Fact:
    return Fact((1, 3, None, None), "uint8")


@node(version=1, title={"en": "Labelled grid", "zh": "带标签的网格"}, tags=("image",), lane="cpu")
def grid(
    images: list[Image | None],
    rows: Text | None = None,
    columns: Text | None = None,
    *,
    across: Annotated[str, Help("What the columns are, written above them")] = "",
    down: Annotated[str, Help("What the rows are, written beside them")] = "",
    side: Annotated[int, Between(32, 1024), Help("Pixels of a thumbnail's longer side")] = 160,
) -> Image:
    """Lay pictures out in rows and columns with a label at each, as of a sweep over two settings.

    images: rows × columns pictures, a row after the other, the first of a batch each; None leaves a place empty. rows: a label each, or none
    for one row. columns: a label each; without, all pictures of a row in their order. Returns uint8 [1, 3, H, W].

    Reference: none, for the eye only.
    """
    heads = rows.lines if rows is not None else ("",)
    titles = columns.lines if columns is not None else ("",) * (len(images) // len(heads))
    if not images or len(images) != len(heads) * len(titles):
        raise ValueError(f"there are {len(images)} pictures for {len(heads)} rows of {len(titles)}: their product must be as many")
    pictures = [None if image is None else image.to_pil(0) for image in images]
    return Image(from_pil(draw_grid(pictures, heads, titles, (across, down), side), "RGB"))


@grid.describe
def _(known: Known) -> Fact:
    return Fact((1, 3, None, None), "uint8")


def _natural(file: Path) -> list:
    """A sort key that puts 2 before 10; the whole name breaks ties."""
    parts = re.split(r"(\d+)", file.name.casefold())
    return [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts] + [(True, 0, file.name)]

"""Pictures and masks, and every way a person may hand one in."""

from __future__ import annotations

import io
import os
from math import ceil
from typing import Any, ClassVar

from ..files import write_whole
from .value import NotAccepted, Value, socket

SHOWN = 256  # pixels of height: smaller pictures are enlarged by whole factors when they are shown
LONGEST_ORIGIN = 900_000  # bytes; Pillow refuses to read back a text chunk over a megabyte
# What may be opened: formats that Pillow reads by itself. EPS would start Ghostscript, others reach for files or readers.
# The common ones first: asking for one of the others imports every plugin of Pillow.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "PPM", "WEBP", "TIFF", "AVIF", "DIB", "ICO", "JPEG2000", "PCX", "QOI", "TGA")
MOST_TILES, GAP, RULE, FAINT = 25, 3, (225, 225, 225), (120, 120, 120)  # of a contact sheet: pictures, pixels between them, colours
LARGEST_PIXELS = 2**26  # 67 megapixels: above any picture these models see, below a decompression bomb


@socket
class Image(Value):
    """B pictures of equal size: uint8 0…255 or float32 0…1, [B, 3, H, W], red green blue.

    The dtype is kept as it came. Transparency is dropped, as the reference libraries do; load_image gives it as a Mask.
    """

    pixels: Any
    host = ("pixels",)
    colour = "#2f82d6"
    accepts = "a path, a PIL picture, an array [H, W, 3] or [B, 3, H, W], or the bytes of a picture file"
    channels: ClassVar[int] = 3
    origin = None  # of a run's output: a function that tells graph, inputs and versions; no part of the value

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pixels.ndim != 4 or self.pixels.shape[1] != self.channels or str(self.pixels.dtype) not in ("uint8", "float32"):
            raise ValueError(
                f"{type(self).__name__} wants uint8 or float32 [B, {self.channels}, H, W], "
                f"not {self.pixels.dtype} {list(self.pixels.shape)}"
            )

    @classmethod
    def accept(cls, plain: Any) -> Image:
        return cls(stack([from_plain(item, "RGB" if cls.channels == 3 else "L") for item in _several(plain)]))

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def height(self) -> int:
        return self.pixels.shape[2]

    @property
    def width(self) -> int:
        return self.pixels.shape[3]

    def as_float(self):
        """float32 [B, C, H, W] in 0…1, as the libraries turn pictures into numbers."""
        return self.pixels if self.pixels.dtype == "float32" else self.pixels.astype("float32") / 255

    def uint8(self):
        """uint8 [B, H, W, C], rounded as diffusers' numpy_to_pil does."""
        array = self.pixels.transpose(0, 2, 3, 1)
        return array if array.dtype == "uint8" else (array * 255).round().clip(0, 255).astype("uint8")

    def to_pil(self, index: int = 0):
        """Item `index` as a PIL picture."""
        import PIL.Image

        array = self.uint8()[index]
        return PIL.Image.fromarray(array if self.channels == 3 else array[..., 0])

    def save(self, path: str | os.PathLike, index: int = 0, *, embed: bool = True) -> None:
        """Write item `index`; the format follows the name. A PNG of a result carries its graph unless embed is False."""
        if os.fspath(path).lower().endswith(".png"):
            write_whole(path, self.png(index, embed=embed))
        else:
            self.to_pil(index).save(path)

    def png(self, index: int = 0, *, embed: bool = True) -> bytes:
        """Item `index` as the bytes of a PNG, with what made it if a run did (and that is not too long to be read back)."""
        import json

        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        if embed and self.origin is not None:
            text = json.dumps({**self.origin(), "item": index}, ensure_ascii=False)
            if len(text.encode()) <= LONGEST_ORIGIN:
                info.add_itxt("flowmm", text, zip=True)
        buffer = io.BytesIO()
        self.to_pil(index).save(buffer, "PNG", pnginfo=info)
        return buffer.getvalue()

    def sheet(self, smallest: int = 0):
        """All items side by side as one PIL picture; each at least `smallest` pixels high, enlarged by whole factors."""
        import PIL.Image

        pictures = [self.to_pil(i) for i in range(len(self))]
        factor = max(1, -(-smallest // self.height))
        columns = min(len(pictures), 8)
        rows = -(-len(pictures) // columns)
        w, h = self.width * factor, self.height * factor
        sheet = PIL.Image.new(pictures[0].mode, (columns * w, rows * h), 255 if self.channels == 1 else (255, 255, 255))
        for i, picture in enumerate(pictures):
            sheet.paste(picture.resize((w, h), PIL.Image.Resampling.NEAREST), ((i % columns) * w, (i // columns) * h))
        return sheet

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.sheet(smallest=SHOWN).save(buffer, "PNG")
        return buffer.getvalue()


@socket
class Mask(Image):
    """B masks, [B, 1, H, W]: 1 (or 255) where the mask covers."""

    colour = "#6b839e"
    accepts = "a path, a PIL picture, an array [H, W] or [B, 1, H, W], or the bytes of a picture file"
    channels: ClassVar[int] = 1


def pictures_of(value: Any) -> list[tuple[Image, int]]:
    """The pictures of a value one by one, those of a batch and of a list's items: each as its Image and its place in that."""
    several = value if isinstance(value, list) else [value]
    return [(one, i) for one in several if isinstance(one, Image) for i in range(len(one))]


def contact(value: Any, side: int):
    """All pictures of a value as one PIL picture: one alone as it is; several as tiles in nearly a square, `side` pixels wide and high at most.

    Of more than MOST_TILES the last tile says how many are not shown. None where there is no picture.
    """
    import PIL.Image
    import PIL.ImageDraw

    found = pictures_of(value)
    if len(found) < 2:
        return found[0][0].to_pil(found[0][1]) if found else None
    shown = found if len(found) <= MOST_TILES else found[: MOST_TILES - 1]
    count = min(len(found), MOST_TILES)
    width, height = max(one.width for one, _ in shown), max(one.height for one, _ in shown)
    scale, _, columns = max((_scale(width, height, columns, ceil(count / columns), side), -(-count % columns), columns) for columns in range(1, count + 1))
    wide, high = max(1, int(width * scale)), max(1, int(height * scale))
    sheet = PIL.Image.new("RGB", (columns * (wide + GAP) - GAP, ceil(count / columns) * (high + GAP) - GAP), (255, 255, 255))
    pen = PIL.ImageDraw.Draw(sheet)
    for place in range(count):
        left, top = place % columns * (wide + GAP), place // columns * (high + GAP)
        if place == len(shown):
            pen.text((left + wide / 2, top + high / 2), f"+{len(found) - place}", fill=FAINT, font_size=max(8, min(wide, high) // 2), anchor="mm")
            continue
        image, i = shown[place]
        factor = min(wide / image.width, high / image.height)
        size = tuple(max(1, int(length * (int(factor) or factor))) for length in (image.width, image.height))
        tile = image.to_pil(i).resize(size, PIL.Image.Resampling.NEAREST if factor >= 1 else PIL.Image.Resampling.LANCZOS)
        sheet.paste(tile, (left + (wide - tile.width) // 2, top + (high - tile.height) // 2))
    for line in range(1, columns):
        pen.line([(line * (wide + GAP) - 2, 0), (line * (wide + GAP) - 2, sheet.height)], fill=RULE)
    for line in range(1, ceil(count / columns)):
        pen.line([(0, line * (high + GAP) - 2), (sheet.width, line * (high + GAP) - 2)], fill=RULE)
    return sheet


def _scale(width: int, height: int, columns: int, rows: int, side: int) -> float:
    """How much larger a tile can be than its picture: by a whole factor, which keeps it crisp, or smaller."""
    most = min((side - GAP * (columns - 1)) / (columns * width), (side - GAP * (rows - 1)) / (rows * height))
    return int(most) or most


def _several(plain: Any) -> list:
    return list(plain) if isinstance(plain, (list, tuple)) else [plain]


def stack(arrays: list):
    """One [B, C, H, W] array; pictures of different sizes are no batch."""
    import numpy

    if not arrays:
        raise NotAccepted("an Image needs at least one picture")
    sizes = {array.shape[1:] for array in arrays}
    if len(sizes) > 1:
        shown = ", ".join(f"{w}×{h}" for _, h, w in sorted(sizes)[:3])
        raise NotAccepted(f"pictures of one batch must be of one size, not {shown}; a list of pictures may differ")
    return numpy.concatenate(arrays) if len(arrays) > 1 else arrays[0]


def from_plain(plain: Any, mode: str):
    """uint8 or float32 [B, C, H, W] from whatever a person handed in. Raises NotAccepted."""
    import PIL.Image

    if isinstance(plain, (str, os.PathLike)):
        return from_pil(open_picture(plain), mode)
    if isinstance(plain, (bytes, bytearray)):
        return from_pil(open_picture(io.BytesIO(plain), "the bytes given"), mode)
    if isinstance(plain, PIL.Image.Image):
        return from_pil(plain, mode)
    if isinstance(plain, Image):
        return plain.pixels
    if hasattr(plain, "shape") and hasattr(plain, "dtype"):
        return from_array(plain, 3 if mode == "RGB" else 1)
    raise NotAccepted(f"a picture is {Image.accepts}; not a {type(plain).__name__}")


def open_picture(source: Any, name: str | None = None):
    """Open and fully read one picture file; its first frame, upright. Raises NotAccepted with the reason."""
    import PIL.Image
    import PIL.ImageOps

    name = name or f"`{os.path.basename(os.fspath(source))}`"
    PIL.Image.init()
    try:
        with PIL.Image.open(source, formats=[kind for kind in FORMATS if kind in PIL.Image.OPEN]) as picture:
            if picture.width * picture.height > LARGEST_PIXELS:
                raise NotAccepted(f"{name} is {picture.width}×{picture.height}; pictures over {LARGEST_PIXELS:,} pixels are refused")
            picture.load()
            return PIL.ImageOps.exif_transpose(picture)
    except NotAccepted:
        raise
    except FileNotFoundError:
        raise NotAccepted(f"there is no file {name}") from None
    except (IsADirectoryError, PermissionError) as error:
        raise NotAccepted(f"{name} cannot be read: {error.strerror.lower()}") from None
    except PIL.UnidentifiedImageError:
        raise NotAccepted(f"{name} is not a picture this build of Pillow can read") from None
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError) as error:
        raise NotAccepted(f"{name} is damaged or no picture: {error}") from None


def from_pil(picture: Any, mode: str):
    """uint8 [1, C, H, W] of a PIL picture; 16-bit greys are scaled, not clipped."""
    import numpy

    if picture.mode.startswith("I") or picture.mode == "F":
        grey = numpy.nan_to_num(numpy.asarray(picture).astype("float64"))
        top = next((top for top in _tops(picture.mode) if grey.max(initial=0) <= top), 65535.0)
        import PIL.Image

        picture = PIL.Image.fromarray((grey / top * 255).round().clip(0, 255).astype("uint8"))
    array = numpy.asarray(picture.convert(mode))
    array = array[..., None] if array.ndim == 2 else array
    return numpy.ascontiguousarray(array.transpose(2, 0, 1))[None]


def _tops(mode: str) -> tuple[float, ...]:
    """What white may be: 65535 where the file says 16 bits; else the smallest of these that nothing exceeds."""
    return (65535.0,) if mode.startswith("I;16") else (1.0, 255.0, 65535.0) if mode == "F" else (255.0, 65535.0)


def from_array(array: Any, channels: int):
    """[B, C, H, W] from an array or tensor: [H, W], [H, W, C], [C, H, W] or [B, C, H, W]; uint8, or floats in 0…1."""
    import numpy

    from .value import to_numpy

    array = to_numpy(array)
    if array.ndim == 2:
        array = array[None, None].repeat(channels, 1)
    elif array.ndim == 3:
        array = array[None] if array.shape[0] == channels else array.transpose(2, 0, 1)[None]
    if array.ndim != 4 or array.shape[1] != channels:
        raise NotAccepted(f"an array of shape {list(array.shape)} is no picture: [H, W, {channels}] or [B, {channels}, H, W] is")
    if array.dtype == numpy.uint8:
        return numpy.ascontiguousarray(array)
    if array.dtype.kind != "f":
        raise NotAccepted(f"a picture's array is uint8, or floats from 0 to 1; not {array.dtype}")
    if not numpy.isfinite(array).all() or array.min() < 0 or array.max() > 1:
        raise NotAccepted("a picture's floats lie from 0 to 1; these do not")
    return numpy.ascontiguousarray(array.astype("float32"))

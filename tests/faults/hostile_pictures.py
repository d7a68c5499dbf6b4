"""Pictures as no program saves them: damaged, lying about their size, full of what they should not carry, or none at all."""

from __future__ import annotations

import io
import random
import struct
import sys
import zlib
from pathlib import Path

import PIL.Image
from hostile_bytes import cut, flipped, spliced

sys.path.insert(0, str(Path(__file__).parent.parent / "server"))
from odd_pictures import chunk, chunks, gif, huge_png, picture, png, stuffed_png

MEDIA = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
OTHERS = ["image/png", "image/gif", "image/svg+xml", "text/html", "application/json", "multipart/form-data; boundary=x", ""]
MODES = {"PNG": ("RGB", "L", "RGBA", "P", "1", "LA", "I;16"), "JPEG": ("RGB", "L", "CMYK"), "WEBP": ("RGB", "RGBA")}
SIZES = [(9, 7), (1, 1), (64, 64), (3, 500)]


def upload(dice: random.Random, text: str) -> tuple[bytes, str]:
    """A picture with something wrong, and the content type it comes with. text: what it may carry."""
    kind, way = dice.choice(tuple(MEDIA)), dice.random()
    if way < 0.3:
        data = dice.choice((flipped, cut, spliced))(dice, sound(dice, kind))
    elif way < 0.6:
        data, kind = chunked(dice, text), "PNG"
    elif way < 0.75:
        data = lying(dice, kind)
    elif way < 0.85:
        data = two_in_one(dice, sound(dice, kind))
    elif way < 0.9:
        data = dice.choice(NONE)()
    else:
        data = sound(dice, kind)
    return data, MEDIA[kind] if dice.random() < 0.9 else dice.choice(OTHERS)


def sound(dice: random.Random, kind: str) -> bytes:
    mode, size = dice.choice(MODES[kind]), dice.choice(SIZES)
    if mode != "I;16":
        return picture(kind, size=size, mode=mode)
    file = io.BytesIO()
    PIL.Image.new(mode, size, dice.randrange(65536)).save(file, kind)
    return file.getvalue()


def chunked(dice: random.Random, text: str) -> bytes:
    """A PNG with its chunks doubled, turned round, lengthened; with a graph, or what may be one, in its text."""
    parts = chunks(picture("PNG"))
    name, content = dice.choice(_chunks(dice, text))
    kind = dice.randrange(5)
    if kind == 0:
        return png([*parts, *parts])
    if kind == 1:
        return png(dice.sample(parts, len(parts)))
    if kind == 2:
        length = dice.choice((0, 2**31 - 1, 2**32 - 1, len(content) + 1))
        return png(parts[:1]) + struct.pack(">I", length) + name + content + b"\0\0\0\0" + png(parts[1:])[8:]
    return png([*parts[:1], *([(name, content)] * dice.choice((1, 1, 1, 50))), *parts[1:]])


def _chunks(dice: random.Random, text: str) -> list[tuple[bytes, bytes]]:
    carried, packed = text.encode("utf-8", "replace"), zlib.compress(text.encode("utf-8", "replace"))
    bomb = zlib.compress(b"\0" * dice.choice((1 << 16, 3 << 20)), 9)
    return [
        (b"tEXt", b"flowmm\0" + carried), (b"iTXt", b"flowmm\0\0\0\0\0" + carried), (b"iTXt", b"flowmm\0\1\0\0\0" + packed),
        (b"iTXt", b"flowmm\0\1\0\0\0" + bomb), (b"zTXt", b"flowmm\0\0" + bomb), (b"iCCP", b"x\0\0" + bomb),
        (b"eXIf", dice.randbytes(40)), (b"acTL", struct.pack(">II", 2**31, 0)),
        (b"IHDR", dice.randbytes(13)), (b"PLTE", dice.randbytes(dice.choice((0, 3, 7, 3000)))), (b"tRNS", dice.randbytes(9)), (b"IDAT", dice.randbytes(30)),
        (b"\0\0\0\0", b""), (b"aaaa", b"x" * 70_000),
    ]  # fmt: skip


def lying(dice: random.Random, kind: str) -> bytes:
    """A picture that says that it is larger than it is, or smaller."""
    if kind == "PNG":
        return huge_png(dice.choice((0, 1, 2**16, 2**31 - 1, 2**32 - 1)), dice.choice((0, 7, 2**15, 2**31 - 1)))
    data = picture(kind)
    if kind == "WEBP":
        at, said = dice.choice((4, 16, 26)), struct.pack("<I", dice.choice((0, 1, 7, 2**31, 2**32 - 1)))
    else:
        at, said = data.find(b"\xff\xc0") + 5, struct.pack(">HH", dice.choice((0, 1, 65535)), dice.choice((0, 1, 65535)))
    return data[:at] + said + data[at + 4 :]


def two_in_one(dice: random.Random, data: bytes) -> bytes:
    """A picture that is a page, an archive or another picture too."""
    other = dice.choice((b"<html><script>alert(1)</script>", b"PK\x03\x04" + dice.randbytes(40), b"%PDF-1.7", b"\0" * 70_000, picture("JPEG")))
    return dice.choice((data + other, other + data, data[:8] + other))


def _unpacking_to_much() -> bytes:
    """16 megapixels of nothing in a few bytes."""
    head = struct.pack(">IIBBBBB", 4000, 4000, 8, 0, 0, 0, 0)
    return png([(b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 4001 * 4000, 9)), (b"IEND", b"")])


NONE = [
    bytes, gif, _unpacking_to_much, lambda: stuffed_png(b"IDAT", b""), lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    lambda: b"\x89PNG\r\n\x1a\n", lambda: b"\x89PNG\r\n\x1a\n" + chunk(b"aaaa", b"") * 70_000,
    lambda: b"\xff\xd8\xff" * 3000, lambda: b"\xff\xd8\xff" + b"\xff\xfe\0\2" * 70_000, lambda: b"RIFF\0\0\0\0WEBP",
]  # fmt: skip

"""Pictures that are more, or less, than they seem."""

from __future__ import annotations

import io
import struct
import zlib

import PIL.Image
import PIL.PngImagePlugin


def picture(kind: str, text: dict[str, str] | None = None, size: tuple[int, int] = (9, 7), mode: str = "RGB") -> bytes:
    """A small one. text: what a PNG also says."""
    made = PIL.PngImagePlugin.PngInfo()
    for key, value in (text or {}).items():
        made.add_itxt(key, value, zip=True)
    file = io.BytesIO()
    PIL.Image.linear_gradient("L").resize(size).convert(mode).save(file, kind, **({"pnginfo": made} if kind == "PNG" else {}))
    return file.getvalue()


def gif() -> bytes:
    return picture("GIF", mode="P")


def chunk(kind: bytes, data: bytes) -> bytes:
    """Of a PNG, with its sum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and content of each chunk of a sound PNG."""
    found, at = [], 8
    while at < len(data):
        length = struct.unpack(">I", data[at : at + 4])[0]
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += length + 12
    return found


def png(parts: list[tuple[bytes, bytes]]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, content) for kind, content in parts)


def huge_png(width: int, height: int) -> bytes:
    """A few bytes that claim to be so large, with the right sum."""
    parts = chunks(picture("PNG"))
    return png([(kind, struct.pack(">II", width, height) + content[8:] if kind == b"IHDR" else content) for kind, content in parts])


def stuffed_png(kind: bytes, content: bytes) -> bytes:
    """With one chunk more, before the pixels."""
    parts = chunks(picture("PNG"))
    return png([*parts[:1], (kind, content), *parts[1:]])

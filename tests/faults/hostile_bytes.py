"""Bytes as no honest client sends them: broken JSON, damaged pictures, frames of a socket, addresses."""

from __future__ import annotations

import gzip
import io
import json
import math
import random
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgpack
import PIL.Image
from hostile_graphs import NAMES, NUMBERS, TRICKS, nested

sys.path.insert(0, str(Path(__file__).parent.parent / "server"))
from odd_pictures import chunk, chunks, gif, huge_png, picture, png, stuffed_png

# ── JSON that is none ───────────────────────────────────────────────────────────────────────────


def flipped(dice: random.Random, data: bytes) -> bytes:
    made = bytearray(data)
    for _ in range(min(len(made), dice.choice((1, 2, 8, 40)))):
        made[dice.randrange(len(made))] ^= 1 << dice.randrange(8)
    return bytes(made)


def cut(dice: random.Random, data: bytes) -> bytes:
    return data[: dice.randrange(len(data) + 1)]


def spliced(dice: random.Random, data: bytes) -> bytes:
    """With something in the middle that does not belong there."""
    at = dice.randrange(len(data) + 1)
    piece = dice.choice((b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"NaN", b"-Infinity", b"1e999", b"9" * 5000, b'"', b"}", b"{", b"[" * 5000, b",", b"//x\n",
                         b'"a":1,"a":2,', b"\\ud800", b"\\u", b"\\x", dice.randbytes(9), data[:200]))  # fmt: skip
    return data[:at] + piece + data[at:]


def doubled(dice: random.Random, data: bytes) -> bytes:
    """The same key twice in one object."""
    at = data.find(b"{") + 1
    return data[:at] + b'"graph": 1, "graph": 2, ' + data[at:]


def recoded(dice: random.Random, data: bytes) -> bytes:
    return data.decode("utf-8", "replace").encode(dice.choice(("utf-16", "utf-16-le", "utf-32", "utf-8-sig", "utf-7")))


def instead(dice: random.Random, data: bytes) -> bytes:
    """Something else altogether."""
    depth = dice.choice((60, 64, 65, 1000, 20_000))
    return dice.choice((b"", b"null", b"[]", b"7", b'""', b"{}", b'{"graph": null}', b"[" * depth + b"]" * depth, b'{"graph":' * depth + b"1" + b"}" * depth, b"{" * depth, gzip.compress(data),
                        b"\x1f\x8b", picture("PNG"), b"<?xml version='1.0'?>", b"--x\r\n\r\n--x--", data + data, b"'" + data, msgpack.packb({"graph": 1}), b"9" * 5000, b"-" * 99))  # fmt: skip


BROKEN: list[Callable[[random.Random, bytes], bytes]] = [flipped, cut, spliced, doubled, recoded, instead]


def broken(dice: random.Random, data: bytes) -> bytes:
    return dice.choice(BROKEN)(dice, data)


# ── pictures ────────────────────────────────────────────────────────────────────────────────────

MEDIA = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
MODES = {"PNG": ("RGB", "L", "RGBA", "P", "1", "LA", "I;16"), "JPEG": ("RGB", "L", "CMYK"), "WEBP": ("RGB", "RGBA")}


def sound(dice: random.Random, kind: str) -> bytes:
    mode, size = dice.choice(MODES[kind]), dice.choice(((9, 7), (1, 1), (64, 64), (3, 500)))
    if mode == "I;16":
        file = io.BytesIO()
        PIL.Image.new("I;16", size, dice.randrange(65536)).save(file, kind)
        return file.getvalue()
    return picture(kind, size=size, mode=mode)


def chunked(dice: random.Random, text: str) -> bytes:
    """A PNG with its chunks doubled, turned round, lengthened; with a graph, or what may be one, in its text."""
    parts = chunks(picture("PNG"))
    bomb = zlib.compress(b"\0" * dice.choice((1 << 16, 3 << 20)), 9)
    extra = dice.choice(((b"tEXt", b"flowmm\0" + text.encode("latin-1", "replace")), (b"iTXt", b"flowmm\0\0\0\0\0" + text.encode("utf-8", "replace")), (b"zTXt", b"flowmm\0\0" + bomb),
                         (b"iTXt", b"flowmm\0\1\0\0\0" + zlib.compress(text.encode("utf-8", "replace"))), (b"iTXt", b"flowmm\0\1\0\0\0" + bomb), (b"iCCP", b"x\0\0" + bomb),
                         (b"eXIf", dice.randbytes(40)), (b"acTL", struct.pack(">II", 2**31, 0)), (b"IHDR", dice.randbytes(13)), (b"PLTE", dice.randbytes(dice.choice((0, 3, 7, 3000)))),
                         (b"tRNS", dice.randbytes(9)), (b"IDAT", dice.randbytes(30)), (b"\0\0\0\0", b""), (b"aaaa", b"x" * 70_000)))  # fmt: skip
    kind = dice.randrange(5)
    if kind == 0:
        return png([*parts, *parts])
    if kind == 1:
        return png(dice.sample(parts, len(parts)))
    if kind == 2:
        name, content = extra
        lying = struct.pack(">I", dice.choice((0, 2**31 - 1, 2**32 - 1, len(content) + 1))) + name + content + b"\0\0\0\0"
        return png(parts[:1]) + lying + png(parts[1:])[8:]
    return png([*parts[:1], *([extra] * dice.choice((1, 1, 1, 50))), *parts[1:]])


def lying(dice: random.Random, kind: str) -> bytes:
    """A picture that says that it is larger than it is, or is nothing but its head."""
    if kind == "PNG":
        return huge_png(dice.choice((0, 1, 2**16, 2**31 - 1, 2**32 - 1)), dice.choice((0, 7, 2**15, 2**31 - 1)))
    data = bytearray(picture(kind))
    if kind == "WEBP":
        data[dice.choice((4, 16, 20, 26)) :][:4] = struct.pack("<I", dice.choice((0, 1, 2**31, 2**32 - 1)))
        return bytes(data[:4] + struct.pack("<I", dice.choice((0, 7, 2**32 - 1))) + data[8:])
    at = data.find(b"\xff\xc0") + 5
    return bytes(data[:at] + struct.pack(">HH", dice.choice((0, 1, 65535)), dice.choice((0, 1, 65535))) + data[at + 4 :])


def upload(dice: random.Random, text: str) -> tuple[bytes, str]:
    """A picture with something wrong, and what it is called. text: what it may carry."""
    kind = dice.choice(tuple(MEDIA))
    data = sound(dice, kind)
    way = dice.random()
    if way < 0.3:
        data = dice.choice((flipped, cut, spliced))(dice, data)
    elif way < 0.6:
        data, kind = chunked(dice, text), "PNG"
    elif way < 0.75:
        data = lying(dice, kind)
    elif way < 0.85:
        tail = dice.choice((b"<html><script>alert(1)</script>", b"PK\x03\x04" + dice.randbytes(40), b"%PDF-1.7", b"\0" * 70_000, picture("JPEG")))
        data = dice.choice((data + tail, tail + data, data[:8] + tail))
    elif way < 0.9:
        data = dice.choice((b"", gif(), b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff" * 3000, b"RIFF\0\0\0\0WEBP", b"\xff\xd8\xff" + b"\xff\xfe\0\2" * 70_000,
                            stuffed_png(b"IDAT", b""), png([(b"IHDR", struct.pack(">IIBBBBB", 4000, 4000, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(b"\0" * 16_004_000, 9)), (b"IEND", b"")]),
                            b"\x89PNG\r\n\x1a\n" + chunk(b"aaaa", b"") * 70_000))  # fmt: skip
    return data, MEDIA[kind] if dice.random() < 0.9 else dice.choice(("image/png", "image/gif", "image/svg+xml", "text/html", "application/json", "multipart/form-data; boundary=x", ""))


# ── what a client says to the socket, which has nothing to say ──────────────────────────────────


def message(dice: random.Random) -> dict[str, Any]:
    """As ASGI has it."""
    thing = dice.choice((None, -1, 2**63, "\ud800", {"type": "subscribe", "run": "x"}, {"since": 0, "epoch": "x"}, nested(dice, 30)))
    return dice.choice((
        {"type": "websocket.receive", "text": json.dumps(thing)}, {"type": "websocket.receive", "text": dice.choice(("", "\0", "é" * 9000, "{" * 99, *NAMES[:4]))},
        {"type": "websocket.receive", "bytes": dice.randbytes(dice.choice((0, 1, 9, 5000)))},
        {"type": "websocket.receive", "bytes": b"\xdf\xff\xff\xff\xff"}, {"type": "websocket.receive", "bytes": msgpack.packb({"type": "run", "seq": 2**63})},
    ))  # fmt: skip


def frame(dice: random.Random) -> bytes:
    """As it lies on the wire: of any kind, in pieces, unmasked, with a length that is not its own."""
    first = dice.choice((0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8A, 0x88, 0x83, 0x8F, 0xF1, 0xC1, 0x09, dice.randrange(256)))
    payload = dice.choice((b"", b"x", b"\xff\xfe", b"\x03\xe8bye", b"\x00\x00", b"\x03", msgpack.packb({"a": 1}), dice.randbytes(125), dice.randbytes(126), b"a" * 66_000))
    masked, length = dice.random() < 0.85, len(payload) if dice.random() < 0.9 else dice.choice((0, 1, 2**16, 2**31, 2**63, 2**64 - 1))
    short = length if length < 126 else 126 if length < 2**16 else 127
    head = bytes((first, short | (0x80 if masked else 0))) + (struct.pack(">H", length) if short == 126 else struct.pack(">Q", length) if short == 127 else b"")
    key = dice.randbytes(4)
    return head + (key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload)) if masked else payload)


# ── addresses ───────────────────────────────────────────────────────────────────────────────────


def word(dice: random.Random, known: list[str]) -> str:
    """A name, id, key or number: mostly one that is there or nearly so."""
    kind = dice.random()
    if kind < 0.4 and known:
        return dice.choice(known)
    if kind < 0.55 and known:
        return flipped(dice, dice.choice(known).encode()).decode("latin-1")
    if kind < 0.75:
        return dice.choice(TRICKS)
    if kind < 0.9:
        return str(dice.choice(NUMBERS))
    return dice.choice((*NAMES, f"{dice.getrandbits(128):032x}.png", f"{dice.getrandbits(256):064x}", "%", "%00", "%zz", "+", "null", "true", "undefined"))


def query(dice: random.Random, names: list[str], known: list[str]) -> str:
    """Of an address: parameters that are there and others, once, twice, without a value."""
    pairs = []
    for name in dice.sample(names, dice.randrange(len(names) + 1)) + ([dice.choice(NAMES)] if dice.random() < 0.2 else []):
        for _ in range(dice.choice((1, 1, 1, 2))):
            value = dice.choice(("file", "thumbnail", "json", "value", "done", "queued", "Image", "0", "1", "256")) if dice.random() < 0.4 else word(dice, known)
            pairs.append(f"{_quoted(dice, name)}={_quoted(dice, value)}" if dice.random() < 0.95 else _quoted(dice, name))
    return dice.choice("&&&&&;").join(pairs)[:15_000]


def _quoted(dice: random.Random, text: str) -> str:
    raw = text.encode("utf-8", "surrogatepass")
    return quote(raw) if dice.random() < 0.9 else "".join(f"%{byte:02X}" for byte in raw[:200])


def wait(dice: random.Random) -> str:
    """Seconds that a query may not wait in a test, but try."""
    return str(dice.choice((-1, 61, math.nan, math.inf, -math.inf, "1e99", "x", "", 0, "0.01")))

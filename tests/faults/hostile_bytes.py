"""Bytes as no honest client sends them: JSON that is none, what is said to a socket, addresses."""

from __future__ import annotations

import gzip
import json
import math
import random
import struct
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgpack
from hostile_graphs import HALF, NAMES, NUMBERS, TRICKS, nested

# ── JSON that is none ───────────────────────────────────────────────────────────────────────────

PIECES = [
    b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"NaN", b"-Infinity", b"1e999", b"9" * 5000, b"[" * 5000,
    b'"', b"}", b"{", b",", b"//x\n", b'"a":1,"a":2,', b"\\ud800", b"\\u", b"\\x",
]  # fmt: skip


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
    return data[:at] + dice.choice((*PIECES, dice.randbytes(9), data[:200])) + data[at:]


def doubled(dice: random.Random, data: bytes) -> bytes:
    """The same key twice in one object."""
    at = data.find(b"{") + 1
    return data[:at] + b'"graph": 1, "graph": 2, ' + data[at:]


def recoded(dice: random.Random, data: bytes) -> bytes:
    return data.decode("utf-8", "replace").encode(dice.choice(("utf-16", "utf-16-le", "utf-32", "utf-8-sig", "utf-7")))


def instead(dice: random.Random, data: bytes) -> bytes:
    """Something else altogether."""
    deep = dice.choice((60, 64, 65, 1000, 20_000))
    return dice.choice((
        b"", b"null", b"[]", b"7", b'""', b"{}", b'{"graph": null}', b"9" * 5000, b"-" * 99, b"'" + data, data + data,
        b"[" * deep + b"]" * deep, b'{"graph":' * deep + b"1" + b"}" * deep, b"{" * deep,
        gzip.compress(data), b"\x1f\x8b", msgpack.packb({"graph": 1}), b"<?xml version='1.0'?>", b"--x\r\n\r\n--x--", b"\x89PNG\r\n\x1a\n",
    ))  # fmt: skip


BROKEN: list[Callable[[random.Random, bytes], bytes]] = [flipped, cut, spliced, doubled, recoded, instead]


def broken(dice: random.Random, data: bytes) -> bytes:
    return dice.choice(BROKEN)(dice, data)


# ── what is said to a socket that does not listen ───────────────────────────────────────────────


def message(dice: random.Random) -> dict[str, Any]:
    """As ASGI has it."""
    thing = dice.choice((None, -1, 2**63, HALF, {"type": "subscribe", "run": "x"}, {"since": 0, "epoch": "x"}, nested(dice, 30)))
    said: str | bytes = dice.choice((
        json.dumps(thing), "", "\0", "é" * 9000, "{" * 99, *NAMES[:4],
        dice.randbytes(dice.choice((0, 1, 9, 5000))), b"\xdf\xff\xff\xff\xff", msgpack.packb({"type": "run", "seq": 2**63}),
    ))  # fmt: skip
    return {"type": "websocket.receive", "text" if isinstance(said, str) else "bytes": said}


def frame(dice: random.Random) -> bytes:
    """As it lies on the wire: of any kind, in pieces, unmasked, with a length that is not its own."""
    first = dice.choice((0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8A, 0x88, 0x83, 0x8F, 0xF1, 0xC1, 0x09, dice.randrange(256)))
    size = dice.choice((125, 126, 66_000))
    payload = dice.choice((b"", b"x", b"\xff\xfe", b"\x03\xe8bye", b"\x00\x00", b"\x03", msgpack.packb({"a": 1}), dice.randbytes(size)))
    length = len(payload) if dice.random() < 0.9 else dice.choice((0, 1, 2**16, 2**31, 2**63, 2**64 - 1))
    short, masked = (length if length < 126 else 126 if length < 2**16 else 127), dice.random() < 0.85
    head = bytes((first, short | masked << 7)) + (struct.pack(">H", length) if short == 126 else struct.pack(">Q", length) if short == 127 else b"")
    if not masked:
        return head + payload
    key = dice.randbytes(4)
    return head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


# ── addresses ───────────────────────────────────────────────────────────────────────────────────

VALUES = ["file", "thumbnail", "json", "value", "done", "queued", "Image", "0", "1", "256"]
ODD = ["%", "%00", "%zz", "+", "null", "true", "undefined"]
WAITS = ["-1", "61", str(math.nan), str(math.inf), str(-math.inf), "1e99", "x", "", "0", "0.01"]  # never as long as a test may take


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
    return dice.choice((*NAMES, *ODD, f"{dice.getrandbits(128):032x}.png", f"{dice.getrandbits(256):064x}"))


def query(dice: random.Random, names: list[str], known: list[str]) -> str:
    """Of an address: parameters that are there and others, once, twice, without a value."""
    asked = dice.sample(names, dice.randrange(len(names) + 1)) + [dice.choice(NAMES)] * (dice.random() < 0.2)
    pairs = []
    for name in asked:
        for _ in range(dice.choice((1, 1, 1, 2))):
            said = dice.choice(WAITS if name == "wait" else VALUES) if name == "wait" or dice.random() < 0.4 else word(dice, known)
            pairs.append(_quoted(dice, name) + (f"={_quoted(dice, said)}" if dice.random() < 0.95 or name == "wait" else ""))
    return dice.choice("&&&&&;").join(pairs)[:15_000]


def _quoted(dice: random.Random, text: str) -> str:
    raw = text.encode("utf-8", "surrogatepass")
    return quote(raw) if dice.random() < 0.9 else "".join(f"%{byte:02X}" for byte in raw[:200])

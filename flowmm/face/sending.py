"""A run's inputs on their way to a server: pictures are uploaded exactly as they are, the rest is JSON."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..graph.problems import GraphError, Problem, brief
from ..sockets import Image, Mask, NotAccepted, Seed, Text, Value
from ..sockets.images import from_plain

MEDIA = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}
Upload = tuple[str, bytes]  # media type, content


def pictured(type_: str) -> bool:
    """Whether plain values given to an input of this type are pictures."""
    return re.search(r"\b(Image|Mask)\b", type_) is not None


class Sender:
    """upload: keeps a picture on the server and gives its id. by_key: the inputs that name a value the server must have already."""

    def __init__(self, upload: Callable[[Upload], str]):
        self.upload = upload
        self.by_key: dict[str, str] = {}

    def sent(self, name: str, value: Any, type_: str) -> Any:
        """An input as JSON. type_: of the graph's input, in words. Raises GraphError."""
        try:
            made = self._sent(name, value, type_)
            json.dumps(made, allow_nan=False)
            return made
        except NotAccepted as error:
            why = str(error)
        except (TypeError, ValueError, RecursionError):
            why = f"{brief(value)} cannot be sent to a server"
        raise GraphError([Problem("bad-input", f"the input `{name}`: {why}", got=brief(value), expected=type_, fix="Give another value.")])

    def unknown(self) -> Problem:
        """Why values named by their content were not known."""
        name, kind = next(iter(self.by_key.items()))
        message = f"the input `{name}` is {kind}, which cannot be sent: only pictures of whole numbers 0…255, texts and numbers can, and what this server made"
        return Problem("bad-input", message, fix="Round the picture to uint8, or make the value on the server.")

    def _sent(self, name: str, value: Any, type_: str) -> Any:
        if isinstance(value, (list, tuple)):
            return [self._sent(name, item, type_) for item in value]
        if isinstance(value, Text):
            return list(value.lines)
        if isinstance(value, Seed):
            return value.value
        if isinstance(value, Value):
            as_read = Mask if "Mask" in type_ else Image  # what the server makes of an upload
            if type(value) is as_read and value.pixels.dtype == "uint8":
                return self._uploaded([("image/png", value.png(i, embed=False)) for i in range(len(value))])
            return self._named(name, value)
        if pictured(type_) and value is not None and not isinstance(value, (bool, int, float, dict)):
            return self._picture(name, value, Mask if "Mask" in type_ else Image)
        return os.fspath(value) if isinstance(value, os.PathLike) else value

    def _picture(self, name: str, value: Any, kind: type[Image]) -> Any:
        """A file of a format that the server takes goes as it is; anything else as the pixels it means."""
        data = None
        if isinstance(value, (bytes, bytearray)):
            data = bytes(value)
        elif isinstance(value, (str, os.PathLike)):
            value = Path(value).expanduser()
            data = value.read_bytes() if value.is_file() else None
        media = next((media for magic, media in MEDIA.items() if data and data.startswith(magic)), "")
        if media and not _animated(data):
            return self._uploaded([(media, data)])
        return self._sent(name, kind(from_plain(value, "RGB" if kind is Image else "L")), kind.__name__)

    def _uploaded(self, uploads: list[Upload]) -> Any:
        ids = [{"upload": self.upload(one)} for one in uploads]
        return ids[0] if len(ids) == 1 else ids

    def _named(self, name: str, value: Value) -> dict[str, str]:
        """By its content: the server has it if it made it."""
        from ..store.codec import Unstorable, encode

        try:
            key = encode(value).digest().hex()
        except Unstorable as error:
            raise NotAccepted(str(error)) from None
        self.by_key[name] = f"a picture of {value.pixels.dtype}" if isinstance(value, Image) else f"a {type(value).__name__}"
        return {"value": key}


def _animated(data: bytes) -> bool:
    """Whether a file holds several pictures, of which the first is meant; also for what is none of these formats after all."""
    import PIL.Image

    try:
        with PIL.Image.open(io.BytesIO(data), formats=["PNG", "JPEG", "WEBP"]) as picture:
            return picture.format not in ("PNG", "JPEG", "WEBP") or getattr(picture, "n_frames", 1) > 1
    except Exception:  # Pillow raises anything on a damaged file; who reads it next says what is wrong
        return True

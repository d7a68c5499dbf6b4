"""Pictures that came from outside: told by their content, bounded, proved whole, kept under names of our own."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import stat
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..files import write_whole
from ..graph.problems import sentence, shorten
from ..sockets import Image, Mask
from ..sockets.images import open_picture
from .refusals import Refused, refusal, writing

PILLOW = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP"}
MEDIA = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}
_ID = re.compile(r"[0-9a-f]{32}\.(?:png|jpg|webp)")
_MOST_PARTS = 2**16  # of one file: Pillow walks them in Python and remembers many; 8 million took it 45 s and 2 GB
_DECODED_AT_ONCE = 2  # a picture of 67 megapixels takes some 600 MB while it is decoded


@dataclass(frozen=True, slots=True)
class Upload:
    """id: also its file's name. width, height: in pixels, upright as a graph sees it; 0 if its file was damaged since.
    kind: png, jpg or webp."""

    id: str
    width: int
    height: int
    bytes: int
    kind: str

    @property
    def media(self) -> str:
        return MEDIA[self.kind]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Uploads:
    """folder: ours alone, made by the first upload. largest_bytes, largest_pixels: of one picture. most_bytes: of all; beyond it
    the oldest go of which in_use(id) is false. Safe to use from several threads; every method raises Refused."""

    def __init__(
        self, folder: Path, largest_bytes: int = 32 << 20, largest_pixels: int = 2**26, most_bytes: int = 4 << 30,
        in_use: Callable[[str], bool] = lambda id: False,
    ):  # fmt: skip
        self.folder = Path(folder)
        self.largest_bytes, self.largest_pixels, self.most_bytes, self.in_use = largest_bytes, largest_pixels, most_bytes, in_use
        self._lock = threading.Lock()
        self._decoding = threading.BoundedSemaphore(_DECODED_AT_ONCE)
        self._known: dict[str, Upload] = {}
        for scrap in self.folder.glob(".*.tmp"):  # of a process that was killed
            with contextlib.suppress(OSError):
                scrap.unlink()

    def add(self, data: bytes) -> Upload:
        """Take a picture in. The same bytes twice are one file."""
        if len(data) > self.largest_bytes:
            raise Refused(413, "too-large", f"the picture has {len(data):,} bytes; at most {self.largest_bytes:,} are allowed", "Send a smaller one.")
        kind = _kind(data)
        with self._decoding:
            width, height = self._proved(data, kind)
        upload = Upload(f"{hashlib.sha256(data).hexdigest()[:32]}.{kind}", width, height, len(data), kind)
        path = self.folder / upload.id
        with self._lock, writing("the picture"):
            files = self._files()
            if upload.id in files and files[upload.id].st_size == len(data):
                os.utime(path)  # as new as if it had come now, so that it is not the next to go
            else:
                self._make_room(len(data), files)
                self.folder.mkdir(parents=True, exist_ok=True)
                write_whole(path, data, sync=True)
            self._known[upload.id] = upload
        return upload

    def path(self, id: str) -> Path:
        """The file of an upload."""
        path = self.folder / id if _ID.fullmatch(id) else None
        try:
            if path is not None and stat.S_ISREG(os.lstat(path).st_mode):
                return path
        except OSError:
            pass
        raise Refused(404, "no-upload", f"there is no upload {shorten(repr(id))}", "Send the picture again.")

    def open(self, id: str) -> Image:
        """An upload as a picture, upright."""
        return self._opened(id, Image)

    def mask(self, id: str) -> Mask:
        """An upload as a mask: white is covered."""
        return self._opened(id, Mask)

    def carried(self, data: bytes) -> dict[str, str]:
        """The texts that a PNG carries, by name; the picture is proved as one that is kept, and is not kept."""
        import PIL.Image

        if _kind(data) != "png":
            raise Refused(415, "no-png", "only a PNG carries a graph", "Open a PNG that flowmm saved, or a graph's JSON file.")
        with self._decoding:
            self._proved(data, "png")
            with PIL.Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
                return dict(picture.text)

    def by_digest(self, sha256: str) -> str | None:
        """The upload whose bytes have this digest in hex, if it is here."""
        for kind in MEDIA:
            with contextlib.suppress(Refused):
                return self.path(f"{sha256[:32]}.{kind}").name
        return None

    def listing(self, limit: int) -> list[Upload]:
        """The newest uploads, at most `limit`. A picture that was not looked at since the start is decoded for its size."""
        with self._lock:
            files = self._files()
        newest = sorted(files, key=lambda id: (-files[id].st_mtime_ns, id))[: max(0, limit)]
        return [self._known.get(id) or self._measured(id, files[id].st_size) for id in newest]

    def _opened(self, id: str, socket: type[Image]) -> Any:
        path = self.path(id)
        try:
            with self._decoding:
                return socket.accept(path)
        except Exception as error:  # Pillow raises anything on a damaged file
            raise Refused(422, "damaged", f"the upload `{id}` cannot be opened: {sentence(error)}", "Send the picture again.") from error

    def _measured(self, id: str, size: int) -> Upload:
        try:
            with self._decoding:
                width, height = open_picture(self.folder / id).size
        except Exception:  # as above
            return Upload(id, 0, 0, size, id.rpartition(".")[2])
        made = self._known[id] = Upload(id, width, height, size, id.rpartition(".")[2])
        return made

    def _proved(self, data: bytes, kind: str) -> tuple[int, int]:
        """Width and height of a picture that was decoded to its last pixel, upright."""
        import PIL.Image

        try:
            if kind == "webp":
                self._bounded(*_canvas(data))  # before Pillow, which makes room for it already when it opens the file
            if kind == "png":
                _chunks(data)
            elif kind == "jpg":
                _segments(data)
            with PIL.Image.open(io.BytesIO(data), formats=[PILLOW[kind]]) as picture:
                self._bounded(*picture.size)
                animated = kind != "jpg" and getattr(picture, "n_frames", 1) > 1  # a JPEG may hold its own preview as a second
            if animated:
                raise Refused(415, "animated", "the picture is an animation", "Send one picture of it.")
            return open_picture(io.BytesIO(data), "the picture").size
        except Refused:
            raise
        except PIL.UnidentifiedImageError:  # whose words name an object of ours
            raise Refused(422, "damaged", "the picture is damaged: its beginning is no picture's", "Save it again as a PNG and send that.") from None
        except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
            raise Refused(413, "too-many-pixels", f"the picture has too many pixels: {sentence(error)}", "Send a smaller one.") from error
        except Exception as error:  # Pillow raises anything on a damaged file
            raise Refused(422, "damaged", f"the picture is damaged: {sentence(error)}", "Save it again as a PNG and send that.") from error

    def _bounded(self, width: int, height: int) -> None:
        if width * height > self.largest_pixels:
            message = f"the picture is {width}×{height}; at most {self.largest_pixels:,} pixels are allowed"
            raise Refused(413, "too-many-pixels", message, "Send a smaller one.")

    def _files(self) -> dict[str, os.stat_result]:
        """Every upload on the disk."""
        try:
            with os.scandir(self.folder) as entries:
                ours = [entry for entry in entries if _ID.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)]
            return {entry.name: entry.stat(follow_symlinks=False) for entry in ours}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise refusal(error, "the folder of uploads", "read") from error

    def _make_room(self, size: int, files: dict[str, os.stat_result]) -> None:
        """Remove the oldest that nothing refers to until `size` more bytes fit; nothing at all where that would not do."""
        excess = sum(status.st_size for status in files.values()) + size - self.most_bytes
        leaving = []
        for id in sorted(files, key=lambda id: (files[id].st_mtime_ns, id)):
            if excess <= 0:
                break
            if not self.in_use(id):
                leaving.append(id)
                excess -= files[id].st_size
        if excess > 0:
            message = f"there is no room for {size:,} bytes: uploads may take {self.most_bytes:,}, and what is there is in use"
            raise Refused(507, "uploads-full", message, "Delete runs that use uploads, or raise the bound.")
        for id in leaving:
            (self.folder / id).unlink(missing_ok=True)
            self._known.pop(id, None)


def _kind(data: bytes) -> str:
    """png, jpg or webp by the first bytes, whatever the sender calls it."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    raise Refused(415, "no-picture", "what was sent is no PNG, JPEG or WebP picture" if data else "nothing was sent", "Send one of these.")


def _chunks(data: bytes) -> None:
    """ValueError unless a PNG reaches its last chunk (Pillow is content with the pixels) before there are too many."""
    at = 8
    for _ in range(_MOST_PARTS):
        if len(data) < at + 12:
            raise ValueError("it ends too early")
        if data[at + 4 : at + 8] == b"IEND":
            return
        at += int.from_bytes(data[at : at + 4]) + 12
    raise ValueError(f"it has more than {_MOST_PARTS:,} chunks")


def _segments(data: bytes) -> None:
    """ValueError unless a JPEG reaches its pixels before there are too many segments, walked as Pillow walks them."""
    from PIL.JpegImagePlugin import MARKER

    at = 2
    for _ in range(_MOST_PARTS):
        if len(data) < at + 4:
            raise ValueError("it ends too early")
        marker = int.from_bytes(data[at : at + 2])
        if marker == 0xFFDA:
            return
        if marker in MARKER and MARKER[marker][2] is not None:
            at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4]))
        else:  # a marker alone, or junk and padding byte by byte
            at += 2 if marker in MARKER or marker == 0xFF00 else 1
    raise ValueError(f"it has more than {_MOST_PARTS:,} segments")


def _canvas(data: bytes) -> tuple[int, int]:
    """Width and height that a WebP announces. ValueError if it announces none."""
    head = data[20:30]
    if data[12:16] == b"VP8X" and len(head) == 10:
        return int.from_bytes(head[4:7], "little") + 1, int.from_bytes(head[7:10], "little") + 1
    if data[12:16] == b"VP8L" and len(head) >= 5 and head[0] == 0x2F:
        bits = int.from_bytes(head[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if data[12:16] == b"VP8 " and len(head) == 10 and head[3:6] == b"\x9d\x01\x2a":
        return int.from_bytes(head[6:8], "little") & 0x3FFF, int.from_bytes(head[8:10], "little") & 0x3FFF
    raise ValueError("its first chunk says no size")

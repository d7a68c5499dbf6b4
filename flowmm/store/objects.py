"""One entry as bytes: self-checking, the same in a SQLite blob and in a file of its own.

    magic 8 | sha256 of all that follows 32 | length of the head 8 | head | buffers, each at a multiple of 64

The head is msgpack: [codec version, key, [[header, [length of each buffer]] for each output]]. The key is inside, so
that bytes found under another name are damage too. A file is never changed after it has its name.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import mmap
import os
import struct
from pathlib import Path
from typing import Any

import msgpack

from . import codec
from .codec import Encoded, Undecodable

MAGIC = b"flowmm\x01\n"
ALIGNMENT = 64  # bytes: a cache line, and the widest vector load
_PREFIX = struct.Struct("<8s32sQ")
_HASHED_FROM = 40  # the offset behind the sha256

_counter = itertools.count()


class Damaged(ValueError):
    """Bytes that are not what was written."""


def pack(key: bytes, outputs: list[Encoded]) -> list[Any]:
    """The pieces of an entry, in order; the buffers themselves are not copied."""
    lengths = [[memoryview(buffer).nbytes for buffer in output.buffers] for output in outputs]
    head = msgpack.packb((codec.VERSION, key, [(o.header, sizes) for o, sizes in zip(outputs, lengths)]))
    pieces: list[Any] = [head]
    end = _PREFIX.size + len(head)
    for output, sizes in zip(outputs, lengths):
        for buffer, size in zip(output.buffers, sizes):
            gap = -end % ALIGNMENT
            pieces += (bytes(gap), buffer)
            end += gap + size
    length = struct.pack("<Q", len(head))
    sha = hashlib.sha256(length)
    for piece in pieces:
        sha.update(piece)
    return [MAGIC, sha.digest(), length, *pieces]


def unpack(key: bytes, data: Any) -> list[Encoded]:
    """The outputs of an entry, as views onto `data`. Raises Damaged, or Undecodable for another codec version."""
    view = memoryview(data)
    if len(view) < _PREFIX.size:
        raise Damaged("too short")
    magic, sha, head_length = _PREFIX.unpack_from(view)
    if magic != MAGIC:
        raise Damaged("no entry of this cache")
    if hashlib.sha256(view[_HASHED_FROM:]).digest() != sha:
        raise Damaged("its checksum differs")
    end = _PREFIX.size + head_length
    try:
        version, own_key, outputs = msgpack.unpackb(view[_PREFIX.size : end])
    except (ValueError, TypeError, msgpack.UnpackException):
        raise Damaged("its head cannot be read") from None
    if own_key != key:
        raise Damaged("it belongs to another key")
    if version != codec.VERSION:
        raise Undecodable(f"written by codec {version}; this is codec {codec.VERSION}")
    result = []
    for header, sizes in outputs:
        buffers = []
        for size in sizes:
            start = end + -end % ALIGNMENT
            end = start + size
            buffers.append(view[start:end])
        result.append(Encoded(header, buffers))
    return result


def name_of(folder: Path, key: bytes) -> Path:
    """Where the entry of a key lies, if it has a file of its own: 256 folders, so that none grows too long."""
    name = key.hex()
    return folder / name[:2] / name


def write(path: Path, pieces: list[Any], sync: bool = False) -> None:
    """Write under a temporary name in the same folder, then rename. Raises OSError, leaving nothing behind.

    sync: have the content on the disk before it gets its name, so that a power cut cannot leave the name alone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{next(_counter)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.writelines(pieces)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def read(path: Path, key: bytes) -> list[Encoded]:
    """The outputs in a file, as copy-on-write views onto a memory map of it.

    Raises FileNotFoundError, OSError, Damaged or Undecodable.
    """
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        if size < _PREFIX.size:
            raise Damaged("too short")
        data = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY)
    return unpack(key, data)


def walk(folder: Path):
    """Every file under the objects' folder: (path, key or None for a temporary or foreign name, bytes, mtime)."""
    for shelf in _scan(folder):
        if not shelf.is_dir(follow_symlinks=False):
            continue
        for entry in _scan(shelf.path):
            try:
                status = entry.stat(follow_symlinks=False)
                key = bytes.fromhex(entry.name)
            except OSError:  # gone since
                continue
            except ValueError:
                key = None
            yield Path(entry.path), key, status.st_size, status.st_mtime


def _scan(folder: Any) -> list[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []

"""Files of pickled weights: the zip archives of torch.save, its older stream, and plain pickles. Nothing in them is run.

`read` gives the tree that was saved, with records for tensors (their `.tensor()` is on the file's memory) and inert objects for
classes; `state_dict` walks a pickled torch module. See `pickle_machine` for what is admitted.
"""

from __future__ import annotations

import io
import mmap
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .pickle_machine import Machine
from .pickled import SIZES, Array, Damaged, Forbidden, Inert, Storage, Stored
from .weights import SourceError

__all__ = ["Array", "Forbidden", "Inert", "Stored", "read", "state_dict"]

STREAM = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # how torch.save began before 1.6: a pickled magic number
MOST_TENSORS = 1_000_000  # in one module; shared modules could otherwise name exponentially many
OTHERS = {
    b"version https://git-lfs": "is a Git LFS pointer, not the file itself: download it again",
    b"<!DOCTYPE html": "is a web page, not weights: download it again", b"<html": "is a web page, not weights: download it again",
    b"\x1f\x8b": "is a gzip archive: unpack it first",
}  # fmt: skip


def read(path: Path, stand_ins: Iterable[str] = ()) -> Any:
    """What was pickled, as a tree. stand_ins: classes, as "dall_e.encoder.Encoder", whose objects become Inert.

    Raises SourceError when the file is no pickle of weights; Forbidden when it names anything else.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            if not path.stat().st_size:
                raise Damaged("it is empty")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _read(path, data, frozenset(stand_ins))
    except Damaged as error:
        raise SourceError(f"`{path.name}` holds no weights that can be read: {error}") from error
    except OSError as error:
        raise SourceError(f"`{path.name}` cannot be read ({(error.strerror or 'unknown').lower()})") from None


def state_dict(module: Inert) -> dict[str, Stored]:
    """The tensors of a pickled torch module by name, as its `state_dict()` would give them. Raises SourceError."""
    found: dict[str, Stored] = {}
    waiting: list[tuple[str, Any, int]] = [("", module, 0)]
    while waiting:
        prefix, one, depth = waiting.pop()
        state = one.__dict__ if isinstance(one, Inert) else {}
        parts = [state.get(kind) or {} for kind in ("_parameters", "_buffers", "_modules")]
        if not all(isinstance(part, dict) for part in parts) or depth > 100 or len(waiting) + len(found) > MOST_TENSORS:
            raise SourceError("the pickled module is no tree of modules with parameters")
        parameters, buffers, children = parts
        passing = state.get("_non_persistent_buffers_set") or ()
        kept = {name: value for name, value in buffers.items() if name not in passing}
        found.update((f"{prefix}{name}", value) for name, value in (parameters | kept).items() if isinstance(value, Stored))
        waiting += [(f"{prefix}{name}.", child, depth + 1) for name, child in reversed(children.items()) if child is not None]
    return found


def _read(path: Path, data: mmap.mmap, stand_ins: frozenset[str]) -> Any:
    start = bytes(data[:64])
    for magic, what in OTHERS.items():
        if start.startswith(magic):
            raise SourceError(f"`{path.name}` {what}")
    if start.startswith(b"PK\x03\x04"):
        return _archive(path, data, stand_ins)
    memory = _Memory(path, len(data))
    if STREAM in start[:32]:
        return _stream(path.name, data, len(data), stand_ins, memory)
    if bytes(data[257:262]) == b"ustar":
        raise SourceError(f"`{path.name}` is in the tar format of PyTorch before 0.2: load and save it with PyTorch first")
    if start[:1] not in b"\x80(}])cld":
        raise Damaged("it is neither an archive of torch.save nor a pickle")
    machine = Machine(path.name, stand_ins, _no_storage, lambda blob: _nested(path.name, blob))
    return machine.read(data, len(data))


class _Memory:
    """The file's bytes as torch memory: mapped once, copied on write, and only when a tensor is wanted."""

    def __init__(self, path: Path, size: int):
        self.path, self.size, self.whole = path, size, None

    def __call__(self, start: int, count: int) -> Any:
        import torch

        if self.whole is None:
            self.whole = torch.UntypedStorage.from_file(str(self.path), shared=False, nbytes=self.size)
        part = self.whole[start : start + count]
        return part if start % 16 == 0 else part.clone()  # some kernels want aligned elements


def _archive(path: Path, data: mmap.mmap, stand_ins: frozenset[str]) -> Any:
    """torch.save since 1.6: NAME/data.pkl and one entry for each storage, all stored as they are."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {info.filename: info for info in archive.infolist()}
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        raise Damaged("its archive is cut short; download it again") from None
    main = [name for name in entries if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(main) != 1:
        raise Damaged("it is an archive, but not one of torch.save")
    root = main[0].removesuffix("data.pkl")
    if f"{root}constants.pkl" in entries or any(name.startswith(f"{root}code/") for name in entries):
        raise SourceError(f"`{path.name}` is a TorchScript program, not weights: look for a safetensors version of the model")

    def place(name: str) -> tuple[int, int]:
        info = entries.get(name)
        if info is None:
            raise Damaged("its archive lacks the bytes of a tensor; download it again")
        header = bytes(data[info.header_offset : info.header_offset + 30])
        begin = info.header_offset + 30 + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        if header[:4] != b"PK\x03\x04" or info.compress_type != zipfile.ZIP_STORED or begin + info.file_size > len(data):
            raise Damaged("its archive is packed in a way torch.save does not use, or cut short")
        return begin, info.file_size

    if f"{root}byteorder" in entries:
        begin, size = place(f"{root}byteorder")
        _check_order(data[begin : begin + size] == b"little")
    memory, storages = _Memory(path, len(data)), {}

    def storage(key: str, dtype: str, count: int) -> Storage:
        if key not in storages:
            begin, size = place(f"{root}data/{key}")
            made = storages[key] = Storage(key, dtype, count)
            if made.bytes > size:
                raise Damaged("a tensor's bytes are cut short; download it again")
            made.data = _Later(memory, begin, made.bytes)
        elif storages[key].bytes != count * SIZES[dtype]:
            raise Damaged("its pickle describes one storage in two ways")
        return storages[key]

    begin, size = place(main[0])
    return Machine(path.name, stand_ins, storage).read(io.BytesIO(data[begin : begin + size]), size)


def _stream(file: str, data: Any, size: int, stand_ins: frozenset[str], memory: Any) -> Any:
    """torch.save before 1.6: pickles of magic, version, system, tree and storage keys, then each storage's count and bytes."""
    storages: dict[str, Storage] = {}

    def storage(key: str, dtype: str, count: int) -> Storage:
        made = storages.setdefault(key, Storage(key, dtype, count))
        if made.bytes != count * SIZES[dtype] or made.bytes > size:
            raise Damaged("its pickle describes one storage in two ways, or one larger than the file")
        return made

    machine = Machine(file, stand_ins, storage)
    _magic, _version, system, tree, keys = (machine.read(data, size) for _ in range(5))
    _check_order(not isinstance(system, dict) or system.get("little_endian", True) is True)
    if not isinstance(keys, list) or {str(key) for key in keys} != storages.keys():
        raise Damaged("its storages do not match its tensors")
    for key in map(str, keys):
        storage_, count = storages[key], int.from_bytes(data.read(8), "little")
        begin = data.tell()
        if count not in (storage_.count, storage_.bytes) or begin + storage_.bytes > size:
            raise Damaged("a tensor's bytes are cut short; download it again")
        storage_.data = _Later(memory, begin, storage_.bytes)
        data.seek(begin + storage_.bytes)
    return tree


class _Later:
    """Bytes that are mapped when they are wanted."""

    def __init__(self, memory: Any, start: int, count: int):
        self.memory, self.start, self.count, self.made = memory, start, count, None

    def __call__(self) -> Any:
        if self.made is None:
            self.made = self.memory(self.start, self.count)
        return self.made


def _nested(file: str, blob: bytes) -> Any:
    """A storage inside a plain pickle: torch.save's old stream again."""

    def memory(start: int, count: int) -> Any:
        import torch

        return torch.frombuffer(bytearray(blob[start : start + count]), dtype=torch.uint8).untyped_storage()

    return _stream(file, io.BytesIO(blob), len(blob), frozenset(), memory)


def _no_storage(key: str, dtype: str, count: int) -> Storage:
    raise Damaged("a plain pickle has no place for a tensor's bytes")


def _check_order(little: bool) -> None:
    if not little:
        raise Damaged("it was written on a machine of the other byte order")

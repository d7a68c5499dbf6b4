"""Results: the values that runs gave, by their content, each in a self-checking file that is on the disk before anyone is told."""

from __future__ import annotations

import contextlib
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files import sync_folder
from ..store import keys, objects
from ..store.codec import Encoded, Undecodable, Unstorable, encode
from ..store.objects import Damaged
from .summary import summary_of, type_of

__all__ = ["Damaged", "Results", "Stored", "Undecodable"]

_KEY = re.compile(f"[0-9a-f]{{{2 * keys.SIZE}}}")


@dataclass(frozen=True, slots=True)
class Stored:
    """A value that is here. key: its content digest in hex. type: its socket's name. bytes: on disk. summary: small plain data."""

    key: str
    type: str
    bytes: int
    summary: dict[str, Any]


class Results:
    """Values in a folder, one file each; the same value twice is one file. All methods are safe from any thread.

    A value put is held until it is released, so that forgetting an old run never removes what a run just ending refers to.
    """

    def __init__(self, folder: Path) -> None:
        """Touches nothing yet."""
        self.folder = Path(folder)
        self._held: Counter[str] = Counter()
        self._lock = threading.Lock()

    def put(self, value: Any) -> Stored:
        """Keep a value, or what a worker handed over encoded; on return it is on the disk, and held.

        Raises TypeError for a value without a codec, OSError where it cannot be written.
        """
        try:
            encoded = value if isinstance(value, Encoded) else encode(value)
        except Unstorable as error:
            raise TypeError(f"this output cannot be kept: {error}") from None
        digest = encoded.digest()
        key = digest.hex()
        path = objects.name_of(self.folder, digest)
        pieces = objects.pack(digest, [encoded])
        with self._lock:
            self._held[key] += 1
        try:
            if not self._sound(path, digest):
                new = [folder for folder in (path.parent, self.folder) if not folder.exists()]
                objects.write(path, pieces, sync=True)
                for folder in new:
                    sync_folder(folder.parent)
            sync_folder(path.parent)  # also where another thread wrote it: it may not be so far
        except BaseException:
            self.release([key])
            raise
        size = sum(memoryview(piece).nbytes for piece in pieces)
        return Stored(key, type_of(encoded.tree()), size, summary_of(encoded))

    def release(self, held: Iterable[str]) -> None:
        """What was put is referred to from now on, or never will be. One release a put."""
        with self._lock:
            self._held.subtract(held)
            self._held = +self._held

    def get(self, key: str) -> Any:
        """The value; its arrays are views onto its file. Raises KeyError, Damaged, or Undecodable for another version's file."""
        return self._read(key, lambda path, digest: objects.read(path, digest)[0].decode())

    def as_encoded(self, key: str) -> Encoded:
        """The value as it is kept, its tensors not made: no torch is needed. Raises as get does."""
        return self._read(key, lambda path, digest: objects.read(path, digest)[0])

    def encoded(self, key: str) -> bytes:
        """The file's bytes, checked, for objects.unpack on another machine. Raises as get does."""

        def whole(path: Path, digest: bytes) -> bytes:
            data = path.read_bytes()
            objects.unpack(digest, data)
            return data

        return self._read(key, whole)

    def _read(self, key: str, read: Callable[[Path, bytes], Any]) -> Any:
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            raise KeyError(key)
        digest = bytes.fromhex(key)
        try:
            return read(objects.name_of(self.folder, digest), digest)
        except FileNotFoundError:
            raise KeyError(key) from None
        except Damaged as error:
            raise Damaged(f"the result {key} was damaged on disk ({error}); run its graph again to have it back") from None

    def remove(self, key: str, referenced: Callable[[str], bool]) -> bool:
        """Forget a value unless it is held, or still referred to (Journal.referenced); whether it is gone. Raises OSError."""
        with self._lock:
            if not _KEY.fullmatch(key) or key in self._held or referenced(key):
                return False
            objects.name_of(self.folder, bytes.fromhex(key)).unlink(missing_ok=True)
            return True

    def sweep(self, referenced: Callable[[str], bool]) -> int:
        """At the server's start: remove what a killed server left, half-written or for a run it never recorded. How many files."""
        removed = 0
        for path, digest, _, _ in objects.walk(self.folder):
            if digest is None and path.suffix == ".tmp":
                with contextlib.suppress(OSError):
                    path.unlink()
                    removed += 1
            elif digest is not None:
                removed += self.remove(digest.hex(), referenced)
        return removed

    def size(self) -> tuple[int, int]:
        """(values, bytes on disk); looks at every file."""
        sizes = [size for _, digest, size, _ in objects.walk(self.folder) if digest is not None]
        return len(sizes), sum(sizes)

    @staticmethod
    def _sound(path: Path, digest: bytes) -> bool:
        """Whether the file is here and whole, so that a damaged one is replaced."""
        try:
            objects.read(path, digest)
        except (OSError, Damaged, Undecodable):
            return False
        return True

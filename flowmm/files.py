"""Writing files so that a crash leaves the old one or the new one, never half of it."""

from __future__ import annotations

import errno
import itertools
import os
from pathlib import Path

_counter = itertools.count()


def write_whole(path: str | os.PathLike, data: bytes, *, sync: bool = False) -> Path:
    """Write under a temporary name in the same folder, then rename. sync: return when content and name are on the disk."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{next(_counter)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if sync:
        sync_folder(path.parent)
    return path


def sync_folder(folder: str | os.PathLike) -> None:
    """Have the names in a folder on the disk, where the system can tell it to."""
    if os.name == "nt":  # a folder cannot be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems
            raise
    finally:
        os.close(handle)

"""The safetensors files of one model folder, checked by their headers: nothing missing, nothing cut short."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

STEMS = ("diffusion_pytorch_model", "model")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
LONGEST_HEADER = 100_000_000  # the format's own bound
FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")


class SourceError(ValueError):
    """A source that cannot be used; the message is one sentence that says what to do."""


@dataclass(frozen=True)
class Weights:
    """files: safetensors, in order. variant: as in `model.fp16.safetensors`; None where the names are plain.

    prefixes: of the tensors that count, where a file holds others too.
    """

    files: tuple[Path, ...] = ()
    variant: str | None = None
    prefixes: tuple[str, ...] = ("",)

    @property
    def bytes(self) -> int:
        """Bytes on disk."""
        return sum(path.stat().st_size for path in self.files)

    @cached_property
    def loaded_bytes(self) -> int:
        """Bytes in memory, where every float becomes float32."""
        total = 0
        for path in self.files:
            for name, tensor in header(path, path.name).items():
                if not name.startswith(self.prefixes):
                    continue
                count = 1
                for size in tensor["shape"]:
                    count *= size
                low, high = tensor["data_offsets"]
                total += count * 4 if tensor["dtype"] in FLOATS else high - low
        return total


def find_weights(folder: Path, what: str) -> Weights:
    """The weight files the libraries would load from a folder. what: its name in errors. Raises SourceError."""
    found = None
    for stem in STEMS:
        single, index = folder / f"{stem}.safetensors", folder / f"{stem}.safetensors.index.json"
        if single.is_file():
            found = Weights((single,))
        elif index.is_file():
            found = Weights(_shards(index, what))
        else:
            indices = sorted(folder.glob(f"{stem}.safetensors.index.*.json"))
            variants = sorted(path for path in folder.glob(f"{stem}.*.safetensors"))
            if indices:
                found = Weights(_shards(indices[0], what), indices[0].name.split(".")[-2])
            elif variants:
                found = Weights(variants[:1], variants[0].name.split(".")[-2])
        if found is not None:
            break
    if found is None:
        if any(path for pattern in PICKLES for path in folder.glob(pattern)):
            raise SourceError(f"{what} has pickled weights only; pickles can run code and are not loaded; "
                              f"`flowmm models convert {folder}` makes safetensors of them, once")  # fmt: skip
        raise SourceError(f"{what} has no weights (no .safetensors file): download it again")
    for path in found.files:
        header(path, what)
    return Weights(tuple(found.files), found.variant)


def _shards(index: Path, what: str) -> tuple[Path, ...]:
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        if any(Path(name).name != name or not name.endswith(".safetensors") for name in names):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise SourceError(f"{what}: {index.name} is damaged; download it again") from None
    missing = [name for name in names if not (index.parent / name).is_file()]
    if missing:
        shown = ", ".join(missing[:2]) + (" …" if len(missing) > 2 else "")
        raise SourceError(f"{what} lacks {len(missing)} of its {len(names)} weight files ({shown}): the download is unfinished, fetch it again")
    return tuple(index.parent / name for name in names)


def header(path: Path, what: str) -> dict[str, dict]:
    """The tensors a safetensors file lists. Raises SourceError if it is shorter than they need."""
    size = path.stat().st_size
    try:
        with open(path, "rb") as file:
            length = struct.unpack("<Q", file.read(8))[0]
            if length > min(size, LONGEST_HEADER):
                raise ValueError
            tensors = json.loads(file.read(length))
        tensors.pop("__metadata__", None)
        end = max((tensor["data_offsets"][1] for tensor in tensors.values()), default=0)
        if 8 + length + end != size:
            raise ValueError
    except (OSError, ValueError, struct.error, KeyError, TypeError, AttributeError, IndexError):
        raise SourceError(f"{what}: {path.name} is cut short or damaged; download it again") from None
    return tensors

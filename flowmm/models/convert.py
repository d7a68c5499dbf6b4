"""Pickled weights made into safetensors, once, through the reader of `unpickle` that runs nothing.

How a checkpoint is laid out inside its pickle is known to a Layout; a new one is a line in LAYOUTS. What is no tensor (optimizers,
hyperparameters) is dropped and said. Every file is read back and compared before it gets its name.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..files import write_whole
from . import dvae_convert, selection, snapshots
from .hub import need_space
from .pickled import Array, Stored
from .unpickle import read
from .weights import SourceError

WRAPPERS = ("ema", "params_ema", "state_dict", "model", "module", "params", "net")  # what training programs call the weights, best first
RENAMED = {"pytorch_model": "model"}  # the libraries' names of pickles → of safetensors; other stems stay
Report = Callable[[str], None]


@dataclass(frozen=True)
class Taken:
    """What a layout found: tensors by name; dropped: what was left out, in words; kept: plain facts for the file's metadata.

    target: the safetensors file's path in the folder that is written, if not the pickle's own name. files: what lies beside it
    (a config.json), by name.
    """

    tensors: dict[str, Stored | Array]
    dropped: tuple[str, ...] = ()
    kept: dict[str, str] = field(default_factory=dict)
    target: str = ""
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """take: what a pickle's tree holds, or None where the tree is of another layout. stand_ins: classes read as inert objects."""

    name: str
    take: Callable[[Any], Taken | None]
    stand_ins: frozenset[str] = frozenset()


def _state_dict(tree: Any) -> Taken | None:
    """Names and tensors, as `torch.save(module.state_dict())` writes them."""
    if not isinstance(tree, dict):
        return None
    tensors = {name: value for name, value in tree.items() if isinstance(name, str) and isinstance(value, (Stored, Array))}
    rest = {name: value for name, value in tree.items() if name not in tensors}
    kept = {str(name): str(value) for name, value in rest.items() if isinstance(name, str) and _is_fact(value)}
    return Taken(tensors, tuple(_words(name, value) for name, value in rest.items() if str(name) not in kept), kept) if tensors else None


def _wrapped(tree: Any) -> Taken | None:
    """A state dict inside a training checkpoint, beside optimizers and counters."""
    if not isinstance(tree, dict):
        return None
    for wrapper in WRAPPERS:
        taken = _state_dict(tree.get(wrapper))
        if taken is not None:
            rest = {name: value for name, value in tree.items() if name != wrapper}
            kept = {str(name): str(value) for name, value in rest.items() if isinstance(name, str) and _is_fact(value)}
            dropped = tuple(_words(name, value) for name, value in rest.items() if str(name) not in kept)
            return Taken(taken.tensors, taken.dropped + dropped, taken.kept | kept)
    return None


LAYOUTS = [
    Layout("training checkpoint", _wrapped), Layout("state dict", _state_dict),
    Layout("OpenAI's discrete VAE", dvae_convert.take, dvae_convert.STAND_INS),
]  # fmt: skip


@dataclass(frozen=True)
class Converted:
    """folder: where it lies. written: the safetensors files. dropped: what no tensor was, or was left where it is, in words."""

    folder: Path
    written: tuple[Path, ...]
    dropped: tuple[str, ...]

    @property
    def source(self) -> str:
        """What to give as `--model`: the folder of a model, or the single checkpoint."""
        return str(snapshots.given(self.folder))


def convert(source: str | Path, out: Path | None = None, report: Report = lambda line: None) -> Converted:
    """Convert a pickle, a folder of them, or a pulled `hf:org/repo`. Raises SourceError; nothing is left behind then.

    out: a new folder; without it a pulled model is converted where it lies, anything else into $FLOWMM_HOME/models/converted.
    """
    if str(source).startswith("hf:"):
        found = snapshots.find(str(source))
        path, out = found.folder, out or (found.folder if found.ours else None)
    else:
        path = Path(source).expanduser().absolute()
    if not path.exists():
        raise SourceError(f"there is no file or folder `{source}` to convert")
    jobs, left = _jobs(path)
    if not jobs:
        raise SourceError(f"`{path.name}` has no pickled weights that are not safetensors already; there is nothing to convert")
    name = str(source).removeprefix("hf:").partition("@")[0].replace("/", "--") if str(source).startswith("hf:") else path.stem if path.is_file() else path.name
    out = (out or snapshots.models() / "converted" / name).expanduser().absolute()
    if out == path:
        return _into(out, path, jobs, left, report)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SourceError(f"`{out}` is there already; remove it (`flowmm models rm`), or name another folder with --out")
    building = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    building.mkdir(parents=True)
    try:
        made = _into(building, path, jobs, left, report)
        _bring_rest(path, building)
        if out.is_dir():
            out.rmdir()
        os.replace(building, out)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return Converted(out, tuple(out / one.relative_to(building) for one in made.written), made.dropped)


def _jobs(path: Path) -> tuple[list[Path], list[str]]:
    """The pickles that hold a model's weights, and in words those that do not."""
    if path.is_file():
        if path.name.endswith(selection.SAFE):
            raise SourceError(f"`{path.name}` is safetensors already")
        return [path], []
    jobs, left = [], []
    for folder in [path, *sorted(one for one in path.rglob("*") if one.is_dir() and not one.name.startswith("."))]:
        names = sorted(one.name for one in folder.iterdir() if one.is_file() and not one.name.startswith("."))
        pickles = [name for name in names if name.endswith(selection.PICKLED)]
        weights = selection.weights(names, selection.PICKLED)
        if folder == path and (path / "model_index.json").is_file():
            weights = []  # whole checkpoints beside the components
        weights = [name for name in weights if renamed(name) not in names]
        jobs += [folder / name for name in weights]
        left += [f"{(folder / name).relative_to(path)} (no weights of this model, or safetensors already)" for name in pickles if name not in weights]
    return jobs, left


def renamed(name: str) -> str:
    """pytorch_model-00001-of-00002.bin → model-00001-of-00002.safetensors."""
    stem = name.rsplit(".", 1)[0]
    old = selection.stem_of(name)
    return f"{RENAMED.get(old, old)}{stem[len(old) :]}.safetensors"


def _into(folder: Path, path: Path, jobs: list[Path], left: list[str], report: Report) -> Converted:
    """Write the safetensors of every job under a folder, as they lie under `path`."""
    base = path.parent if path.is_file() else path
    need_space(folder, sum(job.stat().st_size for job in jobs), f"converting `{path.name}`")
    written: list[Path] = []
    dropped = list(left)
    placed: dict[Path, dict[str, str]] = {}  # by folder of shards: tensor → file
    for job in jobs:
        report(f"{job.relative_to(base)} …")
        taken = take(job)
        target = folder / (taken.target or job.relative_to(base).with_name(renamed(job.name)))
        target.parent.mkdir(parents=True, exist_ok=True)
        write(taken, target)
        for name, data in taken.files.items():
            write_whole(target.parent / name, data)
        written.append(target)
        dropped += [f"{job.relative_to(base)}: {words}" for words in taken.dropped]
        placed.setdefault(target.parent, {}).update(dict.fromkeys(taken.tensors, target.name))
    for job in {job.parent for job in jobs}:
        for index in sorted(job.glob("*.bin.index*.json")):
            _index(index, folder / index.parent.relative_to(base), placed)
    return Converted(folder, tuple(written), tuple(dropped))


def take(path: Path) -> Taken:
    """What a pickle holds, by the first layout that knows it. Raises SourceError."""
    tree = read(path, frozenset().union(*(layout.stand_ins for layout in LAYOUTS)))
    for layout in LAYOUTS:
        taken = layout.take(tree)
        if taken is not None:
            return taken
    inside = f"a dict of {', '.join(map(str, list(tree)[:6])) or 'nothing'}" if isinstance(tree, dict) else _words("it", tree)
    raise SourceError(f"`{path.name}` holds no state dict that flowmm knows ({inside[:200]}): save the model's state_dict() with torch.save, and convert that")


def write(taken: Taken, target: Path) -> None:
    """One safetensors file, read back and compared before it gets its name. Raises SourceError."""
    import torch
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import save_file

    need_space(target.parent, sum(tensor.bytes for tensor in taken.tensors.values()), f"`{target.name}`")
    tensors, seen = {}, set()
    for name, stored in taken.tensors.items():
        tensor = stored.tensor()
        if tensor.dtype == torch.complex128:
            raise SourceError(f"`{name}` is complex128, which safetensors cannot hold")
        whole = isinstance(stored, Stored) and stored.bytes == stored.storage.bytes and id(stored.storage) not in seen
        if isinstance(stored, Stored):
            seen.add(id(stored.storage))
            if not whole:  # tied or sliced: safetensors wants each tensor to own its memory
                tensor = tensor.clone()
        tensors[name] = tensor.contiguous()
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        save_file(tensors, temporary, metadata={"format": "pt", **taken.kept})
        with safe_open(temporary, "pt") as back:
            same = set(back.keys()) == tensors.keys() and all(_equal(back.get_tensor(name), tensor) for name, tensor in tensors.items())
        if not same:
            raise SourceError(f"`{target.name}` did not read back as it was written: is the disk sound?")
        os.replace(temporary, target)
    except SafetensorError as error:
        raise SourceError(f"`{target.name}` cannot be written as safetensors ({error})") from None
    finally:
        temporary.unlink(missing_ok=True)


def _equal(one: Any, other: Any) -> bool:
    """Bit by bit, so that NaN equals itself."""
    import torch

    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return not one.numel() or torch.equal(one.reshape(-1).view(torch.uint8), other.reshape(-1).view(torch.uint8))


def _index(index: Path, folder: Path, placed: dict[Path, dict[str, str]]) -> None:
    """The index of shards for the new files; which tensor is where is known from the shards themselves."""
    try:
        old = json.loads(index.read_text(encoding="utf-8"))
        shards = {renamed(name) for name in old["weight_map"].values()}
        metadata = old.get("metadata") or {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise SourceError(f"{index.name} is damaged; download it again") from None
    there = {name: file for name, file in placed.get(folder, {}).items() if file in shards}
    missing = sorted(set(old["weight_map"]) - there.keys())
    if missing:
        raise SourceError(f"{index.name} lists {missing[0]}, which is in no shard here: the download is unfinished, fetch it again")
    stem, _, rest = index.name.partition(".bin.index")
    body = json.dumps({"metadata": metadata, "weight_map": dict(sorted(there.items()))}, indent=2) + "\n"
    write_whole(folder / f"{RENAMED.get(stem, stem)}.safetensors.index{rest}", body.encode())


def _bring_rest(path: Path, out: Path) -> None:
    """What else a model's folder holds: configs and tokenizers copied, safetensors linked where the disk allows."""
    if path.is_file():
        return
    for one in sorted(path.rglob("*")):
        relative = one.relative_to(path)
        if not one.is_file() or any(part.startswith(".") for part in relative.parts) or one.name.endswith(selection.PICKLED) or ".bin.index" in one.name:
            continue
        target = out / relative
        if target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if one.name.endswith(selection.SAFE):
            need_space(out, one.stat().st_size, f"`{relative}`")
            try:
                os.link(one.resolve(), target)
                continue
            except OSError:
                pass
        shutil.copyfile(one, target)


def _is_fact(value: Any) -> bool:
    return isinstance(value, (int, float)) or (isinstance(value, str) and len(value) <= 200)


def _words(name: Any, value: Any) -> str:
    """What was dropped, shortly: never the value itself, which may be anything."""
    kind = getattr(value, "cls", None) or type(value).__name__
    size = f" of {len(value)}" if isinstance(value, (dict, list, tuple, set)) else ""
    return f"{ascii(str(name)[:80])[1:-1]} ({kind}{size})"

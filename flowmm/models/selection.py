"""Which files of a model are wanted: configs, tokenizers, safetensors of one variant; pickles only where they are asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

from .weights import SourceError

SMALL = (".json", ".txt", ".model", ".jinja", ".spm", ".tiktoken")  # configs, vocabularies, chat templates
SAFE, PICKLED = (".safetensors",), (".bin", ".pt", ".pth", ".ckpt", ".pkl")
STEMS = ("model", "diffusion_pytorch_model", "pytorch_model", "adapter_model", "pytorch_lora_weights")  # the libraries' own names of weights
UNUSED = ("onnx", "openvino", "coreml", "flax", "tensorrt", "runs", "logs", "safety_checker", "checkpoint-*", "global_step*")  # folders
STATES = ("training_args.*", "optimizer*", "scheduler.*", "scaler.*", "rng_state*", "random_states*", "*_states.pt", "trainer_state*")
_SHARD = re.compile(r"-\d{5}-of-\d{5}")


def wanted(names: Iterable[str], variant: str | None = None, pickles: bool = False, pipeline: Mapping[str, Any] | None = None) -> list[str]:
    """The files to fetch of a repository. variant: as fp16; plain ones where there is none of it. pipeline: its model_index.json.

    Raises SourceError when the weights are pickles that were not asked for, or there is no such variant, or nothing to use.
    """
    folders: dict[str, list[str]] = {}
    for name in sorted(names):
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
            raise SourceError(f"the repository has a file of the name `{name[:80]}`, which could lie anywhere; it is not pulled")
        if not any(part.startswith(".") or any(fnmatchcase(part, unused) for unused in UNUSED) for part in path.parts[:-1]):
            folders.setdefault(str(path.parent), []).append(path.name)
    if pipeline is not None:
        folders = {folder: files for folder, files in folders.items() if folder == "." or folder.split("/")[0] in pipeline}
    chosen: list[str] = []
    variants: set[str] = set()
    pickled: list[str] = []
    for folder, files in folders.items():
        root = pipeline is not None and folder == "."  # whole checkpoints beside the components
        safe = [] if root else weights(files, SAFE)
        variants |= {variant_of(name) for name in safe if stem_of(name)}
        kept = of_variant(safe, variant)
        if not kept and not root and (bins := of_variant(weights(files, PICKLED), variant)):
            pickled += [join(folder, name) for name in bins]
            kept = bins
        chosen += [join(folder, name) for name in kept + small(files, kept)]
    if pickled and not pickles:
        shown = ", ".join(pickled[:2]) + (" …" if len(pickled) > 2 else "")
        raise SourceError(f"its weights are pickles ({shown}), which flowmm does not load; pull with --pickles, "
                          "then `flowmm models convert` makes safetensors of them")  # fmt: skip
    if variant and variant not in variants:
        known = ", ".join(sorted(one or "the plain one" for one in variants)) or "none"
        raise SourceError(f"it has no variant {variant}; there {'are' if len(variants) > 1 else 'is'} {known}")
    if not any(name.endswith(SAFE + PICKLED) or PurePosixPath(name).name.endswith("config.json") for name in chosen):
        raise SourceError("it has nothing that flowmm can use: no config, no safetensors")
    return chosen


def weights(files: Iterable[str], endings: tuple[str, ...]) -> list[str]:
    """The weight files of one folder: those with the libraries' own names, or else all with these endings."""
    there = [name for name in files if name.endswith(endings) and not any(fnmatchcase(name, state) for state in STATES)]
    return [name for name in there if stem_of(name)] or there


def stem_of(name: str) -> str:
    """`model` of model.fp16-00001-of-00002.safetensors; "" where the name is the author's own."""
    stem = _SHARD.sub("", name).split(".")[0]
    return stem if stem in STEMS else ""


def variant_of(name: str) -> str:
    """`fp16` of model.fp16.safetensors; "" of a plain name."""
    middle = _SHARD.sub("", name).removesuffix(".index.json").split(".")[1:-1]
    return ".".join(middle)


def of_variant(files: list[str], variant: str | None) -> list[str]:
    """Those of one variant: the one asked for, else the plain one, else the first there is; files of an author's own naming stay."""
    there = {variant_of(name) for name in files if stem_of(name)}
    if not there:
        return files
    one = next((v for v in (variant or "", "") if v in there), min(there))
    return [name for name in files if variant_of(name) == one]


def small(files: Iterable[str], kept: list[str]) -> list[str]:
    """Configs, vocabularies and licence; of the shard indexes those of the kept weights."""
    found = []
    for name in files:
        if name.startswith(("LICENSE", "LICENCE", "USE_POLICY")):
            found.append(name)
        elif ".index." in name:
            mine = {(stem_of(one), one.rsplit(".", 1)[-1]) for one in kept if _SHARD.search(one)}
            ending = "safetensors" if ".safetensors.index." in name else "bin"
            if (stem_of(name), ending) in mine and _index_variant(name) == variant_of(kept[0]):
                found.append(name)
        elif name.endswith(SMALL) and not name.startswith("README") and not any(fnmatchcase(name, state) for state in STATES):
            found.append(name)
    return found


def _index_variant(name: str) -> str:
    """model.safetensors.index.fp16.json (diffusers, transformers) or model.fp16.safetensors.index.json."""
    before, _, after = name.partition(".index.")
    return after.removesuffix("json").rstrip(".") or ".".join(before.split(".")[1:-1])


def join(folder: str, name: str) -> str:
    return name if folder == "." else f"{folder}/{name}"

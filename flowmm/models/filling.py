"""Weights of layouts that are not the libraries' own, put into the libraries' networks under their names there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from .source import SourceError


def fill(
    module: Any, files: Iterable[Path], mapped: Callable[[str, Any], Iterator[tuple[str, Any]]], dtype: Any, part: Any, what: str,
    unused: Callable[[str], Any] = lambda name: False,
) -> None:  # fmt: skip
    """Give a module without weights those of safetensors files, its floats in one dtype.

    mapped: the names and tensors that one of the files becomes, none where it is not wanted. part, what: in words, for errors.
    unused: whether a tensor of a name is not even to be read.
    Raises SourceError where names or shapes are not those of the module.
    """
    from safetensors import safe_open

    wanted = {name: tensor.shape for name, tensor in module.state_dict().items()}
    found: dict[str, Any] = {}
    strangers: list[str] = []
    for path in files:
        with safe_open(path, "pt") as held:
            for name in held.keys():
                if unused(name):
                    continue
                for target, tensor in mapped(name, held.get_tensor(name)):
                    if target not in wanted:
                        strangers.append(name)
                    elif tensor.shape != wanted[target]:
                        raise SourceError(
                            f"{part}: {name} makes a {_sizes(tensor.shape)} of {target}, where the config wants {_sizes(wanted[target])}: "
                            "config and weights are not of one model; download both again"
                        )
                    else:  # a copy, so that nothing hangs on the file
                        found[target] = tensor.to(dtype if tensor.is_floating_point() else tensor.dtype, copy=True)
    for names, words in ((sorted(wanted.keys() - found.keys()), "lacks"), (sorted(strangers), f"has, beside what {what} is made of,")):
        if names:
            shown = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
            raise SourceError(f"{part} {words} {len(names)} tensors ({shown}): it is no whole {what} checkpoint, or of another version; download it again")
    module.load_state_dict(found, strict=True, assign=True)


def _sizes(shape: Any) -> str:
    return "×".join(map(str, shape))

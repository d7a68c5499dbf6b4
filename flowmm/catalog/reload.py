"""In development: a node's file that was saved counts at once. What it touches is loaded again, with new node types and new keys; nothing else is.

A run that goes on keeps the functions it began with, and their keys.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import threading
from pathlib import Path
from types import ModuleType

from . import code, packs

_lock = threading.RLock()
_failed: dict[str, ModuleType] = {}  # modules that could not be loaded again, as they were


def in_development() -> bool:
    """Whether files are looked at before every check and run."""
    return os.environ.get("FLOWMM_DEV", "") not in ("", "0")


def reload() -> list[str]:
    """Load again what changed since it was loaded, and what imports that; the names of these modules.

    One that can no longer be imported is a room that is disabled, with the reason, until its file changes again.
    """
    with _lock:
        watched = _watched()
        changed = {name for name, module in watched.items() if _changed(name, module)}
        broken = [pack for pack in packs.packs().values() if pack.errors and packs.stamp(pack.package) != pack.stamp]
        if not changed and not broken:
            return []
        importlib.invalidate_caches()
        code.forget()
        for pack in broken:
            pack.errors.clear()
        names = _order(_touched(changed, watched))
        _again({name: watched[name] for name in names})
        packs.renew()
        return names


def _watched() -> dict[str, ModuleType]:
    """The loaded modules of packs, and those that nodes of scripts lie in."""
    tops = {pack.package for pack in packs.packs().values()} | {name.partition(".")[0] for name in packs.declaring()}
    tops -= {"flowmm", "__main__"}
    found = dict(_failed)
    for name, module in list(sys.modules.items()):
        if any(name == top or name.startswith(f"{top}.") for top in tops) and (getattr(module, "__file__", None) or "").endswith(".py"):
            found[name] = module
    return found


def _changed(name: str, module: ModuleType) -> bool:
    """Whether a file is another than when its module was loaded."""
    now = packs.stat_of(module)
    before = packs.LOADED.setdefault(name, now)
    packs.LOADED[name] = now
    return now != before and now is not None


def _touched(changed: set[str], watched: dict[str, ModuleType]) -> set[str]:
    """The changed modules and all that import them, directly or not."""
    imports = {name: code.imported_by(name) for name in watched}
    touched, left = set(changed), list(changed)
    while left:
        one = left.pop()
        for name, found in imports.items():
            if name not in touched and one in found:
                touched.add(name)
                left.append(name)
    return touched


def _order(names: set[str]) -> list[str]:
    """What is imported before what imports it; a package after its modules."""
    order: list[str] = []
    seen: set[str] = set()

    def visit(name: str) -> None:
        if name in seen:
            return
        seen.add(name)
        for one in sorted(code.imported_by(name) & names):
            visit(one)
        order.append(name)

    for name in sorted(names):
        visit(name)
    return order


def _again(modules: dict[str, ModuleType]) -> None:
    """Load modules anew. The old ones stay as they are, for the functions of runs that go on."""
    for name, module in modules.items():
        packs.forget(name)
        sys.modules.pop(name, None)
        _failed.pop(name, None)
        # Compiled code is known by seconds: two saves in one would be taken for the same.
        Path(importlib.util.cache_from_source(module.__file__)).unlink(missing_ok=True)
    for name, module in modules.items():
        try:
            made = importlib.import_module(name)
        except Exception as error:  # a module may fail in any way; the reason is shown, the rest works
            _failed[name] = module
            packs.disable(name, error)
        else:
            for one, inner in list(sys.modules.items()):  # what lies in a package and was not touched is found there as before
                if one.rpartition(".")[0] == name and not hasattr(made, one.rpartition(".")[2]):
                    setattr(made, one.rpartition(".")[2], inner)

"""Packs: installed packages of node modules, found through the entry-point group `flowmm.packs`.

The type id of a node is `<room>.<function>` in the built-in pack, `<pack>:<module>.<function>` in another,
and `local:<module>.<function>` for a node declared in a script or notebook; a graph can name a local node only while its
module is already imported, so opening a file never imports code that is not an installed pack.
"""

from __future__ import annotations

import difflib
import importlib
import os
import pkgutil
import sys
import types
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path

from .spec import Node, NodeSpec

GROUP = "flowmm.packs"
BUILTIN = "builtin"
PLACEHOLDERS = {"comfyui": "ComfyUI"}  # prefixes of nodes of other programs: flowmm.importing keeps what it does not know under them


class UnknownOp(LookupError):
    """No installed pack has this node type. The message says what to install, or what was probably meant."""


@dataclass(slots=True)
class Pack:
    """name: of the entry point. package: its import name. errors: why a module could not be imported, by module; stamp: of its files then."""

    name: str
    package: str
    distribution: str = ""
    version: str = ""
    rooms: dict[str, dict[str, Node]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    stamp: int = 0

    def room(self, name: str) -> dict[str, Node]:
        """The nodes of one top-level module or package, by function name; one import failure disables one room."""
        if name not in self.rooms and name not in self.errors:
            module_name = f"{self.package}.{name}"
            try:
                module = importlib.import_module(module_name)
            except Exception as error:  # a pack's module may fail in any way; the reason is shown, the rest works
                missing = isinstance(error, ModuleNotFoundError) and error.name == module_name
                if not missing:
                    self.errors[name], self.stamp = f"{type(error).__name__}: {error}", stamp(self.package)
                return {}
            _note(module_name)
            self.rooms[name] = {
                key: value for key, value in vars(module).items()
                if isinstance(value, Node) and not key.startswith("_") and value.__module__.startswith(module_name)
            }  # fmt: skip
        return self.rooms.get(name, {})

    def load_all(self) -> None:
        package = importlib.import_module(self.package)
        for info in pkgutil.iter_modules(package.__path__):
            if not info.name.startswith("_"):
                self.room(info.name)


_declared: dict[str, Node] = {}


def declare(node: Node) -> Node:
    """Remember a node by where it is defined; a notebook cell that is run again replaces it."""
    _declared[f"{node.__module__}.{node.__qualname__}"] = node
    if node.__module__ not in LOADED:
        LOADED[node.__module__] = stat_of(sys.modules.get(node.__module__))
    return node


# ── files that change in development, see reload ────────────────────────────────────────────────

Stat = tuple[int, int, int]
LOADED: dict[str, Stat | None] = {}  # by module, its file when it was loaded
_generation = 0


def generation() -> int:
    """Grows whenever node types are loaded again; what was made with older ones is to be made again."""
    return _generation


def stat_of(module: types.ModuleType | None) -> Stat | None:
    try:
        found = os.stat(module.__file__)
    except (OSError, TypeError, AttributeError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def stamp(package: str) -> int:
    """Of a package's files: another number after any of them was saved."""
    module = sys.modules.get(package)
    folders = list(getattr(module, "__path__", ()))
    return hash(tuple(sorted((str(path), path.stat().st_mtime_ns) for folder in folders for path in Path(folder).rglob("*.py"))))


def declaring() -> set[str]:
    """The modules that nodes were declared in."""
    return {node.__module__ for node in _declared.values()}


def forget(module: str) -> None:
    """Let go of what a module declared, before it is loaded again."""
    for key in [key for key, node in _declared.items() if node.__module__ == module]:
        del _declared[key]
    for pack in packs().values():
        if module.startswith(f"{pack.package}."):
            pack.rooms.pop(module[len(pack.package) + 1 :].partition(".")[0], None)


def disable(module: str, error: Exception) -> None:
    """A module that could not be loaded again: the room it lies in has no nodes, and the reason is shown."""
    for pack in packs().values():
        if f"{module}.".startswith(f"{pack.package}."):
            room = module[len(pack.package) + 1 :].partition(".")[0] or "*"
            pack.errors[room], pack.stamp = f"{type(error).__name__}: {error}", stamp(pack.package)


def renew() -> None:
    """Node types are looked up again."""
    global _generation
    _generation += 1
    _installed.cache_clear()


def _note(module: str) -> None:
    """Remember the files of a module that was just loaded, and of those in it or beside it that it loaded."""
    package = module.rpartition(".")[0]
    for name, one in list(sys.modules.items()):
        if name.startswith(f"{package}.") and name not in LOADED:
            LOADED[name] = stat_of(one)


@cache
def packs() -> dict[str, Pack]:
    found = {}
    for entry in metadata.entry_points(group=GROUP):
        distribution = entry.dist
        name, version = (distribution.name, distribution.version) if distribution else ("", "")
        found[entry.name] = Pack(entry.name, entry.value, name, version)
    if BUILTIN not in found:
        found[BUILTIN] = Pack(BUILTIN, "flowmm.nodes", "flowmm")
    return found


def op_of(function: types.FunctionType) -> str:
    """The type id of a function, by the pack its module lies in."""
    module, name = function.__module__, function.__qualname__
    for pack in packs().values():
        if module.startswith(pack.package + "."):
            room = module[len(pack.package) + 1 :].partition(".")[0]
            return f"{room}.{name}" if pack.name == BUILTIN else f"{pack.name}:{room}.{name}"
    return f"local:{module}.{name}"


@cache
def _installed(op: str) -> NodeSpec | None:
    pack_name, _, path = op.rpartition(":")
    room, _, function = path.partition(".")
    pack = packs().get(pack_name or BUILTIN)
    found = pack.room(room).get(function) if pack and room.isidentifier() else None
    return found.spec if found else None


def known(op: str) -> NodeSpec | None:
    """The spec of a node type, None where no installed pack has it; imports only the module it lives in."""
    if op.startswith("local:"):
        found = _declared.get(op[6:])
        return found.spec if found is not None else None
    spec = _installed(op)
    if spec is None:
        _installed.cache_clear()
    return spec


def find(op: str) -> NodeSpec:
    """The spec of a node type. Raises UnknownOp, which says what is missing."""
    spec = known(op)
    if spec is None:
        raise UnknownOp(_unknown(op))
    return spec


def _unknown(op: str) -> str:
    if op.startswith("local:"):
        return f"`{op}` is a node of a script; import that script first, or move the node into a pack"
    program = PLACEHOLDERS.get(op.partition(":")[0])
    if program is not None:
        return f"`{op}` only keeps the place of a node of {program} that flowmm does not have"
    pack_name, _, path = op.rpartition(":")
    if pack_name and pack_name not in packs():
        return f"`{op}` needs the pack `{pack_name}`, which is not installed"
    pack = packs()[pack_name or BUILTIN]
    room = path.partition(".")[0]
    if room in pack.errors:
        return f"`{op}` is not available: its module could not be imported ({pack.errors[room]})"
    prefix = f"{pack_name}:" if pack_name else ""
    pack.load_all()
    known = [f"{prefix}{r}.{name}" for r, nodes in pack.rooms.items() for name in nodes]
    close = difflib.get_close_matches(op, known, 1)
    return f"there is no node type `{op}`" + (f"; did you mean `{close[0]}`?" if close else "; `flowmm nodes` lists them")


def all_specs() -> list[NodeSpec]:
    """Every node of every pack, sorted by type id; modules that fail are skipped and stay in their pack's errors."""
    specs = []
    for pack in packs().values():
        try:
            pack.load_all()
        except Exception as error:  # the package itself is broken
            pack.errors["*"] = f"{type(error).__name__}: {error}"
        specs += [node.spec for room in pack.rooms.values() for node in room.values()]
    return sorted(specs, key=lambda spec: spec.op)

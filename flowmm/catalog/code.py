"""The code digest: a node's key changes when its code does, and not when other code does.

Covered: the node's module and, transitively, every module of the same pack it imports, imports inside functions
included; for the built-in pack flowmm.models counts as its own. Sockets and the codec carry hand-bumped versions
instead. Libraries outside count by their version, and only those the closure imports.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
import textwrap
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from ..store.keys import h, record

SHARED = "flowmm.models"
DISTRIBUTIONS = {"PIL": "pillow"}


@dataclass(frozen=True, slots=True)
class Code:
    """digest: of the sources. libraries: version by import name. known: whether every source was found."""

    digest: bytes
    libraries: dict[str, str]
    known: bool = True


@dataclass(frozen=True, slots=True)
class _Source:
    digest: bytes
    imports: frozenset[str]


@cache
def of_module(module: str) -> Code:
    """The code a node of this module runs."""
    top = _pack_of(module)
    seen: dict[str, _Source] = {}
    libraries: set[str] = set()
    stack = [module]
    while stack:
        name = stack.pop()
        if name in seen:
            continue
        source = _source(name)
        if source is None:
            if name == module:
                return Code(b"", {}, known=False)
            continue
        seen[name] = source
        for target in source.imports:
            if target.startswith((top + ".", SHARED + ".")) or target in (top, SHARED):
                stack.append(target)
            elif (library := target.partition(".")[0]) not in sys.stdlib_module_names and library != "flowmm":
                libraries.add(library)
    digest = h(*(record(b"a", name.encode()) + seen[name].digest for name in sorted(seen)))
    return Code(digest, {name: _version(name) for name in sorted(libraries)})


def of_function(function) -> Code:
    """For a node of a notebook or prompt, whose module has no file: its source and that of every function it names."""
    seen: dict[str, bytes] = {}
    libraries: set[str] = set()
    stack = [function]
    while stack:
        current = stack.pop()
        current = getattr(current, "function", current)
        try:
            source = inspect.getsource(current)
        except (OSError, TypeError):
            return Code(b"", {}, known=False)
        if current.__qualname__ in seen:
            continue
        seen[current.__qualname__] = source.encode()
        tree = ast.parse(textwrap.dedent(source))
        libraries |= {name.partition(".")[0] for name in _imports(tree, "", False)}
        for name in {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} & current.__globals__.keys():
            value = current.__globals__[name]
            if inspect.ismodule(value):
                libraries.add(value.__name__.partition(".")[0])
            elif getattr(value, "__module__", None) == current.__module__ and (callable(value) or inspect.isclass(value)):
                stack.append(value) if not inspect.isclass(value) else seen.setdefault(name, inspect.getsource(value).encode())
            elif isinstance(value, (int, float, str, bool, tuple, type(None))):
                seen[f"={name}"] = repr(value).encode()
    outside = {name for name in libraries if name not in sys.stdlib_module_names and name != "flowmm"}
    digest = h(*(record(b"a", name.encode()) + record(b"b", seen[name]) for name in sorted(seen)))
    return Code(digest, {name: _version(name) for name in sorted(outside)})


def imported_by(module: str) -> frozenset[str]:
    """The modules that a module may import; none of one that cannot be read."""
    try:
        source = _source(module)
    except (OSError, SyntaxError, ValueError):
        return frozenset()
    return source.imports if source is not None else frozenset()


def forget() -> None:
    """Sources are read again: some were saved."""
    of_module.cache_clear()
    _source.cache_clear()


def _pack_of(module: str) -> str:
    """The package whose modules count as the node's own code."""
    from .packs import packs

    for pack in packs().values():
        if module.startswith(pack.package + "."):
            return pack.package
    return module.partition(".")[0]


@cache
def _source(name: str) -> _Source | None:
    module = sys.modules.get(name)
    path = getattr(module, "__file__", None)
    if path is None and module is None:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError, AttributeError):
            return None
        path = spec.origin if spec else None
    if path is None or not path.endswith(".py"):
        return None
    data = Path(path).read_bytes()
    package = Path(path).name == "__init__.py"
    return _Source(h(data), frozenset(_imports(ast.parse(data), name, package)))


def _imports(tree: ast.AST, module: str, package: bool):
    """Every module an import statement may name, wherever in the file it stands."""
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            base = statement.module or ""
            if statement.level:
                parts = module.split(".")
                parts = parts[: len(parts) - statement.level + (1 if package else 0)]
                base = ".".join(parts + ([base] if base else []))
            yield base
            if base.startswith("flowmm") or statement.level:  # `from . import sample` may name a module
                yield from (f"{base}.{alias.name}" for alias in statement.names)


@cache
def _version(library: str) -> str:
    try:
        return metadata.version(DISTRIBUTIONS.get(library, library))
    except metadata.PackageNotFoundError:
        names = metadata.packages_distributions().get(library)
        return metadata.version(names[0]) if names else "?"

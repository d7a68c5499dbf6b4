"""Families of vision-language models: what each must say so that one sampler, one loader and one encoder node serve them all.

A handle's `family` names its entry here. A module is imported when its family is first met.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from flowmm.models.source import Source, SourceError, open_source
from flowmm.sockets import Fact, Handle, Known, Space

from .base import Family, Writer

if TYPE_CHECKING:  # imported by name; said here so that their code is part of keys
    from . import blip, blip2, dalle, janus, unitoken, vit  # noqa: F401

__all__ = ["Family", "Writer", "family_of", "opened", "told_facts", "told_spaces"]

# Modules with FAMILIES, a tuple of instances. Each also has its line under TYPE_CHECKING, so that its code is part of keys.
MODULES = ("blip", "blip2", "dalle", "janus", "unitoken", "vit")


def family_of(handle: Handle) -> Family:
    """The family of a handle."""
    return _families()[handle.family]


def opened(source: Source, op: str, what: str) -> Family:
    """The family a source belongs to. what: is wanted. Raises SourceError."""
    for family in _families().values():
        if source.cls in family.classes:
            return family
    known = ", ".join(sorted(cls for family in _families().values() for cls in family.classes))
    raise SourceError(f"`{op}` wants {what} ({known}); `{source.name}` is a {source.cls}")


def told_spaces(values: dict[str, Any], op: str, what: str, parts: Callable[[Family, Source], Any], names: str) -> dict[str, Space]:
    """For a loader's spaces rule: those of its `names` that the config files say; none where the loader itself would raise.

    parts: what the loader asks of the family.
    """
    try:
        found = open_source(values["source"])
        family = opened(found, op, what)
        parts(family, found)
        return {name: space for name, space in family.spaces(found).items() if name in names}
    except (KeyError, TypeError, ValueError, OSError):  # SourceError is a ValueError
        return {}


def told_facts(known: Known, op: str, what: str, outputs: tuple[str, ...]) -> dict[str, Fact]:
    """For a loader's describe rule: the facts of its outputs, none for a source that cannot be read."""
    try:
        found = open_source(known.values.get("source"))
        return {name: fact for name, fact in opened(found, op, what).facts(found).items() if name in outputs}
    except (SourceError, OSError):
        return {}


@cache
def _families() -> dict[str, Family]:
    found = (importlib.import_module(f"{__name__}.{module}") for module in MODULES)
    return {family.name: family for module in found for family in module.FAMILIES}

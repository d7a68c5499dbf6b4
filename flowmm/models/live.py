"""Live objects: an nn.Module or a diffusers pipeline of this process as a model source.

Known by the object, so that its results are kept in memory only; changing its weights changes its fingerprint.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .source import Component, Source, SourceError, scalars
from .weights import Weights

PREFIX = "live:"
_names: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
_things: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
_parts: dict[str, tuple[str, dict[str, str], dict[str, Any]]] = {}  # by source: its class, the number of each part, its options
_count = itertools.count(1)


def name(thing: Any) -> str:
    """The source name of a live object: a pipeline, a module, or a dict of a module as "model" with its "tokenizer" and "image_processor".

    Raises SourceError for anything else.
    """
    parts = _components(thing)
    found = "+".join(_name(parts[key]) for key in sorted(parts))
    whole = parts.get("", thing)
    options = scalars(thing.config) if whole is thing and isinstance(getattr(thing, "config", None), Mapping) else {}
    _parts[PREFIX + found] = type(whole).__name__, {key: _name(part) for key, part in parts.items()}, options
    return PREFIX + found


def _components(thing: Any) -> dict[str, Any]:
    if isinstance(thing, Mapping) and thing:
        return {"" if key == "model" else str(key): part for key, part in thing.items() if part is not None}
    if isinstance(getattr(thing, "components", None), Mapping):  # a diffusers pipeline
        return {key: part for key, part in thing.components.items() if part is not None}
    if hasattr(thing, "state_dict") and hasattr(thing, "config"):
        return {"": thing}
    raise SourceError(f"a {type(thing).__name__} is no model; give a diffusers pipeline, a model of transformers or diffusers, or "
                      "a dict of its model, tokenizer and image_processor")  # fmt: skip


def _name(part: Any) -> str:
    try:
        known = _names.setdefault(part, str(next(_count)))
        _things[known] = part
    except TypeError:
        raise SourceError(f"a {type(part).__name__} cannot be part of a live model") from None
    return known


class Part(Component):
    """One live object. folder: its number."""

    layout = "live"

    @property
    def thing(self) -> Any:
        found = _things.get(self.folder.name)
        if found is None:
            raise SourceError(f"{self} is no longer in memory, or lives in another process; give the object itself")
        return found

    def part(self, name: str, cls: str) -> Component:
        return Part(self.of, name, cls, Path(_parts[self.of][1][name]))

    @property
    def here(self) -> bool:
        return True

    @property
    def config(self) -> dict[str, Any]:
        if len(self.members) > 1:
            return self.members[0].config
        thing = self.thing
        if self.role == "tokenizer":
            return {"model_max_length": thing.model_max_length}
        if self.role == "processor":
            return thing.to_dict()
        config = getattr(thing, "config", {})
        return config.to_dict() if hasattr(config, "to_dict") else dict(config)

    @property
    def weights(self) -> Weights:
        return Weights()

    @property
    def fingerprint(self) -> str:
        """The object, and how often its tensors were written to."""
        tensors = [*self.thing.parameters(), *self.thing.buffers()] if hasattr(self.thing, "parameters") else []
        return f"{PREFIX}{id(self.thing):x}:{self.folder.name}:{sum(tensor._version for tensor in tensors)}"

    def load(self, cls: Any, dtype: str, **more: Any) -> Any:
        if self.thing.training:
            raise SourceError(f"{self} is in training mode, where results are random; call .eval() first")
        return self.thing

    def load_tokenizer(self, cls: Any) -> Any:
        return self.thing

    def load_processor(self, cls: Any) -> Any:
        return self.thing


def source(named: str) -> Source:
    """The source of a live object. Raises SourceError when it is gone."""
    if named not in _parts:
        raise SourceError(f"`{named}` is no longer in memory, or lives in another process; give the object itself")
    cls, numbers, options = _parts[named]
    components = {}
    for key, number in numbers.items():
        thing = _things.get(number)
        if thing is None:
            raise SourceError(f"`{named}` is no longer in memory; give the object itself")
        components[key] = Part(named, key, type(thing).__name__, Path(number))
    return Source(named, Path(named), cls, components, {}, options)


def recognise(name: str, path: Path, card: dict) -> Source | None:
    """Nothing that lies on disk."""
    return None

"""Where models come from: `zoo:NAME`, a folder of a diffusers pipeline or a transformers model, a single checkpoint, a live object.

Reading a source reads small JSON files only; weights are hashed when a fingerprint is asked for, and loaded elsewhere.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from .. import zoo
from . import fingerprints, snapshots
from .selection import PICKLED
from .weights import SourceError, Weights, find_weights

if TYPE_CHECKING:  # imported by name; said here so that they are part of the code of every node that loads a model
    from . import checkpoint, janus_original, live, unitoken  # noqa: F401

__all__ = ["Component", "Source", "SourceError", "component_of", "open_source"]

TOKENIZER_FILES = (
    "tokenizer.json", "vocab.json", "merges.txt", "vocab.txt", "tokenizer.model", "spiece.model",
    "added_tokens.json", "special_tokens_map.json",
)  # fmt: skip
CONFIGS = {
    "tokenizer": "tokenizer_config.json", "processor": "preprocessor_config.json",
    "scheduler": "scheduler_config.json", "weights": "config.json",
}  # fmt: skip


@dataclass(frozen=True)
class Component:
    """One part of a source. name: "unet"; "" for the model of a transformers folder. cls: the library's class name.

    of: how a person names the source; errors say it. folder: where its files lie. layout: which subclass reads them.
    Several parts taken as one have their names joined by "+", and `folder` is the one that holds theirs.
    """

    of: str
    name: str
    cls: str
    folder: Path
    layout: ClassVar[str] = ""

    @cached_property
    def members(self) -> tuple[Component, ...]:
        """The parts of a joined component; of any other, itself."""
        if "+" not in self.name:
            return (self,)
        names, classes = self.name.split("+"), self.cls.split("+")
        classes = classes if len(classes) == len(names) else classes * len(names)
        return tuple(self.part(name, cls) for name, cls in zip(names, classes))

    def part(self, name: str, cls: str) -> Component:
        """One part of a joined component."""
        return type(self)(self.of, name, cls, self.folder / name)

    @property
    def here(self) -> bool:
        """Whether there is anything to read."""
        return self.folder.exists()

    @property
    def role(self) -> str:
        """tokenizer, processor, scheduler or weights."""
        if "Tokenizer" in self.cls:
            return "tokenizer"
        if self.cls.endswith(("Processor", "ProcessorPil", "FeatureExtractor")):
            return "processor"
        return "scheduler" if self.cls.endswith("Scheduler") else "weights"

    @cached_property
    def config(self) -> dict[str, Any]:
        """The component's own config file. Raises SourceError."""
        if len(self.members) > 1:
            return self.members[0].config
        path = self.folder / CONFIGS[self.role]
        if not path.is_file():
            if self.role == "tokenizer":
                return {}
            whole = self.folder / "processor_config.json"
            if self.role == "processor" and whole.is_file():  # as transformers 5 saves a processor with its tokenizer
                return dict(read_json(whole, self.of).get("image_processor") or {})
            raise SourceError(f"{self} has no {path.name}: the folder is incomplete, download it again")
        return read_json(path, self.of)

    @cached_property
    def weights(self) -> Weights:
        """Its safetensors files; none for a tokenizer, processor or scheduler. Raises SourceError."""
        if len(self.members) > 1:
            return Weights(tuple(file for member in self.members for file in member.weights.files))
        return find_weights(self.folder, str(self)) if self.role == "weights" else Weights()

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over config, weights and tokenizer files. Raises SourceError."""
        if len(self.members) > 1:
            return fingerprints.of_parts({member.name: member.fingerprint for member in self.members})
        parts = {"config": fingerprints.of_config(self.config)}
        files = list(self.weights.files)
        if self.role == "tokenizer":
            files = [path for name in TOKENIZER_FILES if (path := self.folder / name).is_file()]
            if not files:
                raise SourceError(f"{self} has no vocabulary file: the folder is incomplete, download it again")
        parts.update((path.name, fingerprints.of_file(path)) for path in files)
        return fingerprints.of_parts(parts)

    def load(self, cls: Any, dtype: str, **more: Any) -> Any:
        """The module, of a transformers or diffusers class, every float in one dtype. more: of its settings. Raises SourceError."""
        import torch

        options = {"use_safetensors": True, "local_files_only": True, "variant": self.weights.variant, **more}
        module, found = cls.from_pretrained(self.folder, dtype=getattr(torch, dtype), output_loading_info=True, **options)
        missing = sorted(found["missing_keys"])
        if missing:  # the libraries would draw them at random
            shown = ", ".join(missing[:2]) + (" …" if len(missing) > 2 else "")
            raise SourceError(f"{self} lacks {len(missing)} weights of a {cls.__name__} ({shown}): it is not whole, or another model; download it again")
        return module

    def load_tokenizer(self, cls: Any) -> Any:
        return cls.from_pretrained(self.folder, local_files_only=True)

    def load_processor(self, cls: Any) -> Any:
        """cls: a transformers image processor, whatever class the folder itself names."""
        names = ("image_processor_type", "feature_extractor_type", "processor_class")
        return cls.from_dict({name: value for name, value in self.config.items() if name not in names})

    def __str__(self) -> str:
        return f"the {self.name} of `{self.of}`" if self.name else f"`{self.of}`"


def component_of(handle: Any) -> Component:
    """The component a handle was made of."""
    return layout_of(handle.layout)(handle.source, handle.component, _ROLE_OF.get(type(handle).__name__, ""), Path(handle.folder))


def layout_of(name: str) -> type[Component]:
    """The class that reads components of a layout."""
    return importlib.import_module(LAYOUTS[name]).Part if name else Component


# Layouts other than the libraries' own, by name: modules with a Component subclass `Part`, whose `layout` is that name, and
# `recognise(name, path, card)`, which gives the Source of a folder or file laid out so, and None for any other.
LAYOUTS = {
    "live": "flowmm.models.live", "unitoken": "flowmm.models.unitoken", "janus": "flowmm.models.janus_original",
    "checkpoint": "flowmm.models.checkpoint",
}  # fmt: skip


# Families whose adapters are still to come, by how their classes begin.
LATER = {"StableDiffusion3": "Stable Diffusion 3", "Flux": "Flux", "UnCLIP": "Karlo", "DalleBart": "dalle-mini"}


# What stands in for the class name, which a handle does not carry, where the role hangs on it.
_ROLE_OF = {"Tokenizer": "Tokenizer", "ImageProcessor": "Processor", "NoiseSchedule": "Scheduler"}


@dataclass(frozen=True)
class Source:
    """name: as a person gave it. cls: the pipeline's or model's class. components: by name. card: its flowmm.json.

    options: what a pipeline's model_index.json says beside its components.
    """

    name: str
    folder: Path
    cls: str
    components: dict[str, Component]
    card: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, int | float | bool | str]:
        """The source's own recommendations: steps, guidance, height, width, scheduler …"""
        return {name: value for name, value in self.card.items() if isinstance(value, (int, float)) or name == "scheduler"}

    def component(self, name: str) -> Component:
        """Raises SourceError when the source has no such part."""
        if name not in self.components:
            known = ", ".join(sorted(filter(None, self.components))) or "nothing else"
            raise SourceError(f"`{self.name}` has no {name or 'model'}; it has {known}")
        if not self.components[name].here:
            raise SourceError(f"`{self.name}` lists a {name}, but has no folder of that name: download it again")
        return self.components[name]

    def joined(self, *names: str) -> Component:
        """Several parts taken as one. Raises SourceError when one is missing."""
        parts = [self.component(name) for name in names]
        if len(parts) == 1:
            return parts[0]
        return type(parts[0])(self.name, "+".join(names), "+".join(part.cls for part in parts), self.folder)

    def parts(self, op: str, wanted: dict[str, str]) -> tuple[Component, ...]:
        """The parts named, each of a class whose name holds what is wanted of it. Raises SourceError."""
        found = tuple(self.component(name) for name in wanted)
        for part, cls in zip(found, wanted.values()):
            if cls not in part.cls:
                raise SourceError(f"`{op}` wants a {cls}; {part} is a {part.cls}")
        return found

    def want(self, op: str, what: str, classes: tuple[str, ...]) -> Source:
        """Itself, if it is of one of these classes; else a SourceError that says what it is."""
        if self.cls not in classes:
            article = "an" if self.cls[:1] in "AEIOU" else "a"
            later = next((f": {words} is not supported yet" for start, words in LATER.items() if self.cls.startswith(start)), "")
            raise SourceError(f"`{op}` wants {what}; `{self.name}` is {article} {self.cls}{later}")
        return self


def open_source(name: str) -> Source:
    """The source a person named. Raises SourceError with what to do."""
    if not isinstance(name, str):
        raise SourceError(f"a model source is zoo:NAME or the folder of a model, not a {type(name).__name__}")
    if name.startswith("live:"):
        from . import live

        return live.source(name)
    folder = locate(name)
    card = read_json(folder / "flowmm.json", name) if (folder / "flowmm.json").is_file() else {}
    if (folder / "model_index.json").is_file():
        return _pipeline(name, folder, card)
    for module in LAYOUTS.values():
        found = importlib.import_module(module).recognise(name, folder, card)
        if found is not None:
            return found
    if folder.suffix in PICKLED and folder.is_file():
        raise SourceError(f"`{folder.name}` is a pickle, which can run code and is not loaded; `flowmm models convert {name}` makes safetensors of it, once")
    if folder.is_file():
        raise SourceError(f"`{folder.name}` is a single file of a kind flowmm does not know; give the folder of a diffusers or transformers model")
    if (folder / "config.json").is_file():
        return _model(name, folder, card)
    raise SourceError(f"`{name}` is no model: the folder has neither model_index.json (diffusers) nor config.json (transformers)")


def locate(name: str) -> Path:
    """The folder or file of a source on disk. Raises SourceError."""
    if name.startswith("zoo:"):
        return _zoo_folder(name)
    return snapshots.resolve(name) if name.startswith("hf:") else _local_folder(name)


def _zoo_folder(name: str) -> Path:
    short = name.removeprefix("zoo:")
    known = sorted(path.parent.name for path in zoo.WEIGHTS.glob("*/flowmm.json"))
    if short not in known:
        raise SourceError(f"there is no embedded model `{name}`; there are {', '.join(f'zoo:{one}' for one in known) or 'none'}")
    return zoo.WEIGHTS / short


def _local_folder(name: str) -> Path:
    if not name.strip() or "\x00" in name:
        raise SourceError("a model source is zoo:NAME or the folder of a model; this one is empty or no path")
    folder = Path(name).expanduser()
    try:
        if folder.is_dir():
            return folder.absolute()
        if folder.is_file():
            return folder.absolute()
    except OSError:  # a name longer than any path
        pass
    shown = name if len(name) <= 120 else name[:117] + "…"
    raise SourceError(f"there is no folder `{shown}`; a model source is zoo:NAME or the folder of a model")


def _pipeline(name: str, folder: Path, card: dict) -> Source:
    index = read_json(folder / "model_index.json", name)
    components = {}
    for part, entry in index.items():
        if part.startswith("_") or not (isinstance(entry, list) and len(entry) == 2 and all(isinstance(x, str) for x in entry)):
            continue  # a setting of the pipeline, or a part that was left out
        if Path(part).name != part:
            raise SourceError(f"`{name}`: model_index.json is damaged; download it again")
        components[part] = Component(name, part, entry[1], folder / part)
    return Source(name, folder, str(index.get("_class_name", "pipeline")), components, card, scalars(index))


def scalars(index: Mapping[str, Any]) -> dict[str, Any]:
    """What a model_index.json says beside its components."""
    return {name: value for name, value in index.items() if not name.startswith("_") and isinstance(value, (bool, int, float, str))}


def _model(name: str, folder: Path, card: dict) -> Source:
    config = read_json(folder / "config.json", name)
    classes = config.get("architectures") or [config.get("_class_name") or f"{config.get('model_type', 'unknown')} model"]
    components = {"": Component(name, "", str(classes[0]), folder)}
    tokenizer = folder / CONFIGS["tokenizer"]
    if tokenizer.is_file() or any((folder / file).is_file() for file in TOKENIZER_FILES):
        cls = read_json(tokenizer, name).get("tokenizer_class") if tokenizer.is_file() else None
        components["tokenizer"] = Component(name, "tokenizer", cls or "AutoTokenizer", folder)
    if any((folder / file).is_file() for file in (CONFIGS["processor"], "processor_config.json")):
        own = folder / CONFIGS["processor"]
        cls = (read_json(own, name) if own.is_file() else {}).get("image_processor_type") or "ImageProcessor"
        components["image_processor"] = Component(name, "image_processor", cls, folder)
    return Source(name, folder, str(classes[0]), components, card)


def read_json(path: Path, of: str) -> dict[str, Any]:
    """A JSON object from a file of the source `of`. Raises SourceError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SourceError(f"`{of}`: {path.name} cannot be read ({(error.strerror or 'unknown').lower()})") from None
    except (ValueError, RecursionError):
        raise SourceError(f"`{of}`: {path.name} is damaged; download it again") from None
    if not isinstance(content, dict):
        raise SourceError(f"`{of}`: {path.name} is damaged; download it again")
    return content

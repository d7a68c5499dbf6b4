"""Single .safetensors checkpoints of Stable Diffusion in the original layout, read in place; the libraries' own converters map the keys.

Such a file carries no configs: they come from a folder of the same name beside it, or from `configs/`, by what its keys and
shapes say. Nothing is fetched.
"""

from __future__ import annotations

import gzip
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from . import fingerprints
from .source import CONFIGS, Component, Source, SourceError, read_json, scalars
from .weights import Weights, header

CONFIG_FOLDER = Path(__file__).parent / "configs"
MERGES = CONFIG_FOLDER / "clip-merges.txt.gz"
FIRST = "model.diffusion_model.input_blocks.0.0.weight"
# What tells the text encoders apart: OpenAI's CLIP, OpenCLIP, or both.
TEXT = {
    "sdxl": "conditioner.embedders.1.model.positional_embedding", "sd2": "cond_stage_model.model.token_embedding.weight",
    "sd1": "cond_stage_model.transformer.text_model.embeddings.position_embedding.weight",
}  # fmt: skip
CHANNELS = {4: "", 9: "-inpaint", 8: "-edit"}
PREFIXES = {"unet": ("model.diffusion_model.",), "vae": ("first_stage_model.",), "text_encoder": ("cond_stage_model.", "conditioner.embedders.0."),
            "text_encoder_2": ("conditioner.embedders.1.",)}  # fmt: skip


class Part(Component):
    """One component of a checkpoint. folder: the checkpoint itself."""

    layout = "checkpoint"

    def part(self, name: str, cls: str) -> Component:
        return Part(self.of, name, cls, self.folder)

    @property
    def configs(self) -> Path:
        """The folder that holds this component's config."""
        return config_folder(self.folder, self.of) / self.name

    @cached_property
    def config(self) -> dict[str, Any]:
        if len(self.members) > 1:
            return self.members[0].config
        path = self.configs / CONFIGS[self.role]
        return read_json(path, self.of) if path.is_file() or self.role != "tokenizer" else {}

    @cached_property
    def weights(self) -> Weights:
        if self.role != "weights":
            return Weights()
        return Weights((self.folder,), prefixes=tuple(prefix for member in self.members for prefix in PREFIXES.get(member.name, ())))

    @cached_property
    def fingerprint(self) -> str:
        if len(self.members) > 1:
            return fingerprints.of_parts({member.name: member.fingerprint for member in self.members})
        parts = {"config": fingerprints.of_config(self.config), "name": self.name}
        if self.role == "weights":
            parts["file"] = fingerprints.of_file(self.folder)
        if self.role == "tokenizer":
            own = self.configs / "tokenizer.json"
            parts["vocabulary"] = fingerprints.of_file(own if own.is_file() else MERGES)
        return fingerprints.of_parts(parts)

    def load(self, cls: Any, dtype: str) -> Any:
        import torch

        wanted, root = getattr(torch, dtype), config_folder(self.folder, self.of)
        if cls.__module__.startswith("transformers"):
            from diffusers.loaders.single_file_utils import create_diffusers_clip_model_from_ldm
            from safetensors.torch import load_file

            held = {name: tensor for name, tensor in load_file(self.folder).items() if name.startswith(self.weights.prefixes)}
            return create_diffusers_clip_model_from_ldm(cls, held, subfolder=self.name, config=str(root), torch_dtype=wanted, local_files_only=True)
        return cls.from_single_file(str(self.folder), config=str(root), subfolder=self.name, dtype=wanted, local_files_only=True)

    def load_tokenizer(self, cls: Any) -> Any:
        if (self.configs / "tokenizer.json").is_file():
            return cls.from_pretrained(self.configs, local_files_only=True)
        options = {name: value for name, value in self.config.items() if name != "tokenizer_class"}
        return cls(**clip_vocabulary(), **options)


@cache
def clip_vocabulary() -> dict[str, Any]:
    """vocab and merges of CLIP's tokenizer: bytes, bytes that end a word, merges, start and end.

    Reference: OpenAI's simple_tokenizer.py.
    """
    from tokenizers.pre_tokenizers import ByteLevel

    merges = [tuple(line.split()) for line in gzip.decompress(MERGES.read_bytes()).decode().splitlines()]
    # The order of OpenAI's bytes_to_unicode: printable bytes first, then the others, which stand at 256 and above.
    letters = sorted(ByteLevel.alphabet(), key=lambda letter: (ord(letter) >= 256, ord(letter)))
    names = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in merges), "<|startoftext|>", "<|endoftext|>"]
    return {"vocab": {name: i for i, name in enumerate(names)}, "merges": merges}


def config_folder(path: Path, of: str) -> Path:
    """The configs of a checkpoint: those beside it, or the shipped ones. Raises SourceError for a checkpoint of another kind."""
    own = path.with_suffix("")
    return own if (own / "model_index.json").is_file() else CONFIG_FOLDER / _kind(path, of)


def _kind(path: Path, of: str) -> str:
    tensors = header(path, f"`{of}`")
    if FIRST not in tensors:
        if any(name.startswith(("lora_", "unet.")) or ".lora" in name for name in tensors):
            raise SourceError(f"`{of}` is a LoRA, which is laid over a model; give it as the LoRA of a graph that takes one, not as its model")
        raise SourceError(f"`{of}` is no whole Stable Diffusion checkpoint in the original layout (it has no {FIRST}); "
                          "give the folder of a diffusers or transformers model")  # fmt: skip
    base = next((kind for kind, key in TEXT.items() if key in tensors), None)
    channels = tensors[FIRST]["shape"][1]
    if base is None or not (CONFIG_FOLDER / f"{base}{CHANNELS.get(channels, '?')}").is_dir():
        found = "a text encoder flowmm does not know" if base is None else f"{base} with {channels} input channels"
        raise SourceError(f"`{of}` holds {found}; put its configs, laid out as diffusers does, into a folder `{path.stem}` beside it")
    return base + CHANNELS[channels]


def recognise(name: str, path: Path, card: dict) -> Source | None:
    """A checkpoint file as a pipeline. Raises SourceError when it is damaged or of another kind."""
    if path.suffix != ".safetensors" or not path.is_file():
        return None
    root = config_folder(path, name)
    index = read_json(root / "model_index.json", name)
    entries = {part: entry[1] for part, entry in index.items() if isinstance(entry, list) and not part.startswith("_")}
    components = {part: Part(name, part, cls, path) for part, cls in entries.items()}
    card = card or (read_json(root / "flowmm.json", name) if (root / "flowmm.json").is_file() else {})
    return Source(name, path, str(index["_class_name"]), components, card, scalars(index))

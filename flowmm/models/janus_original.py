"""Janus and Janus-Pro as deepseek publishes them, read into transformers' JanusForConditionalGeneration.

    config.json                 MultiModalityCausalLM: five configs of parts and that of the language model
    model*.safetensors          of pytorch_model*.bin, which `flowmm models convert` makes, once
    tokenizer.json, tokenizer_config.json, preprocessor_config.json

The configs leave most sizes to deepseek's code; they are read off the tensors.

Reference: deepseek-ai/Janus; Wu et al., 2024 (arXiv 2410.13848); Chen et al., 2025 (arXiv 2501.17811).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from . import fingerprints
from .filling import fill
from .source import CONFIGS, Component, Source, SourceError, read_json
from .weights import header

CLASS = "JanusForConditionalGeneration"
PARTS = ("vision_config", "aligner_config", "gen_vision_config", "gen_aligner_config", "gen_head_config", "language_config")
HEADS = 16  # of every SigLIP in deepseek's code
# What a language model's config may say; the rest (attention kernels, dtypes) is a matter of the machine.
LANGUAGE = (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim", "hidden_act",
    "max_position_embeddings", "rms_norm_eps", "rope_theta", "rope_scaling", "attention_bias", "mlp_bias",
)  # fmt: skip
TOKENS = {"bos_token": "<｜begin▁of▁sentence｜>", "eos_token": "<｜end▁of▁sentence｜>", "pad_token": "<｜▁pad▁｜>", "unk_token": None}
LLAMA = {"add_bos_token": True, "add_eos_token": False, "padding_side": "left", "model_max_length": 16384, "clean_up_tokenization_spaces": False}
PICTURE = "<image_placeholder>"
TOWER, VQ = "vision_model.vision_tower.", "gen_vision_model."

# deepseek's names → transformers', one after the other.
RENAMED = tuple((re.compile(old), new) for old, new in (
    (r"^language_model\.lm_head\.", "lm_head."),
    (r"^language_model\.model\.", "model.language_model."),
    (r"^vision_model\.vision_tower\.patch_embed\.proj\.", "model.vision_model.embeddings.patch_embedding."),
    (r"^vision_model\.vision_tower\.pos_embed$", "model.vision_model.embeddings.position_embedding.weight"),
    (r"^vision_model\.vision_tower\.norm\.", "model.vision_model.post_layernorm."),
    (r"^vision_model\.vision_tower\.blocks\.", "model.vision_model.encoder.layers."),
    (r"^(model\.vision_model\.encoder\.layers\.\d+)\.norm([12])\.", r"\1.layer_norm\2."),
    (r"^(model\.vision_model\.encoder\.layers\.\d+)\.attn\.", r"\1.self_attn."),
    (r"^(model\.vision_model\.encoder\.layers\.\d+\.self_attn)\.proj\.", r"\1.projection_layer."),
    (r"^aligner\.", "model.aligner."),
    (r"^gen_aligner\.", "model.generation_aligner."),
    (r"^gen_embed\.", "model.generation_embeddings."),
    (r"^gen_head\.output_mlp_projector\.", "model.generation_head.proj_out."),
    (r"^gen_head\.", "model.generation_head."),
    (r"^gen_vision_model\.", "model.vqmodel."),
    (r"^(model\.vqmodel\.encoder)\.conv_blocks\.", r"\1.down."),
    (r"^(model\.vqmodel\.decoder)\.conv_blocks\.", r"\1.up."),
    (r"^(model\.vqmodel\.(?:encoder\.down|decoder\.up)\.\d+)\.res\.", r"\1.block."),
    (r"^(model\.vqmodel\.(?:en|de)coder\.mid)\.0\.", r"\1.block_1."),
    (r"^(model\.vqmodel\.(?:en|de)coder\.mid)\.1\.", r"\1.attn_1."),
    (r"^(model\.vqmodel\.(?:en|de)coder\.mid)\.2\.", r"\1.block_2."),
))  # fmt: skip
LAYER = re.compile(r"^(model\.(?:generation_)?aligner)\.layers\.(\d+)\.")
# Not part of the network here: SigLIP's pooling, counters of training, tables that are computed.
UNUSED = re.compile(r"^vision_model\.vision_tower\.attn_pool\.|\.codebook_used$|\.inv_freq$")


class Part(Component):
    """"" the network, "tokenizer", "image_processor". folder: of the checkpoint."""

    layout = "janus"

    @cached_property
    def config(self) -> dict[str, Any]:
        """As transformers would have it. Raises SourceError."""
        if self.role == "weights":
            return self._network()
        path = self.folder / CONFIGS[self.role]
        if self.role == "tokenizer":
            return read_json(path, self.of) if path.is_file() else {}
        if not path.is_file():
            raise SourceError(f"{self} has no {path.name}: the folder is incomplete, download it again")
        said = read_json(path, self.of)
        kept = {name: said[name] for name in ("do_normalize", "image_mean", "image_std", "min_size", "rescale_factor") if name in said}
        side = said.get("image_size", 384)
        return kept | {"size": {"height": side, "width": side}}

    @cached_property
    def fingerprint(self) -> str:
        own = super().fingerprint
        if self.role != "weights":
            return own
        # The tokenizer says which id is the picture's.
        return fingerprints.of_parts({"own": own, "tokenizer": fingerprints.of_file(self._vocabulary)})

    @cached_property
    def shapes(self) -> dict[str, list[int]]:
        """Of every tensor, by name. Raises SourceError."""
        return {name: tensor["shape"] for path in self.weights.files for name, tensor in header(path, str(self)).items()}

    def load(self, cls: Any, dtype: str) -> Any:
        """cls: transformers' JanusForConditionalGeneration."""
        import torch
        from accelerate import init_empty_weights

        config = self.config | {"image_token_id": self._ids[PICTURE]}
        config["text_config"] = config["text_config"] | {f"{name}_id": self._ids.get(_token(self._said, name)) for name in TOKENS if name != "unk_token"}
        with init_empty_weights(include_buffers=False):
            made = cls(cls.config_class.from_dict(config))
        fill(made, self.weights.files, renamed, getattr(torch, dtype), self, "Janus")
        return made

    def load_tokenizer(self, cls: Any) -> Any:
        """As LlamaTokenizerFast read it in deepseek's time: tokenizer.json as it is, and the token that begins a text put before it."""
        from transformers import PreTrainedTokenizerFast

        said = self._said
        settings = LLAMA | {name: said[name] for name in LLAMA if name in said}
        named = {name: token for name in TOKENS if (token := _token(said, name)) in self._ids}
        return PreTrainedTokenizerFast(tokenizer_file=str(self._vocabulary), **settings, **named)

    @property
    def _said(self) -> dict[str, Any]:
        """tokenizer_config.json, whichever part this is."""
        path = self.folder / CONFIGS["tokenizer"]
        return read_json(path, self.of) if path.is_file() else {}

    @property
    def _vocabulary(self) -> Path:
        path = self.folder / "tokenizer.json"
        if not path.is_file():
            raise SourceError(f"`{self.of}` has no tokenizer.json: the folder is incomplete, download it again")
        return path

    @cached_property
    def _ids(self) -> dict[str, int]:
        """Every token's id. Raises SourceError."""
        told = read_json(self._vocabulary, self.of)
        try:
            found = dict(told["model"]["vocab"]) | {token["content"]: token["id"] for token in told["added_tokens"]}
        except (KeyError, TypeError, ValueError):
            raise SourceError(f"`{self.of}`: tokenizer.json is damaged; download it again") from None
        if type(found.get(PICTURE)) is not int:
            raise SourceError(f"the tokenizer of `{self.of}` has no {PICTURE}: it is not the tokenizer of a Janus model; download it again")
        return found

    def _network(self) -> dict[str, Any]:
        """transformers' JanusConfig, but for the ids that only the tokenizer knows."""
        whole = read_json(self.folder / "config.json", self.of)
        absent = [name for name in PARTS if not isinstance(whole.get(name), dict)]
        if absent:
            raise SourceError(
                f"`{self.of}` is a MultiModalityCausalLM without {absent[0]}, so neither Janus nor Janus-Pro: DeepSeek-VL and JanusFlow are "
                "laid out alike; take deepseek-ai/Janus-1.3B, Janus-Pro-1B or Janus-Pro-7B"
            )
        image, aligner, drawn = (whole[name].get("params") or {} for name in ("vision_config", "aligner_config", "gen_aligner_config"))
        tower, side = str(image.get("model_name", "siglip")), image.get("image_size", 384)
        if not tower.startswith("siglip") or type(side) is not int:
            raise SourceError(f"`{self.of}` sees through a {tower[:40]} at {side} pixels, which is no Janus vision tower; Janus has a SigLIP")
        try:
            width, _, patch, _ = self._shape(f"{TOWER}patch_embed.proj.weight")
            base, channels = self._shape(f"{VQ}encoder.conv_in.weight")[0], []
            for level in range(self._count(f"{VQ}encoder.conv_blocks.")):
                channels.append(self._shape(f"{VQ}encoder.conv_blocks.{level}.res.0.conv1.weight")[0] // base)
            codes, numbers = self._shape(f"{VQ}quantize.embedding.weight")
            vision = {
                "image_size": side, "patch_size": patch, "num_image_tokens": (side // patch) ** 2, "hidden_size": width, "num_attention_heads": HEADS,
                "num_hidden_layers": self._count(f"{TOWER}blocks."), "mlp_ratio": self._shape(f"{TOWER}blocks.0.mlp.fc1.weight")[0] / width,
                "projection_dim": self._shape("aligner.layers.0.weight")[0], "depth": aligner.get("depth", 1),
            }  # fmt: skip
            vq = {
                "num_embeddings": codes, "embed_dim": numbers, "latent_channels": self._shape(f"{VQ}encoder.conv_out.weight")[0], "base_channels": base,
                "channel_multiplier": channels, "num_res_blocks": self._count(f"{VQ}encoder.conv_blocks.0.res."),
                "projection_dim": self._shape("gen_aligner.layers.0.weight")[0], "num_hidden_layers": drawn.get("depth", 1),
                "image_token_embed_dim": self._shape("gen_head.output_mlp_projector.weight")[1],
            }  # fmt: skip
        except SourceError:
            raise
        except (ValueError, IndexError, ZeroDivisionError):
            raise SourceError(f"`{self.of}`: its tensors have not the shapes of a Janus model's; download it again") from None
        text = {"model_type": "llama"} | {name: whole["language_config"][name] for name in LANGUAGE if name in whole["language_config"]}
        return {
            "model_type": "janus", "architectures": [CLASS], "text_config": text, "vision_config": vision, "vq_config": vq, "tie_word_embeddings": False,
        }  # fmt: skip

    def _shape(self, name: str) -> list[int]:
        if name not in self.shapes:
            raise SourceError(f"`{self.of}` has no {name}: it is no whole Janus checkpoint, or of another version; download it again")
        return self.shapes[name]

    def _count(self, prefix: str) -> int:
        """How many parts are numbered after a prefix."""
        return len({name[len(prefix) :].partition(".")[0] for name in self.shapes if name.startswith(prefix)})


def recognise(name: str, path: Path, card: dict) -> Source | None:
    """A folder of deepseek's. Raises SourceError when its config cannot be read."""
    config = path / "config.json"
    if not path.is_dir() or not config.is_file():
        return None
    whole = read_json(config, name)
    if whole.get("model_type") != "multi_modality" and whole.get("architectures") != ["MultiModalityCausalLM"]:
        return None
    classes = {"": CLASS, "tokenizer": "PreTrainedTokenizerFast", "image_processor": "JanusImageProcessor"}
    return Source(name, path, CLASS, {part: Part(name, part, cls, path) for part, cls in classes.items()}, card)


def renamed(name: str, tensor: Any) -> Iterator[tuple[str, Any]]:
    """What a tensor of deepseek's is in transformers: SigLIP's queries, keys and values come in one."""
    if UNUSED.search(name):
        return
    target = name
    for old, new in RENAMED:
        target = old.sub(new, target)
    layer = LAYER.match(target)
    if layer:  # every other one is an activation
        place = int(layer[2]) // 2
        target = f"{layer[1]}.{f'hidden_layers.{place - 1}' if place else 'fc1'}.{target[layer.end() :]}"
    if ".self_attn.qkv." in target:
        for kind, one in zip("qkv", tensor.chunk(3)):
            yield target.replace(".qkv.", f".{kind}_proj."), one
    else:
        yield target, tensor[0] if target.endswith("position_embedding.weight") else tensor


def _token(said: dict[str, Any], name: str) -> str | None:
    """A special token's text, as its config spells it or as Janus has it."""
    value = said.get(name)
    value = value.get("content") if isinstance(value, dict) else value
    return value if isinstance(value, str) else TOKENS[name]

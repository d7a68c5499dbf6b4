"""UniToken's own checkpoint layout, and the network it makes: a Chameleon language model, a SigLIP with its adapter, a VQGAN.

    config.json                      ChameleonXLLMXForConditionalGenerationBase, or …AnyRes, which also sees finer cuts of a picture
    model-*.safetensors              model.* (without a VQ model), lm_head.weight, adapter.{0,2}.*, vit.*
    tokenizer.json                   or text_tokenizer.json, or tokenizer/text_tokenizer.json, as Meta's Chameleon has it
    SigLIP/config.json               of its vision tower; without it siglip-so400m-patch14-384
    vqgan.safetensors                or tokenizer/vqgan.safetensors: Chameleon's VQGAN, which is not part of UniToken's own files

Reference: SxJyJay/UniToken; Jiao et al., 2025 (arXiv 2504.04423); Chameleon Team, 2024 (arXiv 2405.09818).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from . import fingerprints, snapshots
from .filling import fill
from .source import Component, Source, SourceError, read_json
from .weights import Weights, find_weights, header

BASE, ANYRES = "ChameleonXLLMXForConditionalGenerationBase", "ChameleonXLLMXForConditionalGenerationAnyRes"
ARCHITECTURES = (BASE, ANYRES, "ChameleonGenForConditionalGenerationBase")
TOKENIZERS = ("tokenizer.json", "text_tokenizer.json", "tokenizer/text_tokenizer.json")
VQGANS = ("vqgan", "tokenizer/vqgan")
SIGLIP = {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16, "image_size": 384, "patch_size": 14}
PREFIXES = ("model.", "lm_head.", "adapter.", "vit.")
# Not part of the network here: Chameleon's encoder of pictures (the VQGAN's is used), SigLIP's pooling, tables that are computed.
UNUSED = re.compile(r"model\.vqmodel\.|vit\.head\.|.*\.(inv_freq|position_ids)$")
TRAINING = re.compile(r"loss\.|colorize$")  # of a VQGAN
NORM = re.compile(r"model\.layers\.\d+\.self_attn\.([qk])_norm\.(weight|bias)$")
# Names of control tokens, which are no text.
CONTROL = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "<reserved08706>", "unk_token": "<unk>"}
MORE_CONTROL = ("<eoss>", "<racm3:break>", "<sentinel:0>", "<reserved08799>")


class Part(Component):
    """"" the network, "vq" the VQGAN, "tokenizer", "image_processor". folder: of the checkpoint; or the VQGAN's file, whose one part is ""."""

    layout = "unitoken"

    @property
    def here(self) -> bool:
        return True  # what is missing has sentences of its own

    def part(self, name: str, cls: str) -> Component:
        return Part(self.of, name, cls, self.folder)

    @property
    def is_vq(self) -> bool:
        return self.name == "vq" or self.folder.is_file()

    @cached_property
    def whole(self) -> dict[str, Any]:
        """config.json; nothing where the VQGAN is alone."""
        return {} if self.folder.is_file() else read_json(self.folder / "config.json", self.of)

    @cached_property
    def config(self) -> dict[str, Any]:
        """config.json; of the VQGAN its settings as diffusers' VQModel; of the processor what it needs to know."""
        if self.is_vq:
            return vqgan_config(header(self.vqgan, f"`{self.of}`"), self.of) | {"sample_size": self.side}
        if self.role == "processor":
            return {"side": self.siglip["image_size"], "coded": self.side, "anyres": self.anyres}
        return self.whole

    @property
    def anyres(self) -> bool:
        """Whether the model was trained with finer cuts of pictures beside the whole."""
        return ANYRES in self.whole.get("architectures", ())

    @property
    def side(self) -> int:
        """Pixels of a side of the square that becomes codes."""
        stated = self.whole.get("vq_config") or {}
        side = stated.get("resolution", 512) if isinstance(stated, dict) else None
        if type(side) is not int or side < 1:
            raise SourceError(f"{self}: its config has no sensible `vq_config.resolution`")
        return side

    @cached_property
    def siglip(self) -> dict[str, Any]:
        """Settings of the vision tower."""
        path = self.folder / "SigLIP" / "config.json"
        found = read_json(path, self.of) if path.is_file() else SIGLIP
        found = found.get("vision_config", found)
        kept = {name: value for name, value in found.items() if name in (*SIGLIP, "num_channels", "hidden_act", "layer_norm_eps")}
        if not all(type(kept.get(name)) is int and kept[name] > 0 for name in SIGLIP):
            raise SourceError(f"{self}: SigLIP/config.json does not describe a SigLIP vision tower; take that of google/siglip-so400m-patch14-384")
        return kept

    @cached_property
    def vocabulary(self) -> Path:
        """The tokenizer's file. Raises SourceError."""
        for name in TOKENIZERS:
            if (self.folder / name).is_file():
                return self.folder / name
        raise SourceError(f"`{self.of}` has no tokenizer.json (nor Chameleon's text_tokenizer.json): the folder is incomplete, download it again")

    @cached_property
    def vqgan(self) -> Path:
        """The VQGAN's file: in the folder, or converted and put beside the other models. Raises SourceError."""
        if self.folder.is_file():
            return self.folder
        places = [self.folder / f"{name}.safetensors" for name in VQGANS] + [snapshots.models() / "converted" / "vqgan" / "vqgan.safetensors"]
        for path in places:
            if path.is_file():
                return path
        for path in (self.folder / f"{name}.ckpt" for name in VQGANS):
            if path.is_file():
                raise SourceError(f"`{self.of}` has its VQGAN as a pickle, which can run code and is not loaded; `flowmm models convert {path}` makes it safe")
        raise SourceError(f"`{self.of}` has no vqgan.safetensors: UniToken's codes are those of Chameleon's VQGAN, which comes apart; download Meta's "
                          "Chameleon, and `flowmm models convert …/tokenizer/vqgan.ckpt`")  # fmt: skip

    @cached_property
    def weights(self) -> Weights:
        if self.role != "weights":
            return Weights()
        if self.is_vq:
            return Weights((self.vqgan,))
        found = find_weights(self.folder, str(self))
        return Weights((*found.files, self.vqgan), prefixes=(*PREFIXES, "encoder.", "decoder.", "quant", "post_quant"))

    @cached_property
    def fingerprint(self) -> str:
        if self.role == "tokenizer":
            return fingerprints.of_parts({"tokenizer": fingerprints.of_file(self.vocabulary)})
        if self.is_vq:
            return fingerprints.of_parts({"vqgan": fingerprints.of_file(self.vqgan)})
        parts = {"config": fingerprints.of_config(self.config), "siglip": fingerprints.of_config(self.siglip)}
        if self.role == "weights":
            parts["tokenizer"] = fingerprints.of_file(self.vocabulary)  # it says which id is which code
            parts.update((path.name, fingerprints.of_file(path)) for path in self.weights.files)
        return fingerprints.of_parts(parts)

    def load(self, cls: Any, dtype: str) -> Any:
        """The VQGAN as diffusers' VQModel, in float32 whatever the dtype, as UniToken's own code has it: nearest codes hang on small differences."""
        import torch
        from accelerate import init_empty_weights

        with init_empty_weights(include_buffers=False):
            made = cls(**vqgan_config(header(self.vqgan, f"`{self.of}`"), self.of))
        levels = len(made.config.block_out_channels)
        fill(made, (self.vqgan,), lambda name, tensor: vqgan_keys(name, tensor, levels), torch.float32, self, "UniToken", TRAINING.match)
        return made

    def load_tokenizer(self, cls: Any) -> Any:
        """cls: PreTrainedTokenizerFast."""
        return cls(tokenizer_file=str(self.vocabulary), **CONTROL, additional_special_tokens=list(MORE_CONTROL), clean_up_tokenization_spaces=False)

    def load_processor(self, cls: Any) -> Any:
        """cls: the library's SigLIP image processor."""
        from .unitoken_views import Views

        side = self.config["side"]
        resized = cls(size={"height": side, "width": side}, image_mean=[0.5] * 3, image_std=[0.5] * 3)
        return Views(resized, side, self.config["coded"], self.config["anyres"])


def recognise(name: str, path: Path, card: dict) -> Source | None:
    """UniToken's folder, or the file of Chameleon's VQGAN."""
    if path.is_file():
        alone = path.suffix == ".safetensors" and {"quantize.embedding.weight", "decoder.up.0.block.0.conv1.weight"} <= header(path, f"`{name}`").keys()
        return Source(name, path, "VQModel", {"": Part(name, "", "VQModel", path)}, card) if alone else None
    config = path / "config.json"
    if not config.is_file() or (read_json(config, name).get("architectures") or [""])[0] not in ARCHITECTURES:
        return None
    classes = {"": "UniToken", "vq": "VQModel", "tokenizer": "PreTrainedTokenizerFast", "image_processor": "SiglipImageProcessor"}
    return Source(name, path, "UniToken", {part: Part(name, part, cls, path) for part, cls in classes.items()}, card)


def image_ids(vocabulary: dict[str, int], size: int, of: str) -> list[int]:
    """The id of each code, by the vocabulary's names: code 120 is IMGIMGBCAZ, its digits as letters. Raises SourceError."""
    letters = str.maketrans("0123456789", "ABCDEFGHIJ")
    found = [vocabulary.get(f"IMGIMG{str(code).translate(letters)}Z") for code in range(size)]
    if None in found:
        raise SourceError(f"the vocabulary of `{of}` has no token for code {found.index(None)} of the VQGAN's {size}: tokenizer and VQGAN are not of one model")
    return found


# ── the network ─────────────────────────────────────────────────────────────────────────────────


def network(part: Part, dtype: str) -> Any:
    """All of UniToken as one module: model, lm_head, vit, adapter, vq; image_ids, the id of each code. Raises SourceError."""
    import torch
    from accelerate import init_empty_weights
    from diffusers import VQModel
    from transformers import ChameleonConfig, ChameleonModel, SiglipVisionConfig, SiglipVisionModel

    class UniToken(torch.nn.Module):
        def __init__(self, config: Any, siglip: Any):
            super().__init__()
            self.config = config
            self.model = ChameleonModel(config)
            del self.model.vqmodel  # it has an encoder only, and the VQGAN has both
            self.lm_head = torch.nn.Linear(config.hidden_size, config.vocab_size, bias=False)
            self.vit = SiglipVisionModel(siglip)
            self.adapter = torch.nn.Sequential(
                torch.nn.Linear(siglip.hidden_size, config.hidden_size), torch.nn.GELU(), torch.nn.Linear(config.hidden_size, config.hidden_size)
            )

        @property
        def device(self) -> Any:
            return self.lm_head.weight.device

        @property
        def dtype(self) -> Any:
            return self.lm_head.weight.dtype

        def forward(self, input_ids=None, inputs_embeds=None, attention_mask=None, position_ids=None, use_cache=None, cache=None, logits_to_keep=0, head=None):
            """Logits of the last `logits_to_keep` positions, none masked. head: only these rows of lm_head's weight, [N, D]."""
            from transformers.modeling_outputs import CausalLMOutputWithPast

            hidden = self.model(
                input_ids=input_ids, inputs_embeds=inputs_embeds, attention_mask=attention_mask, position_ids=position_ids, use_cache=use_cache, cache=cache
            ).last_hidden_state[:, -logits_to_keep:]
            return CausalLMOutputWithPast(logits=torch.nn.functional.linear(hidden, self.lm_head.weight if head is None else head))

    settings = {name: value for name, value in part.config.items() if name != "vocabulary_map"}
    with init_empty_weights(include_buffers=False):
        made = UniToken(ChameleonConfig.from_dict(settings | {"vocabulary_map": {"<image>": 0}}), SiglipVisionConfig(**part.siglip, vision_use_head=False))
    made.config.mask_image_logits = part.config.get("mask_image_logits", True)
    heads = made.config.num_attention_heads, made.config.num_key_value_heads

    def mapped(name: str, tensor: Any) -> Iterator[tuple[str, Any]]:
        kind = NORM.match(name)
        # transformers wants a scale a head; the checkpoint has one for all heads that were on one device while training.
        yield name, tensor if kind is None else tensor.repeat_interleave(heads[kind[1] == "k"] // len(tensor), 0)

    fill(made, find_weights(part.folder, str(part)).files, mapped, getattr(torch, dtype), part, "UniToken", UNUSED.match)
    made.vq = part.load(VQModel, dtype)
    ids = image_ids(read_json(part.vocabulary, part.of).get("model", {}).get("vocab", {}), made.vq.config.num_vq_embeddings, part.of)
    made.register_buffer("image_ids", torch.tensor(ids), persistent=False)
    return made


def vqgan_config(tensors: dict[str, dict], of: str) -> dict[str, Any]:
    """The settings of diffusers' VQModel, from the shapes of a VQGAN's tensors. Raises SourceError."""
    try:
        levels = 1 + max(int(name.split(".")[2]) for name in tensors if name.startswith("encoder.down."))
        channels = [tensors[f"encoder.down.{level}.block.0.conv2.weight"]["shape"][0] for level in range(levels)]
        layers = 1 + max(int(name.split(".")[4]) for name in tensors if name.startswith("encoder.down.0.block."))
        size, width = tensors["quantize.embedding.weight"]["shape"]
        latent = tensors["encoder.conv_out.weight"]["shape"][0]
    except (KeyError, ValueError, IndexError, TypeError):
        raise SourceError(f"`{of}`: its VQGAN lacks tensors that Chameleon's has; download it again") from None
    if any(name.startswith(("encoder.down.", "decoder.up.")) and ".attn." in name for name in tensors):
        raise SourceError(f"`{of}`: its VQGAN has attention between its levels, so it is not Chameleon's; take Meta's tokenizer/vqgan.ckpt")
    return {
        "block_out_channels": channels, "layers_per_block": layers, "latent_channels": latent, "vq_embed_dim": width, "num_vq_embeddings": size,
        "down_block_types": ["DownEncoderBlock2D"] * levels, "up_block_types": ["UpDecoderBlock2D"] * levels,
    }  # fmt: skip


MIDDLE = {"block_1": "resnets.0", "block_2": "resnets.1", "attn_1": "attentions.0"}
RENAMED = {"norm_out": "conv_norm_out", "nin_shortcut": "conv_shortcut", "downsample": "downsamplers.0", "upsample": "upsamplers.0",
           "norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}  # fmt: skip


def vqgan_keys(name: str, tensor: Any, levels: int) -> Iterator[tuple[str, Any]]:
    """A tensor of the original VQGAN under diffusers' name. Decoder levels count from the other end; attention is linear, not 1×1 convolution."""
    words = name.split(".")
    if words[1:2] == ["mid"]:
        words[1:3] = ["mid_block", MIDDLE.get(words[2], words[2])]
    elif words[1:2] in (["down"], ["up"]):
        level = int(words[2]) if words[1] == "down" else levels - 1 - int(words[2])
        words[1:3] = [f"{words[1]}_blocks", str(level)]
        if words[3] == "block":
            words[3] = "resnets"
    words = [RENAMED.get(word, word) for word in words]
    yield ".".join(words), tensor.flatten(1) if ".attn_1." in name and tensor.ndim == 4 else tensor

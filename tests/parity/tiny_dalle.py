"""Tiny random DALL-E 1 models, codebooks, and OpenAI's discrete VAE as its own package pickled it."""

import json
import sys
import types
from collections import OrderedDict

import tiny
import torch
from torch import nn

TEXT, ROWS, COLUMNS, CODES = 6, 4, 3, 40  # text ids a prompt takes; codes in a picture, down and across; entries
WORDS = ["[pad]", "[unk]", "a", "red", "blue", "green", "circle", "square", "star", "on", "the", "table", "small", "large"]
DVAE = {"vocab_size": CODES, "hidden_size": 8, "initial_size": 12, "image_size": 32}


def tokenizer(pad="[pad]"):
    """Words as tokens."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[unk]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="[unk]", pad_token=pad)


def language_model(kind="llama", seed=0):
    """Random and wide, over text ids and codes."""
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    positions, size = TEXT + ROWS * COLUMNS, len(WORDS) + CODES
    ends = {"bos_token_id": None, "eos_token_id": None}
    if kind == "gpt2":
        made = GPT2LMHeadModel(GPT2Config(vocab_size=size, n_positions=positions, n_embd=32, n_layer=2, n_head=4, **ends))
    else:
        made = LlamaForCausalLM(LlamaConfig(
            vocab_size=size, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
            max_position_embeddings=positions, **ends,
        ))  # fmt: skip
    return wide(made, seed, "wte", "wpe", "embed_tokens", "lm_head")


def wide(model, seed, *embeddings):
    """As tiny.widen; what gives the model its logits wider still, so that a prompt decides."""
    tiny.widen(model, seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if any(part in name for part in embeddings):
                parameter.mul_(2)
    return model


def vq(seed=0, **changes):
    """A VQModel of factor 4: codes of 3 numbers, drawn as far apart as its latents are."""
    from diffusers import VQModel

    made = tiny.widen(VQModel(**{
        "block_out_channels": (8, 8, 16), "down_block_types": ("DownEncoderBlock2D",) * 3, "up_block_types": ("UpDecoderBlock2D",) * 3,
        "norm_num_groups": 4, "latent_channels": 3, "num_vq_embeddings": CODES, "sample_size": 16, **changes,
    }), seed)  # fmt: skip
    with torch.no_grad():
        made.quantize.embedding.weight.copy_(torch.randn(made.quantize.embedding.weight.shape, generator=torch.Generator().manual_seed(seed)))
    return made


def dvae(seed=0, **changes):
    from flowmm.models.dvae import DVAE as Model
    from flowmm.models.dvae import DVAEConfig

    return loud(Model(DVAEConfig(**DVAE | changes)), seed)


def loud(module, seed=0):
    """Random weights of unit gain; residual paths so loud that they count in spite of their gain of 1/64. The last layer hears
    differences alone: after so many rectifiers all its inputs are large, and one code would win everywhere."""
    tiny.widen(module, seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "res_path" in name and "conv_4" in name:
                parameter.mul_(64)
            if "output.conv" in name and parameter.ndim > 1:
                parameter.sub_(parameter.mean(1, keepdim=True)).mul_(4)
    return module


def save(folder, kind="llama", codebook="vq", seed=0, words=None, **card):
    """A DALL-E 1 folder."""
    book = vq(seed) if codebook == "vq" else dvae(seed)
    (words or tokenizer()).save_pretrained(folder / "tokenizer")
    model = language_model(kind, seed)
    model.save_pretrained(folder / "transformer")
    book.save_pretrained(folder / "codebook")
    library, cls = ("diffusers", "VQModel") if codebook == "vq" else ("flowmm", "DVAE")
    index = {"_class_name": "DalleOnePipeline", "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
             "transformer": ["transformers", type(model).__name__], "codebook": [library, cls]}  # fmt: skip
    (folder / "model_index.json").write_text(json.dumps(index))
    (folder / "flowmm.json").write_text(json.dumps({"text_length": TEXT, "rows": ROWS, "columns": COLUMNS, **card}))
    return folder


# ── OpenAI's package, as far as its pickles know it ─────────────────────────────────────────────


class Conv2d(nn.Module):
    def __init__(self, n_in, n_out, kw, use_float16=True):
        super().__init__()
        self.n_in, self.n_out, self.kw, self.use_float16, self.device = n_in, n_out, kw, use_float16, torch.device("cpu")
        self.w, self.b = nn.Parameter(torch.empty(n_out, n_in, kw, kw)), nn.Parameter(torch.zeros(n_out))


class _Block(nn.Module):
    def __init__(self, n_in, n_out, n_layers, kernels):
        super().__init__()
        self.n_in, self.n_out, self.n_layers, self.n_hid, self.post_gain = n_in, n_out, n_layers, n_out // 4, 1 / n_layers**2
        sizes = [n_in, *(n_out // 4,) * 3, n_out]
        self.id_path = Conv2d(n_in, n_out, 1) if n_in != n_out else nn.Identity()
        self.res_path = nn.Sequential(OrderedDict(
            part for i, kernel in enumerate(kernels) for part in ((f"relu_{i + 1}", nn.ReLU()), (f"conv_{i + 1}", Conv2d(sizes[i], sizes[i + 1], kernel)))
        ))  # fmt: skip


class EncoderBlock(_Block):
    def __init__(self, *sizes):
        super().__init__(*sizes, (3, 3, 3, 1))


class DecoderBlock(_Block):
    def __init__(self, *sizes):
        super().__init__(*sizes, (1, 3, 3, 3))


def _layers(block, widths, blocks, between, first, last):
    layers = OrderedDict(input=first)
    for i in range(1, 5):
        group = OrderedDict((f"block_{j + 1}", block(widths[i] if j else widths[i - 1], widths[i], 4 * blocks)) for j in range(blocks))
        layers[f"group_{i}"] = nn.Sequential(group | between() if i < 4 else group)
    layers["output"] = nn.Sequential(OrderedDict(relu=nn.ReLU(), conv=last))
    return nn.Sequential(layers)


class Encoder(nn.Module):
    def __init__(self, n_hid=8, n_blk_per_group=2, vocab_size=CODES):
        super().__init__()
        self.n_hid, self.n_blk_per_group, self.vocab_size, self.device = n_hid, n_blk_per_group, vocab_size, torch.device("cpu")
        self.blocks = _layers(EncoderBlock, [n_hid * times for times in (1, 1, 2, 4, 8)], n_blk_per_group, lambda: OrderedDict(pool=nn.MaxPool2d(2)),
                              Conv2d(3, n_hid, 7), Conv2d(8 * n_hid, vocab_size, 1, False))  # fmt: skip


class Decoder(nn.Module):
    def __init__(self, n_init=12, n_hid=8, n_blk_per_group=2, vocab_size=CODES):
        super().__init__()
        self.n_init, self.n_hid, self.n_blk_per_group, self.vocab_size = n_init, n_hid, n_blk_per_group, vocab_size
        self.blocks = _layers(DecoderBlock, [n_init, *(n_hid * times for times in (8, 4, 2, 1))], n_blk_per_group,
                              lambda: OrderedDict(upsample=nn.Upsample(scale_factor=2, mode="nearest")),
                              Conv2d(vocab_size, n_init, 1, False), Conv2d(n_hid, 6, 1))  # fmt: skip


PACKAGE = {"dall_e.encoder": (Encoder, EncoderBlock), "dall_e.decoder": (Decoder, DecoderBlock), "dall_e.utils": (Conv2d,)}


def save_pickles(folder, zipped=True, seed=0, **sizes):
    """encoder.pkl and decoder.pkl, written while a package `dall_e` is there; returns their tensors by half and name."""
    folder.mkdir(parents=True, exist_ok=True)
    modules = {name: types.ModuleType(name) for name in ("dall_e", *PACKAGE)}
    halves = {"encoder": loud(Encoder(**sizes), seed), "decoder": loud(Decoder(**sizes), seed + 1)}
    before = {cls: cls.__module__ for classes in PACKAGE.values() for cls in classes}
    try:
        sys.modules.update(modules)
        for name, classes in PACKAGE.items():
            for cls in classes:
                cls.__module__ = name
                setattr(modules[name], cls.__name__, cls)
        for name, module in halves.items():
            torch.save(module, folder / f"{name}.pkl", _use_new_zipfile_serialization=zipped)
    finally:
        for name in modules:
            sys.modules.pop(name, None)
        for cls, module in before.items():
            cls.__module__ = module
    return {name: module.state_dict() for name, module in halves.items()}

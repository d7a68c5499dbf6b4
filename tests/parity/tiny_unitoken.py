"""A tiny UniToken in its ORIGINAL layout: sharded model.*, lm_head, adapter and vit; Chameleon's VQGAN apart; the published ids.

Names and shapes are written down here as UniToken's and Chameleon's own code has them, not made by the loader's key maps.
"""

import json
import math
from pathlib import Path

import torch

BASE, ANYRES = "ChameleonXLLMXForConditionalGenerationBase", "ChameleonXLLMXForConditionalGenerationAnyRes"
VOCABULARY, HIDDEN, HEADS, KEYS, LAYERS, PARALLEL = 16896, 32, 4, 2, 2, 2
CODES, WIDTH, LATENT, CHANNELS = 64, 8, 16, (32, 64)
FIRST = 4  # the id of code 0, as published
SIDE = 16  # pixels of the square that becomes codes, two pixels a code
VIT = {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 28, "patch_size": 7}
CONFIG = {
    "model_type": "chameleon", "vocab_size": VOCABULARY, "hidden_size": HIDDEN, "intermediate_size": 64, "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS, "num_key_value_heads": KEYS, "max_position_embeddings": 4096, "model_parallel_size": PARALLEL,
    "swin_norm": False, "rope_theta": 10000.0, "rope_scaling": None, "mask_image_logits": False, "z_loss_weight": 0.0, "torch_dtype": "bfloat16",
    "vq_config": {"resolution": SIDE}, "transformers_version": "4.44.2",
}  # fmt: skip


class Draw:
    """Wide random tensors: matrices of unit gain, norms and biases that are neither one nor zero."""

    def __init__(self, seed):
        self.generator, self.made = torch.Generator().manual_seed(seed), {}

    def __call__(self, name, *shape, gain=1.2):
        noise = torch.randn(shape, generator=self.generator)
        if len(shape) > 1 and "norm" not in name:
            self.made[name] = noise * (0.5 if "embed" in name else gain / math.sqrt(noise[0].numel()))
        else:
            self.made[name] = noise * 0.2 + (name.endswith("weight"))

    def pair(self, name, *shape):
        self(f"{name}.weight", *shape)
        self(f"{name}.bias", shape[0])


def network(seed=0):
    """model.* without the VQ model, lm_head, adapter.{0,2}, vit.* with the pooling head that SigLIP has."""
    draw, head = Draw(seed), HIDDEN // HEADS
    draw("model.embed_tokens.weight", VOCABULARY, HIDDEN)
    for i in range(LAYERS):
        at = f"model.layers.{i}"
        for name, wide in (("q", HIDDEN), ("k", KEYS * head), ("v", KEYS * head), ("o", HIDDEN)):
            draw(f"{at}.self_attn.{name}_proj.weight", wide, HIDDEN)
        for name in ("q_norm", "k_norm"):
            draw(f"{at}.self_attn.{name}.weight", PARALLEL, head)
            draw(f"{at}.self_attn.{name}.bias", PARALLEL, head)
        for name, shape in (("gate", (64, HIDDEN)), ("up", (64, HIDDEN)), ("down", (HIDDEN, 64))):
            draw(f"{at}.mlp.{name}_proj.weight", *shape)
        draw(f"{at}.input_layernorm.weight", HIDDEN)
        draw(f"{at}.post_attention_layernorm.weight", HIDDEN)
    draw("model.norm.weight", HIDDEN)
    draw("lm_head.weight", VOCABULARY, HIDDEN, gain=4)
    wide, deep, patch = VIT["hidden_size"], VIT["intermediate_size"], VIT["patch_size"]
    draw.pair("adapter.0", HIDDEN, wide)
    draw.pair("adapter.2", HIDDEN, HIDDEN)
    draw.pair("vit.embeddings.patch_embedding", wide, 3, patch, patch)
    draw("vit.embeddings.position_embedding.weight", (VIT["image_size"] // patch) ** 2, wide)
    for i in range(VIT["num_hidden_layers"]):
        at = f"vit.encoder.layers.{i}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            draw.pair(f"{at}.self_attn.{name}", wide, wide)
        draw.pair(f"{at}.mlp.fc1", deep, wide)
        draw.pair(f"{at}.mlp.fc2", wide, deep)
        for name in ("layer_norm1", "layer_norm2"):
            draw.pair(f"{at}.{name}", wide)
    draw.pair("vit.post_layernorm", wide)
    draw("vit.head.probe", 1, 1, wide)
    return draw.made


def vqgan(seed=1):
    """Chameleon's VQGAN: encoder.down.I.block.J, decoder.up.I.block.J with I counted from the picture's side, mid, quantize."""
    draw, levels = Draw(seed), len(CHANNELS)

    def block(at, coming, going):
        for name, wide in (("norm1", coming), ("norm2", going)):
            draw.pair(f"{at}.{name}", wide)
        draw.pair(f"{at}.conv1", going, coming, 3, 3)
        draw.pair(f"{at}.conv2", going, going, 3, 3)
        if coming != going:
            draw.pair(f"{at}.nin_shortcut", going, coming, 1, 1)

    def middle(at, wide):
        block(f"{at}.block_1", wide, wide)
        draw.pair(f"{at}.attn_1.norm", wide)
        for name in ("q", "k", "v", "proj_out"):
            draw.pair(f"{at}.attn_1.{name}", wide, wide, 1, 1)
        block(f"{at}.block_2", wide, wide)

    draw.pair("encoder.conv_in", CHANNELS[0], 3, 3, 3)
    for i in range(levels):
        block(f"encoder.down.{i}.block.0", CHANNELS[max(i - 1, 0)], CHANNELS[i])
        if i < levels - 1:
            draw.pair(f"encoder.down.{i}.downsample.conv", CHANNELS[i], CHANNELS[i], 3, 3)
    middle("encoder.mid", CHANNELS[-1])
    draw.pair("encoder.norm_out", CHANNELS[-1])
    draw.pair("encoder.conv_out", LATENT, CHANNELS[-1], 3, 3)
    draw.pair("decoder.conv_in", CHANNELS[-1], LATENT, 3, 3)
    middle("decoder.mid", CHANNELS[-1])
    for i in reversed(range(levels)):
        block(f"decoder.up.{i}.block.0", CHANNELS[min(i + 1, levels - 1)], CHANNELS[i])
        block(f"decoder.up.{i}.block.1", CHANNELS[i], CHANNELS[i])
        if i:
            draw.pair(f"decoder.up.{i}.upsample.conv", CHANNELS[i], CHANNELS[i], 3, 3)
    draw.pair("decoder.norm_out", CHANNELS[0])
    draw.pair("decoder.conv_out", 3, CHANNELS[0], 3, 3)
    draw.pair("quant_conv", WIDTH, LATENT, 1, 1)
    draw.pair("post_quant_conv", LATENT, WIDTH, 1, 1)
    draw("quantize.embedding.weight", CODES, WIDTH)
    return draw.made


def code_name(code):
    return "IMGIMG" + "".join("ABCDEFGHIJ"[int(digit)] for digit in str(code)) + "Z"


def vocabulary(codes=range(CODES)):
    """Published names and ids of everything the system names; bytes from 16600; the id of `codes[i]` is 4 + i."""
    from tokenizers.pre_tokenizers import ByteLevel

    names = {0: "<s>", 1: "<pad>", 2: "</s>", 3: "<unk>", 8196: "<eoss>", 8197: "<racm3:break>", 8198: "<sentinel:0>"}
    names |= {FIRST + i: code_name(code) for i, code in enumerate(codes)}
    names |= {16600 + i: letter for i, letter in enumerate(sorted(ByteLevel.alphabet()))}
    return {names.get(id, f"<reserved{id - 4:05d}>"): id for id in range(VOCABULARY)}


def tokenizer_file(path, codes=range(CODES)):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    made = Tokenizer(models.BPE(vocabulary(codes), []))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save(str(path))


def save(folder, seed=0, architecture=BASE, codes=range(CODES), **config):
    """A folder as a person has it after downloading UniToken and SigLIP's config, and converting the VQGAN."""
    from safetensors.torch import save_file

    folder = Path(folder)
    (folder / "SigLIP").mkdir(parents=True)
    tensors = network(seed)
    names = sorted(tensors)
    shards = {f"model-0000{i + 1}-of-00002.safetensors": names[i::2] for i in range(2)}
    for file, held in shards.items():
        save_file({name: tensors[name] for name in held}, folder / file, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, held in shards.items() for name in held}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    save_file(vqgan(seed + 1), folder / "vqgan.safetensors")
    (folder / "config.json").write_text(json.dumps(CONFIG | {"architectures": [architecture], "vocabulary_map": vocabulary(codes)} | config))
    (folder / "SigLIP" / "config.json").write_text(json.dumps({"model_type": "siglip", "vision_config": VIT, "text_config": {}}))
    tokenizer_file(folder / "tokenizer.json", codes)
    return folder


class Reference:
    """The same tensors in the libraries' own modules, put together by hand."""

    def __init__(self, seed=0, dtype=torch.float32):
        from transformers import ChameleonConfig, ChameleonForConditionalGeneration, ChameleonVQVAEConfig, SiglipVisionConfig, SiglipVisionModel
        from transformers.models.chameleon.modeling_chameleon import ChameleonVQVAE

        self.vqgan, tensors = vqgan(seed + 1), network(seed)
        settings = {"resolution": SIDE, "base_channels": CHANNELS[0], "channel_multiplier": [1, 2], "num_res_blocks": 1, "embed_dim": WIDTH,
                    "num_embeddings": CODES, "latent_channels": LATENT}  # fmt: skip
        self.vq = ChameleonVQVAE(ChameleonVQVAEConfig(**settings)).eval()
        missing, _ = self.vq.load_state_dict(self.vqgan, strict=False)
        assert not missing
        shape = {name: value for name, value in CONFIG.items() if name.endswith(("size", "heads", "layers", "embeddings"))}
        self.lm = ChameleonForConditionalGeneration(ChameleonConfig(**shape, vocabulary_map=vocabulary(), vq_config=settings)).eval()
        held = {name: tensor for name, tensor in tensors.items() if name.startswith(("model.", "lm_head."))}
        for name, tensor in held.items():
            if "_norm." in name:  # head h was trained on device h // (heads / devices)
                heads = HEADS if "q_norm" in name else KEYS
                held[name] = torch.stack([tensor[head // (heads // PARALLEL)] for head in range(heads)])
        missing, unexpected = self.lm.load_state_dict(held, strict=False)
        assert not unexpected and all(name.startswith("model.vqmodel.") for name in missing)
        self.vit = SiglipVisionModel(SiglipVisionConfig(**VIT)).eval()
        missing, _ = self.vit.load_state_dict({name[4:]: tensor for name, tensor in tensors.items() if name.startswith("vit.")}, strict=False)
        assert all(name.startswith("head.") for name in missing)
        self.adapter = {name[8:]: tensor.to(dtype) for name, tensor in tensors.items() if name.startswith("adapter.")}
        self.lm.to(dtype), self.vit.to(dtype)

    def features(self, pixels):
        from torch.nn.functional import gelu, linear

        seen = self.vit(pixels, interpolate_pos_encoding=True).last_hidden_state
        return linear(gelu(linear(seen, self.adapter["0.weight"], self.adapter["0.bias"])), self.adapter["2.weight"], self.adapter["2.bias"])

    def embed(self, ids):
        return self.lm.model.embed_tokens(torch.tensor(ids))

    def logits(self, embeds):
        """Of what comes after [L, D], by a whole pass without a cache; the library's own forward would mask the codes."""
        return self.lm.lm_head(self.lm.model(inputs_embeds=embeds[None], use_cache=False).last_hidden_state[0, -1])

    def decode(self, codes):
        """int64 [h, w] to pixels [1, 3, H, W] in -1…1: the original decoder, in plain torch."""
        from torch.nn import functional as F

        held = self.vqgan

        def conv(x, name, **options):
            return F.conv2d(x, held[f"{name}.weight"], held[f"{name}.bias"], **options)

        def norm(x, name):
            return F.group_norm(x, 32, held[f"{name}.weight"], held[f"{name}.bias"], eps=1e-6)

        def block(x, at):
            h = conv(F.silu(norm(x, f"{at}.norm1")), f"{at}.conv1", padding=1)
            h = conv(F.silu(norm(h, f"{at}.norm2")), f"{at}.conv2", padding=1)
            return (conv(x, f"{at}.nin_shortcut") if f"{at}.nin_shortcut.weight" in held else x) + h

        def attend(x, at):
            q, k, v = (conv(norm(x, f"{at}.norm"), f"{at}.{name}").flatten(2) for name in "qkv")
            weights = (q.transpose(1, 2) @ k * q.shape[1] ** -0.5).softmax(-1)
            return x + conv((v @ weights.transpose(1, 2)).reshape(x.shape), f"{at}.proj_out")

        x = conv(held["quantize.embedding.weight"][codes].permute(2, 0, 1)[None], "post_quant_conv")
        x = conv(x, "decoder.conv_in", padding=1)
        x = block(attend(block(x, "decoder.mid.block_1"), "decoder.mid.attn_1"), "decoder.mid.block_2")
        for level in reversed(range(len(CHANNELS))):
            for i in range(2):
                x = block(x, f"decoder.up.{level}.block.{i}")
            if level:
                x = conv(F.interpolate(x, scale_factor=2.0), f"decoder.up.{level}.upsample.conv", padding=1)
        return conv(F.silu(norm(x, "decoder.norm_out")), "decoder.conv_out", padding=1)

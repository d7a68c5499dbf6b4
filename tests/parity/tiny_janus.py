"""A tiny random Janus of transformers' own class, in the folder that model and processor write; and the same in deepseek's own layout."""

import json
import re

import torch
from safetensors.torch import save_file
from tiny import widen

BOS, EOS, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"
PICTURE, BEGIN, END = "<image_placeholder>", "<begin_of_image>", "<end_of_image>"
ROLES = ["<|User|>", "<|Assistant|>"]
SIDE, PATCH, WIDTH, CODES = 32, 8, 32, 64
COUNT = (SIDE // PATCH) ** 2
MEAN = [0.5, 0.5, 0.5]

# The conversation as deepseek has it: what the user says ends with a blank line, what the assistant says with the end of the sentence.
TEMPLATE = (
    "{% for message in messages %}{% set user = message.role == 'user' %}{{ '<|User|>: ' if user else '<|Assistant|>: ' }}"
    "{% for part in message.content %}{% if part.type == 'image' %}<image_placeholder>{{ '\n' if not loop.last }}"
    "{% else %}{% set text = part.text.rstrip() if loop.last else part.text %}{{ text.lstrip() if loop.first else text }}{% endif %}{% endfor %}"
    "{{ '\n\n' if user else '<｜end▁of▁sentence｜>' }}{% endfor %}{% if add_generation_prompt %}<|Assistant|>:{% endif %}"
)


def tokenizer(roles=True, **options):
    """Bytes as tokens, no merges; a text begins with the token that says so."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    names = [BOS, EOS, PAD, PICTURE, BEGIN, END, *(ROLES if roles else [])]
    made.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token=BOS, eos_token=EOS, pad_token=PAD, add_bos_token=True, model_max_length=1024, padding_side="left",
        clean_up_tokenization_spaces=False, **options,
    )  # fmt: skip


def model(seed=0, text=None, side=SIDE):
    from transformers import JanusConfig, JanusForConditionalGeneration

    words = tokenizer()
    ids = {"bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id}
    config = JanusConfig(
        text_config={
            "model_type": "llama", "vocab_size": len(words) + 8, "hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 1024, **ids, **(text or {}),
        },
        vision_config={
            "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 16, "image_size": side, "patch_size": PATCH, "mlp_ratio": 2,
            "projection_dim": WIDTH, "num_image_tokens": (side // PATCH) ** 2,
        },
        vq_config={
            "embed_dim": 8, "num_embeddings": CODES, "latent_channels": 16, "base_channels": 32, "channel_multiplier": [1, 1, 1, 2], "num_res_blocks": 1,
            "projection_dim": WIDTH, "image_token_embed_dim": WIDTH,
        },
        image_token_id=words.convert_tokens_to_ids(PICTURE), tie_word_embeddings=False,
    )  # fmt: skip
    made = widen(JanusForConditionalGeneration(config), seed)
    generation = made.generation_config
    generation.temperature, generation.guidance_scale, generation.pad_token_id = 1.0, 5.0, words.pad_token_id
    generation.generation_kwargs = {"boi_token_id": words.convert_tokens_to_ids(BEGIN)}
    return made


def processor(side=SIDE):
    from transformers import JanusImageProcessorPil, JanusProcessor

    words = tokenizer(extra_special_tokens={"image_token": PICTURE, "boi_token": BEGIN, "eoi_token": END})
    pictures = JanusImageProcessorPil(size={"height": side, "width": side}, image_mean=MEAN, image_std=MEAN)
    return JanusProcessor(pictures, words, chat_template=TEMPLATE, use_default_system_prompt=True, num_image_tokens=(side // PATCH) ** 2)


def save(folder, seed=0, text=None, side=SIDE):
    """A JanusForConditionalGeneration folder: 32×32 pictures, read as 16 patches and drawn with 4×4 of 64 codes."""
    folder.mkdir(parents=True, exist_ok=True)
    model(seed, text, side).save_pretrained(folder)
    processor(side).save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tokenizer_class": "LlamaTokenizerFast"}))  # as published
    return folder


# ── deepseek's layout ───────────────────────────────────────────────────────────────────────────

VISION = {"layer_norm1": "norm1", "layer_norm2": "norm2", "projection_layer": "proj", "self_attn": "attn"}
MIDDLE = {"block_1": "0", "attn_1": "1", "block_2": "2"}


def deepseek_keys(state):
    """A JanusForConditionalGeneration's weights under the names deepseek's code has for them, with what transformers leaves out."""
    made, fused = {}, {}
    for name, tensor in state.items():
        words = name.split(".")
        match words:
            case ["lm_head", "weight"]:
                made["language_model.lm_head.weight"] = tensor
            case ["model", "language_model", *rest]:
                made[".".join(["language_model", "model", *rest])] = tensor
            case ["model", "vision_model", "embeddings", "patch_embedding", kind]:
                made[f"vision_model.vision_tower.patch_embed.proj.{kind}"] = tensor
            case ["model", "vision_model", "embeddings", "position_embedding", "weight"]:
                made["vision_model.vision_tower.pos_embed"] = tensor[None]
            case ["model", "vision_model", "post_layernorm", kind]:
                made[f"vision_model.vision_tower.norm.{kind}"] = tensor
            case ["model", "vision_model", "encoder", "layers", number, "self_attn", "q_proj" | "k_proj" | "v_proj" as part, kind]:
                fused.setdefault(f"vision_model.vision_tower.blocks.{number}.attn.qkv.{kind}", {})[part] = tensor
            case ["model", "vision_model", "encoder", "layers", number, *rest]:
                made[".".join(["vision_model", "vision_tower", "blocks", number, *(VISION.get(one, one) for one in rest)])] = tensor
            case ["model", "aligner" | "generation_aligner" as part, *rest, kind]:
                place = 0 if rest == ["fc1"] else 2 * (int(rest[1]) + 1)
                made[f"{part.replace('generation', 'gen')}.layers.{place}.{kind}"] = tensor
            case ["model", "generation_embeddings", "weight"]:
                made["gen_embed.weight"] = tensor
            case ["model", "generation_head", part, kind]:
                made[f"gen_head.{part.replace('proj_out', 'output_mlp_projector')}.{kind}"] = tensor
            case ["model", "vqmodel", *rest]:
                old = re.sub(r"^(encoder\.down|decoder\.up)\.", lambda found: f"{found[1].split('.')[0]}.conv_blocks.", ".".join(rest))
                old = re.sub(r"\.mid\.(\w+)", lambda found: f".mid.{MIDDLE[found[1]]}", old.replace(".block.", ".res."))
                made[f"gen_vision_model.{old}"] = tensor
            case _:
                raise AssertionError(name)
    for name, parts in fused.items():
        made[name] = torch.cat([parts["q_proj"], parts["k_proj"], parts["v_proj"]])
    made["vision_model.vision_tower.attn_pool.latent"] = torch.randn(1, 1, 32)
    made["vision_model.vision_tower.attn_pool.mlp.fc1.weight"] = torch.randn(64, 32)
    made["gen_vision_model.quantize.codebook_used"] = torch.zeros(65536)
    return {name: tensor.contiguous().clone() for name, tensor in made.items()}


def deepseek_config(config):
    """config.json with the fields that deepseek publishes; the rest is in their code."""
    text, image, vq = config.text_config, config.vision_config, config.vq_config
    named = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "vocab_size", "max_position_embeddings")
    return {
        "architectures": ["MultiModalityCausalLM"], "model_type": "multi_modality", "torch_dtype": "bfloat16", "transformers_version": "4.33.1",
        "vision_config": {
            "cls": "CLIPVisionTower", "model_type": "vision",
            "params": {"image_size": image.image_size, "model_name": "siglip_large_patch16_384", "select_feature": "same", "select_layer": -1},
        },
        "aligner_config": {
            "cls": "MlpProjector", "model_type": "aligner",
            "params": {"depth": 2, "input_dim": image.hidden_size, "n_embed": text.hidden_size, "projector_type": "mlp_gelu"},
        },
        "gen_vision_config": {"cls": "VQ-16", "model_type": "gen_vision", "params": {"image_token_size": vq.num_embeddings, "n_embed": vq.embed_dim}},
        "gen_aligner_config": {
            "cls": "MlpProjector", "model_type": "gen_aligner",
            "params": {"depth": 2, "input_dim": vq.embed_dim, "n_embed": text.hidden_size, "projector_type": "mlp_gelu"},
        },
        "gen_head_config": {
            "cls": "vision_head", "model_type": "gen_head",
            "params": {"image_token_embed": vq.image_token_embed_dim, "image_token_size": vq.num_embeddings, "n_embed": text.hidden_size},
        },
        "language_config": {
            "model_type": "llama", "torch_dtype": "bfloat16", "_attn_implementation": "flash_attention_2", **{name: getattr(text, name) for name in named},
        },
    }  # fmt: skip


def save_original(folder, seed=0, shards=1, roles=True):
    """The same model as `save` writes, in deepseek's layout."""
    made = model(seed)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(deepseek_config(made.config)))
    state = deepseek_keys(made.state_dict())
    if shards == 1:
        save_file(state, folder / "model.safetensors", {"format": "pt"})
    else:
        placed = {name: f"model-{1 + i % shards:05d}-of-{shards:05d}.safetensors" for i, name in enumerate(state)}
        for file in set(placed.values()):
            save_file({name: tensor for name, tensor in state.items() if placed[name] == file}, folder / file, {"format": "pt"})
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": placed}))
    tokenizer(roles).backend_tokenizer.save(str(folder / "tokenizer.json"))
    told = json.loads((folder / "tokenizer.json").read_text())
    told["post_processor"] = None  # as published: LlamaTokenizerFast put the first token there itself
    (folder / "tokenizer.json").write_text(json.dumps(told))
    special = {"__type": "AddedToken", "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "add_bos_token": True, "add_eos_token": False, "bos_token": special | {"content": BOS}, "eos_token": special | {"content": EOS},
        "clean_up_tokenization_spaces": False, "legacy": True, "model_max_length": 16384, "pad_token": None, "sp_model_kwargs": {}, "unk_token": None,
        "tokenizer_class": "LlamaTokenizerFast",
    }))  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps({
        "background_color": [127, 127, 127], "do_normalize": True, "image_mean": MEAN, "image_processor_type": "VLMImageProcessor", "image_size": SIDE,
        "image_std": MEAN, "min_size": 14, "processor_class": "VLChatProcessor", "rescale_factor": 1 / 255,
    }))  # fmt: skip
    (folder / "processor_config.json").write_text(json.dumps({
        "add_special_token": False, "ignore_id": -100, "image_tag": PICTURE, "mask_prompt": True, "num_image_tokens": COUNT,
        "processor_class": "VLChatProcessor", "sft_format": "deepseek",
    }))  # fmt: skip
    return folder

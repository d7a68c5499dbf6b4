"""Tiny Stable Diffusion relatives in the layouts users have: inpainting, editing, SDXL, ControlNets, LoRAs."""

import json

import tiny
import torch

INPAINT = {"in_channels": 9}
EDIT = {"in_channels": 8}
SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
XL_UNET = {
    "sample_size": 16, "in_channels": 4, "out_channels": 4, "layers_per_block": 1, "block_out_channels": (16, 32), "cross_attention_dim": 56,
    "attention_head_dim": (2, 4), "norm_num_groups": 8, "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"), "use_linear_projection": True, "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 6 * 8 + 20, "transformer_layers_per_block": (1, 2),
}  # fmt: skip


def save(folder, cls="StableDiffusionPipeline", **changes):
    """A pipeline folder of one of Stable Diffusion's relatives; 32×32 pictures, latents 4×16×16."""
    tiny.save_stable_diffusion(folder, **changes)
    _name(folder, cls)
    return str(folder)


def _name(folder, cls, **options):
    path = folder / "model_index.json"
    index = json.loads(path.read_text()) | {"_class_name": cls} | options
    path.write_text(json.dumps({name: value for name, value in index.items() if value is not ...}))


def reference(cls, folder, **more):
    """A pipeline class of diffusers over the same folder. more: parts that lie elsewhere."""
    import diffusers

    made = getattr(diffusers, cls).from_pretrained(folder, dtype=torch.float32, **more)
    made.set_progress_bar_config(disable=True)
    return made


def save_xl(folder, cls="StableDiffusionXLPipeline", scheduler="EulerDiscreteScheduler", seed=0, refiner=False, **unet):
    """SDXL: two text encoders, 32 and 24 wide, the second pooled to 20. refiner: the second alone, and scores."""
    import diffusers
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    if refiner:
        unet = {"cross_attention_dim": 24, "projection_class_embeddings_input_dim": 5 * 8 + 20} | unet
    second = CLIPTextConfig(**tiny.TEXT | {"hidden_size": 24, "projection_dim": 20})
    codec = tiny.widen(diffusers.AutoencoderKL(
        block_out_channels=(8, 16), latent_channels=4, norm_num_groups=4, sample_size=32, layers_per_block=1, scaling_factor=0.13025,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2, force_upcast=False,
    ), seed + 1)  # fmt: skip
    made = diffusers.StableDiffusionXLPipeline(
        vae=codec, unet=tiny.widen(diffusers.UNet2DConditionModel(**XL_UNET | unet), seed), scheduler=getattr(diffusers, scheduler)(**SCHEDULE),
        text_encoder=tiny.widen(CLIPTextModel(CLIPTextConfig(**tiny.TEXT)), seed + 2), tokenizer=tiny.tokenizer(),
        text_encoder_2=tiny.widen(CLIPTextModelWithProjection(second), seed + 3), tokenizer_2=tiny.tokenizer(),
    )  # fmt: skip
    made.save_pretrained(folder)
    if refiner:
        _name(folder, "StableDiffusionXLImg2ImgPipeline", requires_aesthetics_score=True, force_zeros_for_empty_prompt=False,
              text_encoder=[None, None], tokenizer=[None, None])  # fmt: skip
    else:
        _name(folder, cls)
    return str(folder)


def save_control(folder, model, seed=5, **changes):
    """A ControlNetModel for a pipeline's UNet; its hint shrinks by two, as latents of these models do."""
    import diffusers

    unet = diffusers.UNet2DConditionModel.from_pretrained(model, subfolder="unet")
    net = diffusers.ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 16), load_weights_from_unet=False)
    net.register_to_config(**changes)
    tiny.widen(net, seed).save_pretrained(folder)
    return str(folder)


def save_lora(path, model, layout="diffusers", rank=4, seed=9, text=True, scale=1.0, alpha=3.0):
    """A LoRA for every attention of a pipeline's UNet and text encoders, in one of the layouts people share.

    layout: "diffusers" (peft's keys under `unet.`), "kohya", or "peft" (as peft itself saves one, for the UNet alone).
    """
    from safetensors.torch import save_file

    pipeline = reference(json.loads((_index(model)).read_text())["_class_name"], model)
    generator = torch.Generator().manual_seed(seed)
    members = {"unet": (pipeline.unet, ("to_q", "to_k", "to_v", "to_out.0"))}
    if text and layout != "peft":
        ends = ("q_proj", "v_proj", "out_proj")
        members |= {name: (module, ends) for name in ("text_encoder", "text_encoder_2") if (module := getattr(pipeline, name, None)) is not None}
    state = {}
    for part, (module, ends) in members.items():
        for name, layer in module.named_modules():
            if not name.endswith(ends) or not hasattr(layer, "weight"):
                continue
            down = torch.randn(rank, layer.weight.shape[1], generator=generator) * scale / layer.weight.shape[1] ** 0.5
            up = torch.randn(layer.weight.shape[0], rank, generator=generator) * 0.5
            state |= _written(layout, part, name, down, up, alpha, len(members) > 2)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, path)
    if layout == "peft":
        config = {"peft_type": "LORA", "r": rank, "lora_alpha": alpha, "target_modules": ["to_q", "to_k", "to_v", "to_out.0"]}
        (path.parent / "adapter_config.json").write_text(json.dumps(config))
    return str(path)


def _index(model):
    from pathlib import Path

    return Path(model) / "model_index.json"


def _written(layout, part, name, down, up, alpha, two):
    if layout == "kohya":
        start = {"unet": "lora_unet", "text_encoder": "lora_te1" if two else "lora_te", "text_encoder_2": "lora_te2"}[part]
        # Older transformers had one level more, and that is how these files are written.
        inner = name if part == "unet" or name.startswith("text_model") else f"text_model.{name}"
        key = f"{start}_{inner.replace('.', '_')}"
        return {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up, f"{key}.alpha": torch.tensor(alpha)}
    start = f"{part}." if layout == "diffusers" else "base_model.model."
    return {f"{start}{name}.lora_A.weight": down, f"{start}{name}.lora_B.weight": up}

"""Tiny random models of the libraries' own classes, saved as their own `save_pretrained` does.

Weights are drawn wide: with the libraries' small starting weights a wiring error changes next to nothing.
"""

import math

import torch

LENGTH = 16
TEXT = {"vocab_size": 514, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
            "max_position_embeddings": LENGTH, "bos_token_id": 512, "eos_token_id": 513, "pad_token_id": 513}  # fmt: skip


def widen(module, seed=0):
    """Random weights of unit gain, and norms and biases that are neither one nor zero; in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(module.named_parameters()):
        with torch.no_grad():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim > 1 and "embedding" in name:
                parameter.copy_(noise * 0.5)
            elif parameter.ndim > 1:
                parameter.copy_(noise * 1.2 / math.sqrt(parameter[0].numel()))
            elif parameter.ndim == 1:
                drawn = (parameter != parameter[0]).any()  # by the library, at random; else a norm's ones or a bias's zeros
                parameter.copy_(noise * 0.2 + (0 if drawn else parameter))
    return module.eval()


def tokenizer():
    """Bytes as tokens, no merges."""
    from tokenizers import pre_tokenizers
    from transformers import CLIPTokenizer

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={name: i for i, name in enumerate(names)}, merges=[], model_max_length=LENGTH)


def save_clip(folder, seed=0, **changes):
    """A CLIPModel folder with tokenizer and image processor."""
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

    vision = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 24, "patch_size": 8}
    config = CLIPConfig(text_config=TEXT, vision_config=vision, projection_dim=changes.pop("projection_dim", 24))
    widen(CLIPModel(config), seed).save_pretrained(folder, **changes)
    tokenizer().save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24}).save_pretrained(folder)
    return folder


def save_stable_diffusion(folder, schedule=None, scheduler="DDIMScheduler", vae=None, unet=None, seed=0):
    """A StableDiffusionPipeline folder: 32×32 pictures, latents 4×16×16."""
    import diffusers
    from transformers import CLIPTextConfig, CLIPTextModel

    settings = {
        "sample_size": 16, "in_channels": 4, "out_channels": 4, "layers_per_block": 1, "block_out_channels": (16, 32), "cross_attention_dim": 32,
        "attention_head_dim": 4, "norm_num_groups": 8, "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    }  # fmt: skip
    denoiser = widen(diffusers.UNet2DConditionModel(**settings | (unet or {})), seed)
    codec = widen(diffusers.AutoencoderKL(
        block_out_channels=(8, 16), latent_channels=4, norm_num_groups=4, sample_size=32, layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2, **(vae or {}),
    ), seed + 1)  # fmt: skip
    made = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}
    cls = getattr(diffusers, scheduler)
    known = {name: value for name, value in (made | (schedule or {})).items() if name in cls().config}
    pipeline = diffusers.StableDiffusionPipeline(
        vae=codec, text_encoder=widen(CLIPTextModel(CLIPTextConfig(**TEXT)), seed + 2), tokenizer=tokenizer(), unet=denoiser,
        scheduler=cls(**known), safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.save_pretrained(folder)
    return folder


def pipeline(folder):
    """The reference, read back from the same folder."""
    from diffusers import StableDiffusionPipeline

    made = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
    made.set_progress_bar_config(disable=True)
    return made


def peek(name, inputs, runtime, *edges):
    """Values on edges, named "node.output", of a saved graph run in a runtime of one's own."""
    import flowmm

    run, _ = flowmm.load(name).prepare(inputs, only=list(edges), runtime=runtime)
    found = run.execute()
    return [found[edge] for edge in edges]

"""Tiny random halves of Kandinsky 2.2: prior and decoder in folders of their own, as published, or both in one."""

import tiny
import torch

WIDTH = 32  # of embeddings
VISION = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 24, "patch_size": 8,
    "projection_dim": WIDTH,
}  # fmt: skip


def prior(seed=0):
    """The components of a KandinskyV22PriorPipeline."""
    import diffusers
    from transformers import CLIPImageProcessorPil, CLIPTextConfig, CLIPTextModelWithProjection, CLIPVisionConfig, CLIPVisionModelWithProjection

    network = diffusers.PriorTransformer(
        num_attention_heads=2, attention_head_dim=16, num_layers=2, embedding_dim=WIDTH, num_embeddings=tiny.LENGTH, additional_embeddings=4,
    )  # fmt: skip
    return {
        "prior": tiny.widen(network, seed),
        "image_encoder": tiny.widen(CLIPVisionModelWithProjection(CLIPVisionConfig(**VISION)), seed + 1),
        "text_encoder": tiny.widen(CLIPTextModelWithProjection(CLIPTextConfig(**tiny.TEXT, projection_dim=WIDTH)), seed + 2),
        "tokenizer": tiny.tokenizer(),
        "scheduler": diffusers.UnCLIPScheduler(prediction_type="sample", clip_sample=True, clip_sample_range=5.0),
        "image_processor": CLIPImageProcessorPil(size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24}),
    }


def decoder(seed=0, width=WIDTH, schedule=None):
    """The components of a KandinskyV22Pipeline: 32×32 pictures, latents 4×16×16."""
    import diffusers

    network = diffusers.UNet2DConditionModel(
        sample_size=16, in_channels=4, out_channels=8, layers_per_block=1, block_out_channels=(32, 64), norm_num_groups=8, attention_head_dim=8,
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"), mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"), resnet_time_scale_shift="scale_shift", cross_attention_dim=32,
        encoder_hid_dim=width, encoder_hid_dim_type="image_proj", addition_embed_type="image",
    )  # fmt: skip
    codec = diffusers.VQModel(
        block_out_channels=(32, 64), down_block_types=("DownEncoderBlock2D", "AttnDownEncoderBlock2D"), latent_channels=4, layers_per_block=1,
        up_block_types=("AttnUpDecoderBlock2D", "UpDecoderBlock2D"), norm_num_groups=8, norm_type="spatial", num_vq_embeddings=12, vq_embed_dim=4,
    )  # fmt: skip
    tiny.widen(codec, seed + 4).decoder.conv_out.weight.data *= 0.1  # so that pixels are not all black or white
    made = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "linear", "clip_sample": False, "variance_type": "learned_range"}
    return {"unet": tiny.widen(network, seed + 3), "movq": codec, "scheduler": diffusers.DDPMScheduler(**made | (schedule or {}))}


def save(folder, seed=0, **changes):
    """Folders "prior" and "decoder" as published, and "both" of the same weights."""
    import diffusers

    imagining, painting = prior(seed), decoder(seed, **changes)
    diffusers.KandinskyV22PriorPipeline(**imagining).save_pretrained(folder / "prior")
    diffusers.KandinskyV22Pipeline(**painting).save_pretrained(folder / "decoder")
    halves = {f"prior_{name}": part for name, part in imagining.items()} | painting
    diffusers.KandinskyV22CombinedPipeline(**halves).save_pretrained(folder / "both")
    return folder


def pipelines(folder, dtype=torch.float32):
    """The references, read back from the same folders."""
    import diffusers

    made = (diffusers.KandinskyV22PriorPipeline.from_pretrained(folder / "prior", dtype=dtype),
            diffusers.KandinskyV22Pipeline.from_pretrained(folder / "decoder", dtype=dtype))  # fmt: skip
    for one in made:
        one.set_progress_bar_config(disable=True)
    return made

"""Tiny random DiTPipelines, in the layout of the published ones: 1000 classes, eight channels out, their names in model_index.json."""

import json

import tiny
import torch

LABELS = {0: "tench, Tinca tinca", 2: "great white shark, white shark, man-eater", 134: "crane", 207: "golden retriever", 517: "crane", 999: "toilet tissue"}
SCHEDULE = {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear", "clip_sample": False}
# Latents of the two published sizes, 32 and 64 wide, in patches of 2, an eighth as wide each.
SIZES = {"256": 4, "512": 8}


def save(folder, size="256", scheduler="DDIMScheduler", labels=LABELS, seed=0, **changes):
    """A DiTPipeline folder: latents 4×4×4 or 4×8×8, pictures twice as wide."""
    import diffusers

    made = {
        "num_attention_heads": 2, "attention_head_dim": 16, "in_channels": 4, "out_channels": 8, "num_layers": 2, "sample_size": SIZES[size],
        "patch_size": 2, "num_embeds_ada_norm": 1000, "norm_num_groups": 4,
    }  # fmt: skip
    denoiser = tiny.widen(diffusers.DiTTransformer2DModel(**made | changes), seed)
    codec = tiny.widen(diffusers.AutoencoderKL(
        block_out_channels=(8, 16), latent_channels=4, norm_num_groups=4, sample_size=2 * SIZES[size], layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    ), seed + 1)  # fmt: skip
    schedule = getattr(diffusers, scheduler)(**SCHEDULE)
    diffusers.DiTPipeline(transformer=denoiser, vae=codec, scheduler=schedule).save_pretrained(folder)
    index = json.loads((folder / "model_index.json").read_text())
    if labels:
        index["id2label"] = {str(number): name for number, name in labels.items()}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def publish(folder):
    """The folder as the published repositories are: the network under its old name, with settings that are no longer known."""
    index = json.loads((folder / "model_index.json").read_text())
    index["transformer"] = ["diffusers", "Transformer2DModel"]
    (folder / "model_index.json").write_text(json.dumps(index))
    config = json.loads((folder / "transformer" / "config.json").read_text())
    config |= {"_class_name": "Transformer2DModel", "cross_attention_dim": None, "num_vector_embeds": None, "use_linear_projection": False}
    (folder / "transformer" / "config.json").write_text(json.dumps(config))
    return folder


def pipeline(folder, dtype=torch.float32):
    """The reference, read back from the same folder."""
    from diffusers import DiTPipeline

    made = DiTPipeline.from_pretrained(folder, dtype=dtype)
    made.set_progress_bar_config(disable=True)
    return made

"""Running a saved graph and its reference pipeline on the same pictures, prompts and seeds."""

import numpy as np
import PIL.Image
import tiny
import torch

PROMPT = "a red circle"


def photo(width=32, height=32, seed=0, mode="RGB"):
    """A picture with structure at every scale."""
    generator = np.random.default_rng(seed)
    shape = (height, width) if mode == "L" else (height, width, 3)
    return PIL.Image.fromarray(generator.integers(0, 256, shape, dtype="uint8"), mode)


def hole(width=32, height=32):
    """A mask that covers the middle, off centre, with a grey rim on both sides of half."""
    mask = np.zeros((height, width), dtype="uint8")
    mask[height // 4 : -height // 8, width // 3 :] = 255
    mask[height // 4, :] = 140
    mask[-1, :] = 100
    return PIL.Image.fromarray(mask)


def latents(name, folder, runtime, edge="paint.latent", **inputs):
    """Latents and pictures [B, H, W, 3] of a saved graph."""
    given = {"prompt": PROMPT, "seed": 7, "steps": 4, "guidance": 3.0, "model": str(folder)} | inputs
    latent, image = tiny.peek(name, given, runtime, edge, "pixels.image")
    return latent.values, image.pixels.transpose(0, 2, 3, 1)


def refer(pipeline, prompts=PROMPT, *, seed=7, steps=4, guidance=3.0, count=1, output="latent", **given):
    """What the library does with one generator a picture."""
    pictures = count * (1 if isinstance(prompts, str) else len(prompts))
    generators = [torch.Generator().manual_seed(seed + i) for i in range(pictures)]
    made = pipeline(prompts, num_inference_steps=steps, guidance_scale=guidance, num_images_per_prompt=count, generator=generators,
                    output_type=output, **given)  # fmt: skip
    return made.images


def with_scheduler(pipeline, name):
    """The pipeline, which then has the named scheduler."""
    import diffusers

    from flowmm.nodes.diffusion.schedules import understood

    if name:
        cls, changes = understood(name)
        pipeline.scheduler = getattr(diffusers, cls).from_config(pipeline.scheduler.config, **changes)
    return pipeline


def far(a, b):
    """The largest difference as a part of the largest value."""
    return float((a.float() - b.float()).abs().max() / b.float().abs().max())

"""The graph class-to-image equals diffusers' DiTPipeline: latents to the last bit, pixels within the rounding of one division."""

import inspect

import numpy as np
import pytest
import tiny
import tiny_dit
import torch

from flowmm.nodes import diffusion, dit
from flowmm.nodes.diffusion.schedules import SCHEDULERS
from flowmm.sockets import Seed, Text

LABELS = ["golden retriever", "white shark", "999"]
IDS = [207, 2, 999]
# The pipeline multiplies latents by 1 / 0.18215, we divide by 0.18215 as the other pipelines do: measured 5e-7.
PIXELS = 5e-6
SCALING = ("euler", "euler_ancestral", "heun", "dpm2", "dpm2_ancestral")


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    return {size: tiny_dit.save(tmp_path_factory.mktemp(size), size) for size in tiny_dit.SIZES}


def paint(folder, runtime, label="golden retriever", **settings):
    """What the saved graph makes: latents and pixels [B, H, W, 3]."""
    inputs = {"label": label, "seed": 7, "steps": 4, "guidance": 3.0, "model": str(folder)} | settings
    latent, image = tiny.peek("class-to-image", inputs, runtime, "paint.latent", "pixels.image")
    return latent.values, image.pixels.transpose(0, 2, 3, 1)


def refer(pipeline, classes, *, seed=7, steps=4, guidance=3.0, scheduler=None):
    """What the library does with one generator a picture; its schedulers draw the noise of a step from the same ones."""
    import diffusers

    own = pipeline.scheduler
    generators = [torch.Generator().manual_seed(seed + i) for i in range(len(classes))]
    # The pipeline steps both halves of its batch and throws the second away; what that one draws does not matter.
    thrown = [torch.Generator().manual_seed(0) for _ in classes] if guidance > 1 else []
    kept = []
    if scheduler:
        cls, changes = SCHEDULERS[scheduler]
        pipeline.scheduler = getattr(diffusers, cls).from_config(own.config, **changes)
    step = pipeline.scheduler.step

    def told(*args, **kwargs):
        drawn = {"generator": generators + thrown} if "generator" in inspect.signature(step).parameters else {}
        kept.append(step(*args, **kwargs, **drawn))
        return kept[-1]

    pipeline.scheduler.step = told
    try:
        images = pipeline(classes, guidance_scale=guidance, generator=generators, num_inference_steps=steps, output_type="np").images
    finally:
        del pipeline.scheduler.step
        pipeline.scheduler = own
    return kept[-1].prev_sample[: len(classes)], images


def by_hand(pipeline, classes, null, *, seed=7, steps=4, guidance=3.0, scheduler=None):
    """Network and scheduler called one after the other, as diffusers' own guides do."""
    import diffusers

    cls, changes = SCHEDULERS[scheduler or "ddim"]
    stepper = getattr(diffusers, cls).from_config(pipeline.scheduler.config, **changes)
    stepper.set_timesteps(steps)
    generators = [torch.Generator().manual_seed(seed + i) for i in range(len(classes))]
    drawn = {"generator": generators} if "generator" in inspect.signature(stepper.step).parameters else {}
    size = pipeline.transformer.config.sample_size
    latents = torch.cat([torch.randn(1, 4, size, size, generator=one) for one in generators]) * stepper.init_noise_sigma
    both = torch.tensor([*classes, *[null] * len(classes)])
    with torch.no_grad():
        for timestep in stepper.timesteps:
            noisy = stepper.scale_model_input(torch.cat([latents] * 2), timestep)
            made = pipeline.transformer(noisy, timestep=timestep.reshape(1).expand(len(both)), class_labels=both).sample[:, :4]
            told, untold = made.chunk(2)
            latents = stepper.step(untold + guidance * (told - untold), timestep, latents, **drawn).prev_sample
    return latents


@pytest.fixture(scope="session")
def pipelines(folders):
    return {size: tiny_dit.pipeline(folder) for size, folder in folders.items()}


@pytest.mark.parametrize("size", tiny_dit.SIZES)
@pytest.mark.parametrize("guidance", [1.0, 4.0])
@pytest.mark.parametrize("count", [1, 3])
def test_latents_and_pixels_are_those_of_the_pipeline(folders, pipelines, runtime, size, guidance, count):
    latents, pixels = paint(folders[size], runtime, LABELS[:count], guidance=guidance)
    expected, pictures = refer(pipelines[size], IDS[:count], guidance=guidance)
    assert torch.equal(latents, expected) and latents.shape == (count, 4, tiny_dit.SIZES[size], tiny_dit.SIZES[size])
    assert np.abs(pixels - pictures).max() <= PIXELS and pixels.std() > 0.05


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_every_scheduler_is_the_librarys(folders, pipelines, runtime, scheduler):
    """Those that scale the network's input come out wrong in DiTPipeline, which goes on from the scaled latents."""
    latents, _ = paint(folders["256"], runtime, LABELS, steps=5, scheduler=scheduler)
    assert torch.equal(latents, by_hand(pipelines["256"], IDS, 1000, steps=5, scheduler=scheduler))
    pipelines_own, _ = refer(pipelines["256"], IDS, steps=5, scheduler=scheduler)
    assert torch.equal(latents, pipelines_own) == (scheduler not in SCALING)


def test_several_pictures_a_class_are_the_class_several_times(folders, pipelines, runtime):
    latents, _ = paint(folders["256"], runtime, LABELS[:2], count=2)
    assert torch.equal(latents, refer(pipelines["256"], [207, 207, 2, 2])[0])


def test_in_bfloat16_too(folders, half):
    latents, pixels = paint(folders["512"], half, LABELS)
    pipeline = tiny_dit.pipeline(folders["512"], torch.bfloat16)
    expected, pictures = refer(pipeline, IDS)
    assert latents.dtype == torch.bfloat16 and torch.equal(latents, expected)
    # Rounded to bfloat16 the division hardly ever differs from the product; where it does, a few pixels would.
    assert np.abs(pixels - pictures).mean() < 1e-3 < pixels.std()


def test_a_picture_alone_is_the_one_in_company_within_rounding(folders, runtime):
    """Batched arithmetic rounds differently; the bound is that of the other denoisers."""
    together, _ = paint(folders["256"], runtime, LABELS)
    for i, label in enumerate(LABELS):
        alone, _ = paint(folders["256"], runtime, label, seed=7 + i)
        assert (together[i] - alone[0]).abs().max() <= 1e-5 * together.abs().max()


def test_another_class_seed_or_negative_changes_the_picture(folders, runtime):
    base, _ = paint(folders["256"], runtime)
    largest = base.abs().max()
    for change in ({"label": "tench"}, {"seed": 8}, {"negative": "tench"}, {"guidance": 1.0}):
        other, _ = paint(folders["256"], runtime, **{"label": "golden retriever"} | change)
        assert (base - other).abs().max() > 0.01 * largest, change


def test_a_folder_as_published_opens_and_paints_the_same(folders, runtime, tmp_path):
    import shutil

    folder = tiny_dit.publish(shutil.copytree(folders["256"], tmp_path / "model"))
    assert torch.equal(paint(folder, runtime)[0], paint(folders["256"], runtime)[0])


def test_a_live_pipeline_paints_by_number(folders, pipelines, runtime):
    inputs = {"label": "207", "seed": 7, "steps": 4, "guidance": 3.0, "model": pipelines["256"]}
    (latent,) = tiny.peek("class-to-image", inputs, runtime, "paint.latent")
    assert torch.equal(latent.values, refer(pipelines["256"], [207])[0])


def test_what_is_left_out_is_the_pipelines_default(folders):
    from diffusers import DiTPipeline

    defaults = inspect.signature(DiTPipeline.__call__).parameters
    settings = dict(dit.load(str(folders["512"])).denoiser.settings)
    assert settings["steps"] == defaults["num_inference_steps"].default and settings["guidance"] == defaults["guidance_scale"].default
    assert (settings["height"], settings["width"]) == (16, 16)


def test_the_null_class_is_the_one_after_the_last_whatever_their_number(tmp_path):
    """The pipeline says 1000; a model of ten classes has it at 10. Compared with the network called by hand."""
    parts = dit.load(str(tiny_dit.save(tmp_path, labels=None, num_embeds_ada_norm=10)))
    wanted, avoided = (dit.encode_class(parts.classes, Text((label,))) for label in ("3", ""))
    assert (wanted.hidden.tolist(), avoided.hidden.tolist()) == ([[3]], [[10]])
    latent = diffusion.sample(parts.denoiser, parts.schedule, wanted, avoided, seed=Seed(7), steps=3, guidance=3.0)
    assert torch.equal(latent.values, by_hand(tiny_dit.pipeline(tmp_path), [3], 10, steps=3))

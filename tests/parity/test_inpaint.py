"""The graph inpaint equals diffusers' StableDiffusionInpaintPipeline with 4 and with 9 channels: to the last bit in float32."""

import numpy as np
import pytest
import tiny_sd
import torch
from sd_runs import PROMPT, far, hole, latents, photo, refer, with_scheduler

import flowmm

REFERENCE = "StableDiffusionInpaintPipeline"
ROUNDING = 1e-5  # of batched arithmetic; measured 1e-6 of the largest value
CHANNELS = {4: {}, 9: {"unet": tiny_sd.INPAINT}}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The 4-channel model is an ordinary one: the graph and the pipeline make do with it."""
    names = {4: "StableDiffusionPipeline", 9: REFERENCE}
    return {channels: tiny_sd.save(tmp_path_factory.mktemp(f"sd{channels}"), names[channels], **changes) for channels, changes in CHANNELS.items()}


@pytest.fixture
def pipeline(folders):
    return {channels: tiny_sd.reference(REFERENCE, folder) for channels, folder in folders.items()}


def paint(folder, runtime, **inputs):
    return latents("inpaint", folder, runtime, **{"image": photo(), "mask": hole()} | inputs)


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("scheduler", [None, "euler_ancestral", "dpmpp_2m", "heun"])
@pytest.mark.parametrize("strength", [0.5, 1.0])
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_latents_and_pixels_are_the_pipelines(folders, pipeline, runtime, channels, scheduler, strength, guidance):
    latent, image = paint(folders[channels], runtime, strength=strength, scheduler=scheduler, guidance=guidance)
    given = {"image": photo(), "mask_image": hole(), "height": 32, "width": 32, "strength": strength, "guidance": guidance}
    reference = with_scheduler(pipeline[channels], scheduler)
    assert torch.equal(latent, refer(reference, **given))
    assert np.array_equal(image, refer(reference, output="np", **given))


@pytest.mark.parametrize("channels", CHANNELS)
def test_another_size_is_the_pipelines(folders, pipeline, runtime, channels):
    latent, _ = paint(folders[channels], runtime, image=photo(50, 41), mask=hole(40, 60), width=48, height=24)
    given = {"image": photo(50, 41), "mask_image": hole(40, 60), "height": 24, "width": 48, "strength": 1.0}
    assert torch.equal(latent, refer(pipeline[channels], **given))


@pytest.mark.parametrize("channels", CHANNELS)
def test_prompts_and_pictures_in_pairs_are_the_pipelines(folders, pipeline, runtime, channels):
    prompts, pictures = ["a red circle", "a blue square"], [photo(seed=1), photo(seed=2)]
    latent, _ = paint(folders[channels], runtime, image=pictures, prompt=prompts, strength=0.7, scheduler="euler_ancestral")
    reference = with_scheduler(pipeline[channels], "euler_ancestral")
    expected = refer(reference, prompts, image=pictures, mask_image=hole(), height=32, width=32, strength=0.7)
    assert torch.equal(latent, expected)


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("scheduler", [None, "euler_ancestral"])
def test_three_seeds_at_once_are_three_single_runs(folders, runtime, channels, scheduler):
    together, _ = paint(folders[channels], runtime, count=3, strength=0.8, scheduler=scheduler)
    for i in range(3):
        alone, _ = paint(folders[channels], runtime, seed=7 + i, strength=0.8, scheduler=scheduler)
        assert far(together[i : i + 1], alone) <= ROUNDING


@pytest.mark.parametrize("channels", CHANNELS)
def test_prompt_picture_and_mask_change_the_result(folders, runtime, channels):
    base, _ = paint(folders[channels], runtime)
    for change in ({"prompt": "two blue squares"}, {"image": photo(seed=3)}, {"mask": photo(mode="L")}, {"seed": 8}):
        assert far(paint(folders[channels], runtime, **change)[0], base) > 1e-3, change


@pytest.mark.parametrize("channels", CHANNELS)
def test_bfloat16_is_the_pipeline_in_bfloat16(folders, pipeline, channels):
    runtime = flowmm.Runtime("cpu", cache=None, threads=1, dtype="bfloat16")
    try:
        latent, _ = paint(folders[channels], runtime, strength=0.8)
    finally:
        runtime.close()
    given = {"image": photo(), "mask_image": hole(), "height": 32, "width": 32, "strength": 0.8}
    assert torch.equal(latent, refer(pipeline[channels].to(torch.bfloat16), PROMPT, **given))


@pytest.mark.parametrize("channels", CHANNELS)
def test_outside_the_mask_every_pixel_stays_as_it_was(folders, runtime, channels):
    given, mask = photo(51, 37), hole(51, 37)
    inputs = {"prompt": PROMPT, "seed": 7, "steps": 2, "guidance": 2.0, "image": given, "mask": mask, "fit": False, "model": folders[channels]}
    made = flowmm.load("inpaint").run(inputs, runtime=runtime).image
    kept, covered = np.asarray(mask) == 0, np.asarray(mask) == 255
    before, after = np.asarray(given), made.uint8()[0]
    assert after.shape == before.shape and np.array_equal(after[kept], before[kept])
    assert (after[covered] != before[covered]).mean() > 0.9

"""The graph edit equals diffusers' StableDiffusionInstructPix2PixPipeline: three-way guidance, to the last bit in float32."""

import numpy as np
import pytest
import tiny_sd
import torch
from sd_runs import far, latents, photo, refer, with_scheduler

import flowmm

REFERENCE = "StableDiffusionInstructPix2PixPipeline"
ROUNDING = 1e-5  # of batched arithmetic; measured 1e-6 of the largest value


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_sd.save(tmp_path_factory.mktemp("edit"), REFERENCE, unet=tiny_sd.EDIT)


@pytest.fixture
def pipeline(folder):
    return tiny_sd.reference(REFERENCE, folder)


@pytest.mark.parametrize("scheduler", [None, "euler_ancestral", "dpmpp_2m_karras"])
@pytest.mark.parametrize("guidance, image_guidance", [(1.0, 1.5), (5.0, 1.0), (7.5, 1.8)])
def test_latents_and_pixels_are_the_pipelines(folder, pipeline, runtime, scheduler, guidance, image_guidance):
    given = {"image": photo(35, 32), "guidance": guidance}
    latent, image = latents("edit", folder, runtime, scheduler=scheduler, image_guidance=image_guidance, fit=False, **given)
    reference = with_scheduler(pipeline, scheduler)
    assert torch.equal(latent, refer(reference, image_guidance_scale=image_guidance, **given))
    assert np.array_equal(image, refer(reference, image_guidance_scale=image_guidance, output="np", **given))


def test_what_is_left_out_is_the_pipelines_default(folder):
    from flowmm.nodes import diffusion

    settings = dict(diffusion.load(folder).denoiser.settings)
    assert (settings["steps"], settings["guidance"], settings["image_guidance"]) == (100, 7.5, 1.5)


def test_a_negative_prompt_and_instructions_at_once_are_the_pipelines(folder, pipeline, runtime):
    prompts = ["make it blue", "make it a star"]
    latent, _ = latents("edit", folder, runtime, image=photo(), prompt=prompts, negative="dull", guidance=5.0, image_guidance=1.5)
    expected = refer(pipeline, prompts, image=photo(), negative_prompt=["dull"] * 2, guidance=5.0, image_guidance_scale=1.5)
    assert torch.equal(latent, expected)


def test_three_seeds_at_once_are_three_single_runs(folder, runtime):
    together, _ = latents("edit", folder, runtime, image=photo(), count=3, scheduler="euler_ancestral")
    for i in range(3):
        alone, _ = latents("edit", folder, runtime, image=photo(), seed=7 + i, scheduler="euler_ancestral")
        assert far(together[i : i + 1], alone) <= ROUNDING


def test_instruction_picture_and_both_guidances_change_the_result(folder, runtime):
    base, _ = latents("edit", folder, runtime, image=photo())
    for change in ({"prompt": "make it blue"}, {"image": photo(seed=3)}, {"image_guidance": 3.0}, {"guidance": 6.0}, {"negative": "dull"}):
        assert far(latents("edit", folder, runtime, **{"image": photo()} | change)[0], base) > 1e-3, change


def test_bfloat16_is_the_pipeline_in_bfloat16(folder, pipeline):
    runtime = flowmm.Runtime("cpu", cache=None, threads=1, dtype="bfloat16")
    try:
        latent, _ = latents("edit", folder, runtime, image=photo(), image_guidance=1.5)
    finally:
        runtime.close()
    assert torch.equal(latent, refer(pipeline.to(torch.bfloat16), image=photo(), image_guidance_scale=1.5))

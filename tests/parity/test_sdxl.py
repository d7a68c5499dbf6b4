"""The saved graphs with SDXL equal its pipelines: two text encoders, pooled text, sizes, a refiner; to the last bit in float32."""

import numpy as np
import pytest
import tiny_sd
import torch
from sd_runs import PROMPT, far, hole, latents, photo, refer, with_scheduler

import flowmm
from flowmm.nodes import diffusion
from flowmm.sockets import Seed, Text

BASE, PICTURE, INPAINT = "StableDiffusionXLPipeline", "StableDiffusionXLImg2ImgPipeline", "StableDiffusionXLInpaintPipeline"
ROUNDING = 1e-5  # of batched arithmetic; measured 1e-6 of the largest value


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_sd.save_xl(tmp_path_factory.mktemp("xl"))


@pytest.fixture(scope="module")
def refiner(tmp_path_factory):
    return tiny_sd.save_xl(tmp_path_factory.mktemp("refiner"), refiner=True)


@pytest.fixture
def pipeline(folder):
    return tiny_sd.reference(BASE, folder)


@pytest.mark.parametrize("scheduler", [None, "euler_ancestral", "dpmpp_2m_karras"])
@pytest.mark.parametrize("guidance", [1.0, 5.0])
def test_text_to_image_is_the_pipeline(folder, pipeline, runtime, scheduler, guidance):
    latent, image = latents("text-to-image", folder, runtime, scheduler=scheduler, guidance=guidance)
    reference = with_scheduler(pipeline, scheduler)
    assert torch.equal(latent, refer(reference, guidance=guidance))
    assert np.array_equal(image, refer(reference, guidance=guidance, output="np"))


def test_an_empty_negative_is_none_and_another_is_read(folder, pipeline, runtime):
    latent, _ = latents("text-to-image", folder, runtime, negative="a blue square")
    assert torch.equal(latent, refer(pipeline, negative_prompt="a blue square"))
    assert not torch.equal(latent, refer(pipeline)) and not torch.equal(refer(pipeline), refer(pipeline, negative_prompt=""))


def test_prompts_at_once_and_another_size_are_the_pipelines(folder, pipeline, runtime):
    prompts = ["a red circle", "two blue squares", ""]
    latent, _ = latents("text-to-image", folder, runtime, prompt=prompts, width=48, height=24)
    assert torch.equal(latent, refer(pipeline, prompts, width=48, height=24))


def test_clip_skip_is_the_pipelines(folder, pipeline):
    parts = diffusion.load(folder)
    wanted = diffusion.encode_prompt(parts.tokenizer, parts.text_encoder, Text((PROMPT,)), clip_skip=1)
    avoided = diffusion.encode_prompt(parts.tokenizer, parts.text_encoder, Text(("dull",)), negative=True)
    made = diffusion.sample(parts.denoiser, parts.schedule, wanted, avoided, seed=Seed(7), steps=4, guidance=3.0)
    assert torch.equal(made.values, refer(pipeline, negative_prompt="dull", clip_skip=1))


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_image_to_image_is_the_pipeline(folder, runtime, strength):
    latent, image = latents("image-to-image", folder, runtime, image=photo(37, 32), strength=strength, fit=False)
    reference = tiny_sd.reference(PICTURE, folder)
    assert torch.equal(latent, refer(reference, image=photo(37, 32), strength=strength))
    assert np.array_equal(image, refer(reference, image=photo(37, 32), strength=strength, output="np"))


@pytest.mark.parametrize("channels", [4, 9])
@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_inpainting_is_the_pipeline(folder, runtime, tmp_path, channels, strength):
    model = folder if channels == 4 else tiny_sd.save_xl(tmp_path, INPAINT, in_channels=9)
    latent, _ = latents("inpaint", model, runtime, image=photo(), mask=hole(), strength=strength)
    reference = tiny_sd.reference(INPAINT, model)
    expected = refer(reference, image=photo(), mask_image=hole(), height=32, width=32, strength=strength)
    assert torch.equal(latent, expected)


def test_a_refiner_goes_on_where_the_base_stopped(folder, refiner, runtime):
    """Base and refiner share the schedule: the base takes the first 8 of 10 steps, the refiner the last 2."""
    base, second = diffusion.load(folder), diffusion.load(refiner)

    def told(parts, text, **how):
        return diffusion.encode_prompt(parts.tokenizer, parts.text_encoder, Text((text,)), **how)

    how = {"seed": Seed(7), "steps": 10, "guidance": 3.0}
    rough = diffusion.sample(base.denoiser, base.schedule, told(base, PROMPT), told(base, "", negative=True), end=8, **how)
    fine = diffusion.sample(second.denoiser, second.schedule, told(second, PROMPT), told(second, "", negative=True), rough, start=8, **how)
    expected = refer(tiny_sd.reference(BASE, folder), steps=10, denoising_end=0.8)
    assert torch.equal(rough.values, expected)
    assert torch.equal(fine.values, refer(tiny_sd.reference(PICTURE, refiner), steps=10, image=expected, denoising_start=0.8))


def test_a_base_that_stops_and_goes_on_is_one_that_did_not_stop(folder):
    parts = diffusion.load(folder)
    words = diffusion.encode_prompt(parts.tokenizer, parts.text_encoder, Text((PROMPT,)))
    how = {"seed": Seed(7), "steps": 6, "guidance": 1.0}
    whole = diffusion.sample(parts.denoiser, parts.schedule, words, **how)
    half = diffusion.sample(parts.denoiser, parts.schedule, words, end=2, **how)
    assert torch.equal(diffusion.sample(parts.denoiser, parts.schedule, words, latent=half, start=2, **how).values, whole.values)


def test_three_seeds_at_once_are_three_single_runs(folder, runtime):
    together, _ = latents("text-to-image", folder, runtime, count=3)
    for i in range(3):
        assert far(together[i : i + 1], latents("text-to-image", folder, runtime, seed=7 + i)[0]) <= ROUNDING


def test_prompt_size_and_seed_change_the_result(folder, runtime):
    base, _ = latents("text-to-image", folder, runtime)
    for change in ({"prompt": "two blue squares"}, {"seed": 8}, {"negative": "dull"}):
        assert far(latents("text-to-image", folder, runtime, **change)[0], base) > 1e-3, change


def test_bfloat16_is_the_pipeline_in_bfloat16(folder, pipeline):
    runtime = flowmm.Runtime("cpu", cache=None, threads=1, dtype="bfloat16")
    try:
        latent, _ = latents("text-to-image", folder, runtime)
    finally:
        runtime.close()
    assert torch.equal(latent, refer(pipeline.to(torch.bfloat16)))

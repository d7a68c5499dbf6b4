"""The graph image-to-image equals diffusers' StableDiffusionImg2ImgPipeline: to the last bit in float32."""

import numpy as np
import pytest
import tiny_sd
import torch
from sd_runs import PROMPT, far, latents, photo, refer, with_scheduler

import flowmm

REFERENCE = "StableDiffusionImg2ImgPipeline"
# Batched arithmetic rounds differently: measured 1e-6 of the largest value.
ROUNDING = 1e-5
# bfloat16 keeps 8 bits; graph and pipeline do the same operations in it.
HALF = 0.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_sd.save(tmp_path_factory.mktemp("sd"))


@pytest.fixture
def pipeline(folder):
    return tiny_sd.reference(REFERENCE, folder)


@pytest.mark.parametrize("scheduler", [None, "euler_ancestral", "dpmpp_2m_karras", "pndm", "heun", "unipc"])
@pytest.mark.parametrize("strength", [0.3, 0.8, 1.0])
def test_latents_and_pixels_are_the_pipelines(folder, pipeline, runtime, scheduler, strength):
    latent, image = latents("image-to-image", folder, runtime, image=photo(), strength=strength, scheduler=scheduler, steps=5)
    with_scheduler(pipeline, scheduler)
    assert torch.equal(latent, refer(pipeline, image=photo(), strength=strength, steps=5))
    assert np.array_equal(image, refer(pipeline, image=photo(), strength=strength, steps=5, output="np"))
    assert latent.isfinite().all()


@pytest.mark.parametrize("size", [(33, 47), (64, 20), (7, 5)])
def test_a_picture_of_any_size_is_resized_as_the_pipeline_does(folder, pipeline, runtime, size):
    given = photo(*size)
    latent, image = latents("image-to-image", folder, runtime, image=given, fit=False, guidance=1.0)
    assert torch.equal(latent, refer(pipeline, image=given, guidance=1.0))
    assert image.shape[1:3] == (size[1] // 2 * 2, size[0] // 2 * 2)


def test_a_larger_picture_is_scaled_to_the_area_the_model_knows(folder, pipeline, runtime):
    latent, image = latents("image-to-image", folder, runtime, image=photo(64, 128), guidance=1.0)
    assert image.shape == (1, 44, 22, 3)  # 1024 pixels in proportion 1 : 2, down to multiples of 2
    assert torch.equal(latent, refer(pipeline, image=photo(64, 128).resize((22, 44), 1), guidance=1.0))


def test_pictures_and_prompts_go_in_pairs(folder, pipeline, runtime):
    prompts, pictures = ["a red circle", "a blue square"], [photo(seed=1), photo(seed=2)]
    latent, _ = latents("image-to-image", folder, runtime, image=pictures, prompt=prompts)
    assert torch.equal(latent, refer(pipeline, prompts, image=pictures))


def test_one_picture_serves_many_prompts_and_one_prompt_many_pictures(folder, pipeline, runtime):
    prompts = ["a red circle", "a blue square"]
    latent, _ = latents("image-to-image", folder, runtime, image=photo(), prompt=prompts, count=2)
    assert torch.equal(latent, refer(pipeline, prompts, image=[photo()] * 4, count=2))
    latent, _ = latents("image-to-image", folder, runtime, image=[photo(seed=1), photo(seed=2)])
    assert far(latent[1:], latents("image-to-image", folder, runtime, image=photo(seed=2), seed=8)[0]) <= ROUNDING


@pytest.mark.parametrize("scheduler", [None, "euler_ancestral"])
def test_three_seeds_at_once_are_three_single_runs(folder, runtime, scheduler):
    together, _ = latents("image-to-image", folder, runtime, image=photo(), count=3, scheduler=scheduler)
    for i in range(3):
        alone, _ = latents("image-to-image", folder, runtime, image=photo(), seed=7 + i, scheduler=scheduler)
        assert far(together[i : i + 1], alone) <= ROUNDING
    assert far(together[:1], together[1:2]) > 0.01


def test_prompt_picture_strength_and_seed_change_the_result(folder, runtime):
    base, _ = latents("image-to-image", folder, runtime, image=photo())
    for change in ({"prompt": "two blue squares"}, {"image": photo(seed=3)}, {"strength": 0.5}, {"seed": 8}, {"negative": "dull"}):
        other, _ = latents("image-to-image", folder, runtime, **{"image": photo()} | change)
        assert far(other, base) > 1e-3, change


def test_bfloat16_is_the_pipeline_in_bfloat16(folder, pipeline):
    runtime = flowmm.Runtime("cpu", cache=None, threads=1, dtype="bfloat16")
    try:
        latent, _ = latents("image-to-image", folder, runtime, image=photo())
    finally:
        runtime.close()
    assert far(latent, refer(pipeline.to(torch.bfloat16), PROMPT, image=photo())) <= HALF


@pytest.mark.parametrize("cache", [None, "disk"])
def test_the_picture_is_encoded_once_for_every_seed_and_keeps_its_bits(folder, pipeline, tmp_path, monkeypatch, cache):
    from diffusers import AutoencoderKL

    encode, encoded = AutoencoderKL.encode, []
    monkeypatch.setattr(AutoencoderKL, "encode", lambda self, *args, **kwargs: encoded.append(1) or encode(self, *args, **kwargs))
    found = []
    for seed in (1, 2):
        runtime = flowmm.Runtime("cpu", cache=cache and tmp_path / "cache", threads=1)
        try:
            found.append(latents("image-to-image", folder, runtime, image=photo(seed=5), seed=seed)[0])
            found.append(latents("image-to-image", folder, runtime, image=photo(seed=5), seed=seed + 2)[0])
        finally:
            runtime.close()
    assert len(encoded) <= 2  # once a runtime; the disk keeps what took longer than 10 ms
    for latent, seed in zip(found, (1, 3, 2, 4)):
        assert torch.equal(latent, refer(pipeline, image=photo(seed=5), seed=seed))

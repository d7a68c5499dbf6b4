"""The graph style-transfer: image to image, a ControlNet and a LoRA at once equal the pipeline that has all three."""

import numpy as np
import pytest
import tiny_sd
import torch
from sd_runs import far, latents, photo, refer, with_scheduler

import flowmm
from flowmm.nodes import hint
from flowmm.sockets import Image

REFERENCE = "StableDiffusionControlNetImg2ImgPipeline"
ROUNDING = 1e-5  # of batched arithmetic; measured 1e-6 of the largest value


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_sd.save(tmp_path_factory.mktemp("sd"))


@pytest.fixture(scope="module")
def given(folder, tmp_path_factory):
    """What the graph is given beside its model: a net and LoRAs in both layouts."""
    there = tmp_path_factory.mktemp("parts")
    return {"control": tiny_sd.save_control(there / "net", folder)} | {
        layout: tiny_sd.save_lora(there / f"{layout}.safetensors", folder, layout) for layout in ("diffusers", "kohya")
    }


def paint(folder, given, runtime, layout="kohya", **inputs):
    told = {"image": photo(), "control": given["control"], "lora": given.get(layout)} | inputs
    return latents("style-transfer", folder, runtime, **told)


def reference(folder, given, layout="kohya", weight=1.0, scheduler=None):
    from diffusers import ControlNetModel

    pipeline = tiny_sd.reference(REFERENCE, folder, controlnet=ControlNetModel.from_pretrained(given["control"]))
    if layout:
        pipeline.load_lora_weights(given[layout], adapter_name="style")
        pipeline.set_adapters("style", weight)
    return with_scheduler(pipeline, scheduler)


def told(picture=None):
    picture = picture or photo()
    return {"image": picture, "control_image": hint.outline(Image.accept(picture)).to_pil()}


@pytest.mark.parametrize("layout", ["diffusers", "kohya", None])
@pytest.mark.parametrize("scheduler", [None, "euler_ancestral"])
def test_latents_and_pixels_are_the_pipelines(folder, given, runtime, layout, scheduler):
    latent, image = paint(folder, given, runtime, layout, strength=0.7, control_strength=0.8, lora_weight=0.6, scheduler=scheduler)
    pipeline = reference(folder, given, layout, 0.6, scheduler)
    settings = {"strength": 0.7, "controlnet_conditioning_scale": 0.8}
    assert torch.equal(latent, refer(pipeline, **told(), **settings))
    assert np.array_equal(image, refer(pipeline, output="np", **told(), **settings))


def test_three_seeds_at_once_are_three_single_runs(folder, given, runtime):
    together, _ = paint(folder, given, runtime, count=3)
    for i in range(3):
        assert far(together[i : i + 1], paint(folder, given, runtime, seed=7 + i)[0]) <= ROUNDING


def test_every_part_changes_the_result(folder, given, runtime):
    base, _ = paint(folder, given, runtime)
    changes = ({"prompt": "two"}, {"image": photo(seed=3)}, {"lora": None}, {"lora_weight": 0.3}, {"control_strength": 0.0}, {"strength": 0.5}, {"seed": 8})
    for change in changes:
        assert far(paint(folder, given, runtime, **change)[0], base) > 1e-3, change


def test_in_a_process_of_its_own_and_from_the_disk_the_bits_are_the_same(folder, given, runtime, tmp_path):
    expected, pixels = paint(folder, given, runtime)
    for _ in range(2):
        separate = flowmm.Runtime("cpu", separate=True, cache=tmp_path / "cache", threads=1)
        try:
            latent, image = paint(folder, given, separate)
        finally:
            separate.close()
        assert torch.equal(latent, expected) and np.array_equal(image, pixels)


def test_bfloat16_is_the_pipeline_in_bfloat16(folder, given):
    runtime = flowmm.Runtime("cpu", cache=None, threads=1, dtype="bfloat16")
    try:
        latent, _ = paint(folder, given, runtime, strength=0.8)
    finally:
        runtime.close()
    pipeline = reference(folder, given).to(torch.bfloat16)
    assert torch.equal(latent, refer(pipeline, strength=0.8, controlnet_conditioning_scale=1.0, **told()))

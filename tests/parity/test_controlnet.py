"""ControlNets, one and several, equal diffusers' ControlNet pipelines: to the last bit in float32."""

import numpy as np
import pytest
import tiny_sd
import torch
from sd_runs import PROMPT, far, latents, photo, refer, with_scheduler

import flowmm
from flowmm.nodes import diffusion, hint
from flowmm.sockets import Image, Seed, Text

TEXT, PICTURE, XL = "StableDiffusionControlNetPipeline", "StableDiffusionControlNetImg2ImgPipeline", "StableDiffusionXLControlNetPipeline"
ROUNDING = 1e-5  # of batched arithmetic; measured 1e-6 of the largest value


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_sd.save(tmp_path_factory.mktemp("sd"))


@pytest.fixture(scope="module")
def nets(folder, tmp_path_factory):
    return [tiny_sd.save_control(tmp_path_factory.mktemp(f"net{seed}"), folder, seed=seed) for seed in (5, 6)]


def control_nets(*folders):
    from diffusers import ControlNetModel

    found = [ControlNetModel.from_pretrained(folder) for folder in folders]
    return found if len(found) > 1 else found[0]


def reference(cls, folder, *nets, scheduler=None):
    return with_scheduler(tiny_sd.reference(cls, folder, controlnet=control_nets(*nets)), scheduler)


def lines(picture):
    """What the graph's outline node draws, as a person would hand it to the pipeline."""
    return hint.outline(Image.accept(picture)).to_pil()


@pytest.mark.parametrize("scheduler", [None, "euler_ancestral"])
@pytest.mark.parametrize("guidance", [1.0, 3.0])
@pytest.mark.parametrize("strength, start, end", [(1.0, 0.0, 1.0), (0.6, 0.25, 0.75)])
def test_latents_and_pixels_are_the_pipelines(folder, nets, runtime, scheduler, guidance, strength, start, end):
    given = {"control_strength": strength, "control_start": start, "control_end": end, "control": nets[0]}
    latent, image = latents("control", folder, runtime, image=photo(), scheduler=scheduler, guidance=guidance, **given)
    told = {"controlnet_conditioning_scale": strength, "control_guidance_start": start, "control_guidance_end": end, "guidance": guidance}
    pipeline = reference(TEXT, folder, nets[0], scheduler=scheduler)
    assert torch.equal(latent, refer(pipeline, image=lines(photo()), **told))
    assert np.array_equal(image, refer(pipeline, image=lines(photo()), output="np", **told))


def test_the_picture_has_the_hints_size_unless_one_is_given(folder, nets, runtime):
    pipeline = reference(TEXT, folder, nets[0])
    latent, image = latents("control", folder, runtime, image=photo(49, 24), control=nets[0], fit=False)
    assert image.shape == (1, 24, 48, 3) and torch.equal(latent, refer(pipeline, image=lines(photo(49, 24))))
    latent, _ = latents("control", folder, runtime, image=photo(49, 24), control=nets[0], fit=False, width=32, height=40)
    assert torch.equal(latent, refer(pipeline, image=lines(photo(49, 24)), width=32, height=40))


def test_prompts_at_once_are_the_pipelines(folder, nets, runtime):
    prompts = ["a red circle", "a blue square"]
    latent, _ = latents("control", folder, runtime, image=photo(), prompt=prompts, control=nets[0], count=2)
    assert torch.equal(latent, refer(reference(TEXT, folder, nets[0]), prompts, image=lines(photo()), count=2))


def sampled(folder, controls, context=None, **settings):
    """By nodes: several controls, guessing."""
    parts = diffusion.load(folder)
    told = [diffusion.encode_prompt(parts.tokenizer, parts.text_encoder, Text((text,)), negative=not text) for text in (PROMPT, "")]
    how = {"seed": Seed(7), "steps": 4, "guidance": 3.0} | settings | ({"context": context} if context else {})
    return diffusion.sample(parts.denoiser, parts.schedule, *told, controls=controls, **how).values


def test_two_nets_together_are_the_pipelines(folder, nets):
    pictures = [photo(seed=1), photo(seed=2)]
    controls = [
        diffusion.control(diffusion.load_control(net), Image.accept(picture), strength=strength, end=end)
        for net, picture, strength, end in zip(nets, pictures, (1.0, 0.5), (1.0, 0.5))
    ]
    expected = refer(reference(TEXT, folder, *nets), image=pictures, controlnet_conditioning_scale=[1.0, 0.5], control_guidance_end=[1.0, 0.5])
    assert torch.equal(sampled(folder, controls), expected)


def test_the_same_net_twice_is_loaded_once(folder, nets):
    from flowmm.models.residency import LOADS

    before = LOADS["controlnet"]
    net = diffusion.load_control(tiny_copy(nets[0]))
    sampled(folder, [diffusion.control(net, Image.accept(photo(seed=seed))) for seed in (1, 2)], steps=1)
    assert LOADS["controlnet"] - before <= 1


def tiny_copy(folder):
    """The same weights under another name."""
    import shutil
    from pathlib import Path

    other = Path(folder).parent / "copy"
    return str(other if other.is_dir() else shutil.copytree(folder, other))


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_guess_mode_is_the_pipelines(folder, nets, guidance):
    controls = [diffusion.control(diffusion.load_control(nets[0]), Image.accept(photo()), guess=True)]
    expected = refer(reference(TEXT, folder, nets[0]), image=photo(), guess_mode=True, guidance=guidance)
    assert torch.equal(sampled(folder, controls, guidance=guidance), expected)


def test_with_a_picture_to_start_from_it_is_the_pipelines(folder, nets):
    parts = diffusion.load(folder)
    start = diffusion.encode(parts.autoencoder, Image.accept(photo(seed=3)))
    controls = [diffusion.control(diffusion.load_control(nets[0]), Image.accept(photo(seed=4)), strength=0.8)]
    pipeline = reference(PICTURE, folder, nets[0])
    given = {"image": photo(seed=3), "control_image": photo(seed=4), "strength": 0.7, "controlnet_conditioning_scale": 0.8}
    assert torch.equal(sampled(folder, controls, latent=start, strength=0.7), refer(pipeline, **given))


def test_with_sdxl_it_is_the_pipelines(runtime, tmp_path):
    folder = tiny_sd.save_xl(tmp_path / "xl")
    net = tiny_sd.save_control(tmp_path / "net", folder)
    latent, _ = latents("control", folder, runtime, image=photo(), control=net)
    assert torch.equal(latent, refer(reference(XL, folder, net), image=lines(photo()), controlnet_conditioning_scale=1.0))


def test_three_seeds_at_once_are_three_single_runs(folder, nets, runtime):
    together, _ = latents("control", folder, runtime, image=photo(), control=nets[0], count=3)
    for i in range(3):
        alone, _ = latents("control", folder, runtime, image=photo(), control=nets[0], seed=7 + i)
        assert far(together[i : i + 1], alone) <= ROUNDING


def test_hint_strength_and_span_change_the_result(folder, nets, runtime):
    base, _ = latents("control", folder, runtime, image=photo(), control=nets[0])
    for change in ({"image": photo(seed=3)}, {"control_strength": 0.5}, {"control_end": 0.5}, {"control": nets[1]}, {"prompt": "b"}):
        assert far(latents("control", folder, runtime, **{"image": photo(), "control": nets[0]} | change)[0], base) > 1e-3, change


def test_bfloat16_is_the_pipeline_in_bfloat16(folder, nets):
    runtime = flowmm.Runtime("cpu", cache=None, threads=1, dtype="bfloat16")
    try:
        latent, _ = latents("control", folder, runtime, image=photo(), control=nets[0])
    finally:
        runtime.close()
    pipeline = reference(TEXT, folder, nets[0]).to(torch.bfloat16)
    assert torch.equal(latent, refer(pipeline, image=lines(photo())))

"""The diffusion nodes equal diffusers' StableDiffusionPipeline: latents and pixels, to the last bit in float32."""

import json

import numpy as np
import pytest
import tiny
import torch

from flowmm import zoo
from flowmm.nodes import diffusion, text
from flowmm.nodes.diffusion.schedules import SCHEDULERS, build_scheduler
from flowmm.sockets import Latent, Seed, Text

PROMPT = "a red circle"
VARIANTS = {
    "epsilon": {},
    "v_prediction": {"schedule": {"prediction_type": "v_prediction"}},
    "zero_snr": {
        "schedule": {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"},
        "vae": {"scaling_factor": 0.7},
    },
    "pndm": {"scheduler": "PNDMScheduler", "schedule": {"skip_prk_steps": True}},
}


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """Folder and reference pipeline of a variant, made once."""
    made = {}

    def get(name="epsilon"):
        if name not in made:
            folder = tiny.save_stable_diffusion(tmp_path_factory.mktemp(name), **VARIANTS[name])
            made[name] = str(folder), tiny.pipeline(folder)
        return made[name]

    return get


def paint(folder, prompts=PROMPT, negative="", *, seed=7, steps=4, guidance=3.0, **settings):
    """What the saved graph does: latent and picture."""
    parts = diffusion.load(folder)
    prompts = Text.accept(prompts)
    wanted, avoided = (
        diffusion.encode_prompt(parts.tokenizer, parts.text_encoder, words)
        for words in (prompts, text.repeat(Text.accept(negative), prompts))
    )
    latent = diffusion.sample(
        parts.denoiser, parts.schedule, wanted, avoided, seed=Seed(seed), steps=steps, guidance=guidance, **settings
    )
    return latent, diffusion.decode(parts.autoencoder, latent)


def refer(pipeline, prompts=PROMPT, *, seed=7, steps=4, guidance=3.0, output="latent", pictures=None, **settings):
    """What the library does with one generator a picture."""
    count = pictures or (1 if isinstance(prompts, str) else len(prompts))
    generators = [torch.Generator().manual_seed(seed + i) for i in range(count)]
    return pipeline(prompts, num_inference_steps=steps, guidance_scale=guidance, generator=generators, output_type=output, **settings).images


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_latents_and_pixels_are_those_of_the_pipeline(model, variant, guidance):
    folder, pipeline = model(variant)
    latent, image = paint(folder, guidance=guidance)
    assert torch.equal(latent.values, refer(pipeline, guidance=guidance))
    assert np.array_equal(image.pixels.transpose(0, 2, 3, 1), refer(pipeline, guidance=guidance, output="np"))
    assert latent.values.isfinite().all() and image.pixels.std() > 0.01


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_scheduler_is_the_librarys(model, name):
    folder, pipeline = model("epsilon")
    own = pipeline.scheduler
    cls, changes = SCHEDULERS[name]
    try:
        import diffusers

        pipeline.scheduler = getattr(diffusers, cls).from_config(own.config, **changes)
        expected = refer(pipeline, [PROMPT, "a blue square"], steps=5)
    finally:
        pipeline.scheduler = own
    latent, _ = paint(folder, [PROMPT, "a blue square"], steps=5, scheduler=name)
    assert torch.equal(latent.values, expected)


@pytest.mark.parametrize("name", ["euler", "dpmpp_2m_karras", "unipc", "ddpm"])
def test_schedulers_keep_the_sources_prediction_and_spacing(model, name):
    folder, pipeline = model("zero_snr")
    own = pipeline.scheduler
    import diffusers

    cls, changes = SCHEDULERS[name]
    try:
        pipeline.scheduler = getattr(diffusers, cls).from_config(own.config, **changes)
        expected = refer(pipeline, steps=3)
    finally:
        pipeline.scheduler = own
    assert torch.equal(paint(folder, steps=3, scheduler=name)[0].values, expected)


def test_a_negative_prompt_is_the_pipelines(model):
    folder, pipeline = model()
    latent, _ = paint(folder, negative="a blue square")
    assert torch.equal(latent.values, refer(pipeline, negative_prompt="a blue square"))
    assert not torch.equal(latent.values, paint(folder)[0].values)


def test_a_list_of_prompts_equals_a_list_of_generators(model):
    folder, pipeline = model()
    prompts = ["a red circle", "two blue squares", ""]
    latent, image = paint(folder, prompts, negative="dull")
    expected = refer(pipeline, prompts, negative_prompt=["dull"] * 3)
    assert torch.equal(latent.values, expected)
    assert np.array_equal(image.pixels.transpose(0, 2, 3, 1), refer(pipeline, prompts, negative_prompt=["dull"] * 3, output="np"))


def test_several_pictures_a_prompt_are_the_pipelines(model):
    folder, pipeline = model()
    prompts = ["a red circle", "two blue squares"]
    latent, _ = paint(folder, prompts, count=2)
    assert torch.equal(latent.values, refer(pipeline, prompts, num_images_per_prompt=2, pictures=4))


@pytest.mark.parametrize("scheduler", [None, "euler_ancestral"])
def test_a_picture_alone_is_the_one_in_company_within_rounding(model, scheduler):
    """Batched arithmetic rounds differently: measured 1e-6 of the largest value, allowed ten times that."""
    folder, _ = model()
    together = paint(folder, [PROMPT] * 3, scheduler=scheduler)[0].values
    for i in range(3):
        alone = paint(folder, seed=7 + i, scheduler=scheduler)[0].values
        assert (together[i] - alone[0]).abs().max() <= 1e-5 * together.abs().max()
    assert (together[0] - together[1]).abs().max() > 0.1


def test_another_prompt_seed_or_size_changes_the_picture(model):
    folder, pipeline = model()
    base = paint(folder)[0].values
    assert (base - paint(folder, "a red circus")[0].values).abs().max() > 1e-3
    assert (base - paint(folder, seed=8)[0].values).abs().max() > 0.1
    wide, image = paint(folder, width=48, height=24)
    assert torch.equal(wide.values, refer(pipeline, width=48, height=24))
    assert image.pixels.shape == (1, 3, 24, 48)


def test_eta_and_guidance_rescale_are_the_pipelines(model):
    folder, pipeline = model("zero_snr")
    latent, _ = paint(folder, [PROMPT, "b"], eta=0.5, rescale=0.7)
    assert torch.equal(latent.values, refer(pipeline, [PROMPT, "b"], eta=0.5, guidance_rescale=0.7))


def test_one_negative_for_many_prompts_is_repeated_within_rounding(model):
    """The pipeline encodes the negative prompt once for every prompt; encoded once and repeated it may round differently."""
    folder, pipeline = model()
    parts = diffusion.load(folder)
    prompts = ["a red circle", "two blue squares"]
    wanted = diffusion.encode_prompt(parts.tokenizer, parts.text_encoder, Text(tuple(prompts)))
    avoided = diffusion.encode_prompt(parts.tokenizer, parts.text_encoder, Text(("",)))
    latent = diffusion.sample(parts.denoiser, parts.schedule, wanted, avoided, seed=Seed(7), steps=4, guidance=3.0)
    expected = refer(pipeline, prompts)
    assert (latent.values - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_what_is_left_out_is_the_pipelines_default(model):
    folder, pipeline = model()
    parts = diffusion.load(folder)
    settings = dict(parts.denoiser.settings)
    assert (settings["steps"], settings["guidance"], settings["height"], settings["width"]) == (50, 7.5, 32, 32)
    assert type(build_scheduler(pipeline.scheduler.config, None)) is type(pipeline.scheduler)


def test_no_work_is_spent_on_guidance_of_one_or_less(model, monkeypatch):
    folder, _ = model()
    from diffusers import UNet2DConditionModel

    batches = []
    forward = UNet2DConditionModel.forward

    def counting(self, latents, *args, **kwargs):
        batches.append(len(latents))
        return forward(self, latents, *args, **kwargs)

    monkeypatch.setattr(UNet2DConditionModel, "forward", counting)
    paint(folder, steps=2, guidance=1.0)
    paint(folder, steps=2, guidance=2.0)
    assert batches == [1, 1, 2, 2]


def test_a_shifted_latent_space_is_decoded_as_stable_diffusion_3_does(tmp_path):
    folder = str(tiny.save_stable_diffusion(tmp_path, vae={"scaling_factor": 1.5, "shift_factor": 0.06}))
    vae = tiny.pipeline(folder).vae
    latent = Latent(torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(0)))
    with torch.no_grad():
        expected = vae.decode(latent.values / 1.5 + 0.06, return_dict=False)[0]
    image = diffusion.decode(diffusion.load(folder).autoencoder, latent)
    assert np.array_equal(image.pixels, (expected * 0.5 + 0.5).clamp(0, 1).numpy())


def test_the_embedded_model_is_drawn_as_the_pipeline_draws_it():
    if not (zoo.WEIGHTS / "sd" / "flowmm.json").is_file():
        pytest.skip("zoo:sd is not here")
    card = json.loads((zoo.WEIGHTS / "sd" / "flowmm.json").read_text())
    prompts = ["a large red circle on a white background", "a blue star"]
    _, image = paint("zoo:sd", prompts, steps=5, guidance=None)
    expected = refer(tiny.pipeline(zoo.WEIGHTS / "sd"), prompts, steps=5, guidance=card["guidance"], output="np")
    assert np.array_equal(image.pixels.transpose(0, 2, 3, 1), expected)

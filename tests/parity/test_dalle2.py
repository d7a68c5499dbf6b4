"""The graph dalle2 equals diffusers' KandinskyV22PriorPipeline and KandinskyV22Pipeline: embeddings, latents, pixels, to the last bit in float32."""

import inspect

import numpy as np
import pytest
import tiny
import tiny_kandinsky
import torch

from flowmm.nodes import unclip, vision
from flowmm.nodes.diffusion.schedules import SCHEDULERS
from flowmm.sockets import Image

PROMPTS = ["a red circle", "two blue squares", ""]
SETTINGS = {"seed": 7, "steps": 4, "prior_steps": 4, "guidance": 3.0, "prior_guidance": 2.5, "width": 32, "height": 32}
EDGES = ("imagined.embedding", "against.value", "paint.latent", "pixels.image")


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tiny_kandinsky.save(tmp_path_factory.mktemp("kandinsky"))


@pytest.fixture(scope="session")
def pipelines(folder):
    return tiny_kandinsky.pipelines(folder)


def paint(folder, runtime, prompt, **settings):
    """What the saved graph makes: embedding, embedding led away from, latents, pixels [B, H, W, 3]."""
    sources = {"model": str(folder / "decoder"), "prior": str(folder / "prior")}
    embedding, against, latent, image = tiny.peek("dalle2", {"prompt": prompt} | SETTINGS | sources | settings, runtime, *EDGES)
    return embedding.values, against.values, latent.values, image.pixels.transpose(0, 2, 3, 1)


def generators(count, seed=7):
    return [torch.Generator().manual_seed(seed + i) for i in range(count)]


def refer(pipelines, prompts, *, negative=None, count=1, guidance=3.0, prior_guidance=2.5, size=32, scheduler=None):
    """What the library does with one generator a picture, each half with its own; a negative embedding draws from the same seeds."""
    import diffusers

    prior, decoder = pipelines
    pictures = len(prompts) * count
    drawn = generators(pictures) + (generators(pictures) if negative else [])
    embedding, against = prior(
        prompts, negative_prompt=negative and [negative] * len(prompts), num_images_per_prompt=count, num_inference_steps=4, guidance_scale=prior_guidance,
        generator=drawn, return_dict=False,
    )  # fmt: skip
    own = decoder.scheduler
    if scheduler:
        # Only ddpm reads a learned variance; a config that speaks of it makes the pipeline hand it to the others too.
        cls, changes = SCHEDULERS[scheduler]
        config = own.config if scheduler == "ddpm" else {**own.config, "variance_type": None}
        decoder.scheduler = getattr(diffusers, cls).from_config(config, **changes)
    if "generator" not in inspect.signature(decoder.scheduler.step).parameters:
        step = decoder.scheduler.step
        decoder.scheduler.step = lambda *args, generator=None, **kwargs: step(*args, **kwargs, return_dict=False)
    try:
        told = {"image_embeds": embedding, "negative_image_embeds": against, "num_inference_steps": 4, "guidance_scale": guidance}
        made = [decoder(**told, generator=generators(pictures), height=size, width=size, output_type=kind).images for kind in ("latent", "np")]
    finally:
        decoder.scheduler = own
    return embedding, against, *made


def equal(ours, theirs):
    """To the last bit, and worth comparing. One embedding of no picture stands for as many."""
    embedding, against, latents, pixels = ours
    assert torch.equal(embedding, theirs[0]) and torch.equal(against.expand_as(theirs[1]), theirs[1])
    assert torch.equal(latents, theirs[2]) and np.array_equal(pixels, theirs[3])
    return latents.isfinite().all() and pixels.std() > 0.1 and embedding.std() > 0.1


@pytest.mark.parametrize("guidance", [1.0, 4.0])
@pytest.mark.parametrize("prior_guidance", [1.0, 4.0])
@pytest.mark.parametrize("count", [1, 3])
def test_embeddings_latents_and_pixels_are_those_of_the_pipelines(folder, pipelines, runtime, guidance, prior_guidance, count):
    scales = {"guidance": guidance, "prior_guidance": prior_guidance}
    assert equal(paint(folder, runtime, PROMPTS[:count], **scales), refer(pipelines, PROMPTS[:count], **scales))


def test_both_halves_in_one_folder_paint_the_same(folder, pipelines, runtime):
    both = str(folder / "both")
    assert equal(paint(folder, runtime, PROMPTS, model=both, prior=both), refer(pipelines, PROMPTS))


def test_live_pipelines_paint_the_same(folder, pipelines, runtime):
    assert equal(paint(folder, runtime, PROMPTS, prior=pipelines[0], model=pipelines[1]), refer(pipelines, PROMPTS))


def test_a_negative_prompt_is_the_pipelines_within_rounding(folder, pipelines, runtime):
    """The pipeline sends prompts and negative prompts through the prior as one batch; we send each as its own, and batches round differently.

    Measured 2e-6 of the largest value; MoVQ's wide weights make up to 4e-3 of it in single pixels, 3e-5 on average.
    """
    ours, theirs = paint(folder, runtime, PROMPTS[:2], negative="dull"), refer(pipelines, PROMPTS[:2], negative="dull")
    for mine, other in zip(ours[:3], theirs[:3], strict=True):
        assert (mine - other).abs().max() <= 1e-5 * other.abs().max()
    assert np.abs(ours[3] - theirs[3]).mean() <= 3e-4
    without = paint(folder, runtime, PROMPTS[:2])
    assert all((mine - other).abs().max() > 0.01 for mine, other in zip(ours[:3], without[:3]))


def test_several_pictures_a_prompt_are_the_pipelines(folder, pipelines, runtime):
    assert equal(paint(folder, runtime, PROMPTS[:2], count=2), refer(pipelines, PROMPTS[:2], count=2))


@pytest.mark.parametrize("scheduler", ["ddpm", "ddim", "pndm", "dpmpp_2m", "dpmpp_2m_sde_karras", "dpmpp_2s", "unipc", "deis"])
def test_schedulers_are_the_librarys(folder, pipelines, runtime, scheduler):
    latents = paint(folder, runtime, PROMPTS[:2], scheduler=scheduler)[2]
    assert torch.equal(latents, refer(pipelines, PROMPTS[:2], scheduler=scheduler)[2])


def test_another_size_is_the_pipelines(folder, pipelines, runtime):
    ours = paint(folder, runtime, PROMPTS[:1], width=64, height=64)
    assert equal(ours, refer(pipelines, PROMPTS[:1], size=64)) and ours[3].shape == (1, 64, 64, 3)


def test_in_bfloat16_too(folder, half):
    ours, theirs = paint(folder, half, PROMPTS), refer(tiny_kandinsky.pipelines(folder, torch.bfloat16), PROMPTS)
    assert ours[2].dtype == torch.bfloat16 and equal(ours, theirs)


@pytest.mark.parametrize("negative", ["", "dull"])
def test_a_picture_alone_is_the_one_in_company_within_rounding(folder, runtime, negative):
    """Batched arithmetic rounds differently: measured 2e-6 of the largest value, allowed 1e-5."""
    together = paint(folder, runtime, PROMPTS, negative=negative)
    for i, prompt in enumerate(PROMPTS):
        alone = paint(folder, runtime, prompt, negative=negative, seed=7 + i)
        for mine, other in ((alone[0], together[0]), (alone[2], together[2])):
            assert (mine[0] - other[i]).abs().max() <= 1e-5 * other.abs().max()


def test_another_prompt_or_seed_changes_embedding_and_picture(folder, runtime):
    base = paint(folder, runtime, PROMPTS[0])
    for change in ({"prompt": "a red circus"}, {"seed": 8}):
        other = paint(folder, runtime, **{"prompt": PROMPTS[0]} | change)
        assert (base[0] - other[0]).abs().max() > 1e-3 and (base[2] - other[2]).abs().max() > 1e-3, change
        assert torch.equal(base[1], other[1])


def test_pictures_embed_as_the_pipelines_interpolation_embeds_them(folder, pipelines):
    parts = unclip.load_prior(str(folder / "prior"))
    pictures = Image(np.random.default_rng(0).integers(0, 256, (2, 3, 40, 57), dtype=np.uint8))
    ours = unclip.encode_image(parts.image_encoder, vision.preprocess(parts.processor, pictures))
    prior, _ = pipelines
    pixels = prior.image_processor([pictures.to_pil(0), pictures.to_pil(1)], return_tensors="pt").pixel_values
    with torch.no_grad():
        assert torch.equal(ours.values, prior.image_encoder(pixels).image_embeds)


def test_what_is_left_out_is_the_pipelines_default(folder):
    import diffusers

    prior = inspect.signature(diffusers.KandinskyV22PriorPipeline.__call__).parameters
    decoder = inspect.signature(diffusers.KandinskyV22Pipeline.__call__).parameters
    told = dict(unclip.load_prior(str(folder / "prior")).prior.settings)
    assert (told["steps"], told["guidance"]) == (prior["num_inference_steps"].default, prior["guidance_scale"].default)
    told = dict(unclip.load_decoder(str(folder / "decoder")).denoiser.settings)
    names = {"steps": "num_inference_steps", "guidance": "guidance_scale", "height": "height", "width": "width"}
    assert {name: told[name] for name in names} == {name: decoder[theirs].default for name, theirs in names.items()}

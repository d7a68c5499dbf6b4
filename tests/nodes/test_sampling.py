"""The sampler's own promises, beside equality with the library: progress, cancelling, settings, clear refusals."""

import json
import shutil

import pytest
import tiny
import torch

from flowmm.catalog import Cancelled, Context
from flowmm.models.source import SourceError
from flowmm.nodes import diffusion
from flowmm.sockets import Conditioning, Image, Seed, Text


@pytest.fixture
def parts(diffusion_folder):
    return diffusion.load(diffusion_folder)


def prompt(parts, *lines):
    return diffusion.encode_prompt(parts.tokenizer, parts.text_encoder, Text(lines or ("a",)))


def test_progress_is_told_with_a_preview(parts):
    seen = []
    diffusion.sample(parts.denoiser, parts.schedule, prompt(parts), seed=Seed(0), steps=3, guidance=1.0,
                     context=Context("paint", report=lambda *told: seen.append(told)))  # fmt: skip
    assert [(done, total) for done, total, _ in seen] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    picture = seen[1][2]()
    assert isinstance(picture, Image) and picture.pixels.shape == (1, 3, 32, 32)


def test_cancelling_takes_effect_at_the_next_step(parts):
    steps = []
    context = Context("paint", report=lambda *told: steps.append(told), cancelled=lambda: len(steps) >= 2)
    with pytest.raises(Cancelled):
        diffusion.sample(parts.denoiser, parts.schedule, prompt(parts), seed=Seed(0), steps=50, guidance=1.0, context=context)
    assert len(steps) == 2


def test_settings_left_out_are_the_sources_recommendation(diffusion_folder, tmp_path):
    folder = shutil.copytree(diffusion_folder, tmp_path / "model")
    (folder / "flowmm.json").write_text(json.dumps({"about": "x", "steps": 2, "guidance": 1.0, "height": 16, "width": 24, "scheduler": "euler"}))
    parts = diffusion.load(str(folder))
    steps = []
    context = Context("paint", report=lambda *told: steps.append(told))
    latent = diffusion.sample(parts.denoiser, parts.schedule, prompt(parts), seed=Seed(0), context=context)
    assert latent.values.shape == (1, 4, 8, 12) and len(steps) == 3
    said = diffusion.sample(parts.denoiser, parts.schedule, prompt(parts), seed=Seed(0), steps=2, guidance=1, height=16, width=24, scheduler="euler")
    assert torch.equal(said.values, latent.values)
    told = diffusion.load.spec.describe(type("Known", (), {"values": {"source": str(folder)}}))
    assert told["denoiser"].shape == (None, 4, 8, 12)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"guidance": 3.0}, "wire the encoded empty text"),
        ({"guidance": 1.0, "width": 33}, "width 33 is no multiple of 2; try 32"),
    ],
)
def test_what_cannot_work_is_refused_before_any_weight_loads(diffusion_folder, settings, words, monkeypatch):
    from flowmm.models import residency

    parts = diffusion.load(diffusion_folder)
    positive = prompt(parts)
    before = residency.LOADS["unet"]
    with pytest.raises(ValueError, match=words):
        diffusion.sample(parts.denoiser, parts.schedule, positive, seed=Seed(0), **settings)
    assert residency.LOADS["unet"] == before


def test_negatives_must_match_in_number_and_shape(parts):
    three, two = prompt(parts, "a", "b", "c"), prompt(parts, "d", "e")
    with pytest.raises(ValueError, match="3 prompts, but 2 negative"):
        diffusion.sample(parts.denoiser, parts.schedule, three, two, seed=Seed(0), steps=1, guidance=2.0)
    short = Conditioning(two.hidden[:1, :5])
    with pytest.raises(ValueError, match="5 × 32.*16 × 32"):
        diffusion.sample(parts.denoiser, parts.schedule, three, short, seed=Seed(0), steps=1, guidance=2.0)


def test_a_denoiser_that_wants_more_channels_says_so(tmp_path):
    parts = diffusion.load(str(tiny.save_stable_diffusion(tmp_path, unet={"in_channels": 9})))
    with pytest.raises(ValueError, match="wants 5 channels beside the latent"):
        diffusion.sample(parts.denoiser, parts.schedule, prompt(parts), seed=Seed(0), steps=1, guidance=1.0)


def test_an_empty_and_an_endless_prompt_fill_the_same_length(parts):
    assert prompt(parts, "", "x" * 100_000).hidden.shape == (2, tiny.LENGTH, 32)


def test_tiles_join_to_nearly_the_same_picture(parts):
    latent = diffusion.sample(parts.denoiser, parts.schedule, prompt(parts), seed=Seed(0), steps=1, guidance=1.0, width=96, height=64)
    whole, tiled = (diffusion.decode(parts.autoencoder, latent, tile=tile) for tile in (False, True))
    assert whole.pixels.shape == tiled.pixels.shape == (1, 3, 64, 96)
    assert (whole.pixels != tiled.pixels).any()


def test_loading_another_kind_of_model_says_what_it_is(clip_folder, diffusion_folder):
    from flowmm.nodes import clip

    with pytest.raises(SourceError, match="wants a Stable Diffusion pipeline; .* is a CLIPModel"):
        diffusion.load(clip_folder)
    with pytest.raises(SourceError, match="`clip.load` wants a CLIP model; .* is a StableDiffusionPipeline"):
        clip.load(diffusion_folder)

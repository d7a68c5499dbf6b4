"""What is seen of a latent while it is sampled."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch

from flowmm.catalog import Context
from flowmm.nodes import diffusion
from flowmm.nodes.diffusion import previews
from flowmm.sockets import Latent

CONTEXT = Context("paint")


def denoiser_with(parts, **settings):
    return dataclasses.replace(parts.denoiser, settings=tuple(sorted((dict(parts.denoiser.settings) | settings).items())))


def latents(channels=4, seed=0):
    return torch.randn((2, channels, 8, 8), generator=torch.Generator().manual_seed(seed))


def shown(denoiser, values):
    return previews.previews(denoiser, CONTEXT)(values)().pixels


def test_a_small_autoencoder_decodes_what_is_shown(diffusion_folder):
    parts = diffusion.load(diffusion_folder)
    values = latents()
    assert np.array_equal(shown(parts.denoiser, values), diffusion.decode(parts.autoencoder, Latent(values)).pixels)


def test_a_large_autoencoder_is_not_loaded_for_a_look(diffusion_folder, monkeypatch):
    parts = diffusion.load(diffusion_folder)
    monkeypatch.setattr(previews, "SMALL", 0)
    monkeypatch.setattr(previews, "_decoded", lambda *_: pytest.fail("decoded"))
    assert shown(parts.denoiser, latents()).shape == (2, 3, 8, 8)


def test_a_pipeline_whose_autoencoder_is_gone_is_shown_roughly(diffusion_folder, tmp_path):
    folder = shutil.copytree(diffusion_folder, tmp_path / "model")
    parts = diffusion.load(str(folder))
    shutil.rmtree(folder / "vae")
    assert shown(parts.denoiser, latents()).shape == (2, 3, 8, 8)


@pytest.mark.parametrize(("scale", "constant"), [(0.18215, (0, 0, 0)), (0.13025, (150 / 127.5 - 1, 140 / 127.5 - 1, 130 / 127.5 - 1))])
def test_latents_of_stable_diffusion_are_guessed_linearly(diffusion_folder, monkeypatch, scale, constant):
    monkeypatch.setattr(previews, "SMALL", 0)
    denoiser = denoiser_with(diffusion.load(diffusion_folder), scale=scale)
    empty, values = shown(denoiser, torch.zeros((1, 4, 8, 8))), 0.3 * latents()
    assert np.allclose(empty[0, :, 0, 0], np.array(constant) / 2 + 0.5, atol=1e-3)
    brighter = values.clone()
    brighter[:, 3] -= 0.5  # in both, the fourth channel darkens
    assert shown(denoiser, brighter).mean() > shown(denoiser, values).mean()
    alone = shown(denoiser, values[1:])
    assert np.allclose(shown(denoiser, values)[1:], alone)


@pytest.mark.parametrize("channels", [1, 4, 16])
def test_latents_of_an_unknown_space_are_stretched_each_by_itself(diffusion_folder, monkeypatch, channels):
    monkeypatch.setattr(previews, "SMALL", 0)
    denoiser = denoiser_with(diffusion.load(diffusion_folder), scale=1.5, channels=channels)
    picture = shown(denoiser, 40 * latents(channels))
    assert picture.shape == (2, 3, 8, 8) and picture.min() == 0 and picture.max() == 1

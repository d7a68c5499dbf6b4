"""The colours of sockets: they tell families apart, and are seen on a light ground and on a dark one."""

import colorsys

import pytest

from flowmm import sockets
from flowmm.sockets.handles import Handle
from flowmm.sockets.value import Value

CLASSES = [one for one in vars(sockets).values() if isinstance(one, type) and issubclass(one, Value) and "colour" in vars(one) and one not in (Value, Handle)]
GROUNDS = {"light": "#ffffff", "dark": "#232529"}
FAMILIES = {
    "text": ("Text", "Tokens", "Prompt", "Tokenizer", "LanguageModel"),
    "picture": ("Image", "Mask", "Pixels", "ImageProcessor"),
    "latent": ("Latent", "Posterior", "Codes", "Denoiser", "Autoencoder", "Codebook"),
    "embedding": ("Conditioning", "Combined", "Hidden", "Embedding", "FeatureMap", "TextEncoder", "ImageEncoder", "Prior"),
    "score": ("Score", "Labels", "Logits", "Classifier", "Scorer"),
}
HUES = {"text": (80, 165), "picture": (195, 215), "latent": (300, 355), "embedding": (232, 280), "score": (25, 50)}  # degrees


def rgb(colour: str) -> list[float]:
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def luminance(colour: str) -> float:
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in rgb(colour)]
    return sum(part * one for part, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("one", CLASSES, ids=lambda one: one.__name__)
def test_a_socket_stands_out_from_either_ground(one, ground):
    darker, lighter = sorted((luminance(one.colour), luminance(GROUNDS[ground])))
    assert (lighter + 0.05) / (darker + 0.05) >= 3


@pytest.mark.parametrize("family", FAMILIES)
def test_the_sockets_of_a_family_share_a_hue(family):
    low, high = HUES[family]
    for name in FAMILIES[family]:
        assert low <= 360 * colorsys.rgb_to_hsv(*rgb(getattr(sockets, name).colour))[0] <= high, name


def test_no_two_kinds_of_value_have_one_colour():
    colours = [one.colour for one in CLASSES]
    assert len(set(colours)) == len(colours)

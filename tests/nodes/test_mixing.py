"""Conditioning out of conditioning: several prompts at once, and nothing said."""

from __future__ import annotations

import functools

import pytest
import torch

from flowmm.face.find import shipped
from flowmm.nodes import diffusion
from flowmm.sockets import Combined, Conditioning, Image, Seed, Text
from flowmm.store import codec

RED = shipped() / "examples" / "red-circle.png"

ONE, OTHER = "a large red circle on a white background", "a small blue star on a black background"


@pytest.fixture
def paint():
    """Latents of prompts that are combined, with other settings of the sampler where they are given."""
    parts = diffusion.load("zoo:sd")

    def said(texts):
        made = [diffusion.encode_prompt(parts.tokenizer, parts.text_encoder, Text((text,))) for text in texts]
        return functools.reduce(diffusion.combine, made)

    def make(*prompts, negative=("",), zero=False, controls=(), **settings):
        against = diffusion.zero(said(negative)) if zero else said(negative)
        net = diffusion.load_control("zoo:sd-control")
        nets = [diffusion.control(net, Image.accept(RED), **one) for one in controls] or None
        settings = {"seed": Seed(3), "steps": 1, "guidance": 5.0, "scheduler": "euler", "controls": nets} | settings
        return diffusion.sample(parts.denoiser, parts.schedule, said(prompts), against, **settings).values

    return make


@pytest.mark.parametrize("guidance", [1.0, 5.0])
def test_one_step_of_two_prompts_is_the_mean_of_the_steps_of_each(paint, guidance):
    both = paint(ONE, OTHER, guidance=guidance)
    mean = (paint(ONE, guidance=guidance) + paint(OTHER, guidance=guidance)) / 2
    assert torch.allclose(both, mean, atol=5e-3) and not torch.allclose(both, paint(ONE, guidance=guidance), atol=1e-2)


def test_three_count_alike(paint):
    three = "a large green ring on a white background"
    assert torch.allclose(paint(ONE, OTHER, three), (paint(ONE) + paint(OTHER) + paint(three)) / 3, atol=5e-3)


def test_what_to_stay_away_from_is_combined_as_well(paint):
    both = paint(ONE, negative=(OTHER, ""))
    assert torch.allclose(both, (paint(ONE, negative=(OTHER,)) + paint(ONE)) / 2, atol=5e-3)


def test_a_prompt_combined_with_itself_is_itself(paint):
    assert torch.allclose(paint(ONE, ONE, steps=4), paint(ONE, steps=4), atol=1e-3)


def test_each_picture_of_a_batch_is_as_alone(paint):
    assert torch.allclose(paint(ONE, OTHER, count=2)[:1], paint(ONE, OTHER), atol=5e-3)


@pytest.mark.parametrize("guess", [False, True])
def test_a_control_steers_all_of_them(paint, guess):
    control = ({"guess": guess},)
    both = paint(ONE, OTHER, controls=control)
    assert torch.allclose(both, (paint(ONE, controls=control) + paint(OTHER, controls=control)) / 2, atol=5e-3)
    assert not torch.allclose(both, paint(ONE, OTHER, width=128, height=128), atol=1e-2)


def test_nothing_said_is_not_the_empty_text(paint):
    zeros, empty = paint(ONE, zero=True), paint(ONE)
    assert not torch.allclose(zeros, empty, atol=1e-3)
    assert torch.equal(paint(ONE, negative=(OTHER,), zero=True), zeros), "whatever it was"


def test_zeros_are_zero_in_every_part():
    made = diffusion.zero(Conditioning(torch.ones(2, 3, 4), torch.ones(2, 5)))
    assert not made.hidden.any() and not made.pooled.any() and made.hidden.shape == (2, 3, 4)
    with pytest.raises(ValueError, match="class"):
        diffusion.zero(Conditioning(torch.tensor([[3]])))


def test_what_was_combined_is_kept_in_a_cache():
    made = diffusion.combine(Conditioning(torch.ones(1, 3, 4), torch.ones(1, 5)), Conditioning(torch.zeros(2, 3, 4), torch.zeros(2, 5)))
    assert isinstance(made, Combined) and len(made.prompts) == 2 and len(made.hidden) == 2, "one prompt serves all"
    assert codec.encode(made).decode() == made


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [(torch.ones(2, 3, 4), torch.ones(3, 3, 4), "3 prompts, but 2"), (torch.ones(1, 3, 4), torch.ones(1, 3, 5), "3 × 4 and 3 × 5")],
)  # fmt: skip
def test_what_does_not_fit_is_said(first, second, said):
    with pytest.raises(ValueError, match=said):
        diffusion.combine(Conditioning(first), Conditioning(second))


def test_families_that_cannot_say_so():
    from flowmm.nodes import dit

    parts = dit.load("zoo:dit")
    both = diffusion.combine(*(dit.encode_class(parts.classes, Text((name,))) for name in ("red circle", "blue star")))
    with pytest.raises(ValueError, match="takes no combined prompts"):
        diffusion.sample(parts.denoiser, parts.schedule, both, seed=Seed(0), steps=1, guidance=1.0)

"""Conditioning out of conditioning: nothing said, several prompts at once."""

from __future__ import annotations

from flowmm.catalog import node
from flowmm.sockets import C, Combined, Conditioning, Fact, Known


@node(version=1, title={"en": "Zero conditioning", "zh": "条件清零"}, tags=("diffusion",), lane="inline")
def zero(conditioning: Conditioning[C]) -> Conditioning[C]:
    """Conditioning of the same shape that is zero everywhere: nothing said, not even the empty text.

    Returns hidden [B, L, D], and pooled [B, P] where the model has one. A class label is an error.

    Reference: the negative prompt of diffusers StableDiffusionXLPipeline with force_zeros_for_empty_prompt.
    """
    pooled = conditioning.pooled
    if not conditioning.hidden.is_floating_point():
        raise ValueError("what a class says cannot be made zero: leave the negative out, or set guidance to 1")
    return Conditioning(conditioning.hidden * 0, None if pooled is None else pooled * 0, conditioning.mask)


@zero.describe
def _(known: Known) -> Fact:
    return Fact(known.shape("conditioning", 3), known.dtype("conditioning"))


@node(version=1, title={"en": "Combine prompts", "zh": "合并提示词"}, tags=("diffusion",), lane="inline")
def combine(first: Conditioning[C], second: Conditioning[C]) -> Conditioning[C]:
    """Two prompts at once: at each step the denoiser is asked for both, and goes on with the mean of its predictions.

    Each: B prompts, or 1 for all; either may be combined already, all of them count alike. Costs one more prediction a step.
    Returns conditioning for diffusion.sample with a Stable Diffusion model; other families refuse it.

    Reference: Liu et al. 2022, Compositional visual generation with composable diffusion models (arXiv 2206.01714), weights of 1/n.
    """
    every = [*first.prompts, *second.prompts]
    items = max(len(one.hidden) for one in every)
    for one in every:
        if len(one.hidden) not in (1, items):
            raise ValueError(f"there are {items} prompts, but {len(one.hidden)} to combine them with; 1 or {items} fit")
        if one.hidden.shape[1:] != every[0].hidden.shape[1:]:
            shapes = [" × ".join(map(str, other.hidden.shape[1:])) for other in (every[0], one)]
            raise ValueError(f"prompts of different shapes ({' and '.join(shapes)}) cannot be combined")
    whole, *others = (one.repeated(items // len(one.hidden)) for one in every)
    return Combined(whole.hidden, whole.pooled, whole.mask, tuple(others))


@combine.describe
def _(known: Known) -> Fact:
    batches = [known.batch(port) for port in ("first", "second")]
    return Fact((None if None in batches else max(batches), *known.shape("first", 3)[1:]), known.dtype("first"))

"""The sampler: noise becomes a latent, step by step, for every family of denoisers."""

from __future__ import annotations

from typing import Annotated

from flowmm.catalog import Context, node
from flowmm.models.residency import using
from flowmm.sockets import (
    Between,
    C,
    Conditioning,
    Denoiser,
    Fact,
    Help,
    Known,
    Latent,
    NoiseSchedule,
    P,
    S,
    Seed,
    X,
)
from flowmm.sockets.facts import times

from .denoisers import DENOISERS
from .loop import denoise, noise, rough
from .schedules import SchedulerName, build_scheduler


@node(version=1, title={"en": "Sample", "zh": "采样"}, tags=("diffusion",))
def sample(
    denoiser: Denoiser[S, C, X, P],
    schedule: NoiseSchedule[P],
    positive: Conditioning[C],
    negative: Conditioning[C] | None = None,
    *,
    seed: Seed,
    steps: Annotated[int | None, Between(1, 1000), Help("Left out: what the model recommends")] = None,
    guidance: Annotated[float | None, Between(0, 100), Help("How strongly the prompt rules; 1 or less: no guidance, half the work")] = None,
    width: Annotated[int | None, Between(8, 8192), Help("Pixels; left out: what the model recommends")] = None,
    height: Annotated[int | None, Between(8, 8192), Help("Pixels; left out: what the model recommends")] = None,
    scheduler: Annotated[SchedulerName | None, Help("Left out: the model's own")] = None,
    count: Annotated[int, Between(1, 64), Help("Pictures a prompt")] = 1,
    eta: Annotated[float, Between(0, 1), Help("Noise added at each step of ddim: 0 none, 1 as ddpm")] = 0.0,
    rescale: Annotated[float, Between(0, 1), Help("Tames contrast of strong guidance; 0.7 suits zero-SNR models")] = 0.0,
    context: Context,
) -> Latent[S]:
    """Remove noise step by step, guided by a prompt.

    positive: B prompts; negative: what to stay away from, B or 1, usually the encoded empty text; needed when guidance
    is above 1. Picture i draws from seed + i, alone or in company. Returns float32 [B·count, C, height/factor,
    width/factor], the pictures of one prompt next to each other. A size that is no multiple of the factor is an error.

    Reference: diffusers StableDiffusionPipeline.__call__ with a list of generators; classifier-free guidance (Ho and
    Salimans, 2022), rescaled as in Lin et al. (2023).
    """
    steps = denoiser.setting("steps", 50) if steps is None else steps
    guidance = denoiser.setting("guidance", 7.5) if guidance is None else guidance
    guided = guidance > 1
    if guided and negative is None:
        raise ValueError(f"guidance {guidance:g} needs `negative`: wire the encoded empty text to it, or set guidance to 1")
    rows, columns = (_latent_size(denoiser, name, given) for name, given in (("height", height), ("width", width)))
    positive, negative = matched(positive, negative if guided else None, count)
    stepper = build_scheduler(context.load(schedule), scheduler or denoiser.setting("scheduler"))
    with using(context, denoiser) as module:
        predict = DENOISERS[denoiser.family](module, stepper, guidance, rescale)
        generators = context.generators(seed.value, len(positive.hidden))
        predict.prompt(positive, negative)
        stepper.set_timesteps(steps, device=module.device)
        latents = noise((denoiser.setting("channels", predict.channels), rows, columns), generators, module)
        if latents.shape[1] != predict.channels:
            raise ValueError(f"this denoiser wants {predict.channels - latents.shape[1]} channels beside the latent (it edits or "
                             "inpaints pictures), which `diffusion.sample` has not")  # fmt: skip
        latents = latents * stepper.init_noise_sigma
        return Latent(denoise(predict, stepper, latents, stepper.timesteps, generators, context, eta=eta, preview=rough))


@sample.describe
def _(known: Known) -> Fact:
    _, channels, rows, columns = known.shape("denoiser", 4)
    factor = known.space("S", "factor")
    sizes = []
    for name, recommended in (("height", rows), ("width", columns)):
        size = known.values.get(name)
        wired = name in known.facts
        sizes.append(None if wired or (size and not factor) else size // factor if size else recommended)
    count = None if "count" in known.facts else known.values.get("count")
    return Fact((times(known.batch("positive"), count), channels or known.space("S", "channels"), *sizes), "float32")


def _latent_size(denoiser: Denoiser, name: str, given: int | None) -> int:
    size, factor = denoiser.setting(name, 512) if given is None else given, denoiser.setting("factor", 8)
    if size % factor:
        raise ValueError(f"{name} {size} is no multiple of {factor}; try {max(factor, round(size / factor) * factor)}")
    return size // factor


def matched(positive: Conditioning, negative: Conditioning | None, count: int) -> tuple[Conditioning, Conditioning | None]:
    """Both with one item a picture."""
    prompts = len(positive.hidden)
    if negative is not None:
        if len(negative.hidden) not in (1, prompts):
            raise ValueError(f"there are {prompts} prompts, but {len(negative.hidden)} negative ones; 1 or {prompts} fit")
        if negative.hidden.shape[1:] != positive.hidden.shape[1:]:
            shapes = [" × ".join(map(str, one.hidden.shape[1:])) for one in (negative, positive)]
            raise ValueError(f"`negative` ({shapes[0]}) and `positive` ({shapes[1]}) are of different shapes")
        negative = _repeated(negative, count * prompts // len(negative.hidden))
    return _repeated(positive, count), negative


def _repeated(conditioning: Conditioning, times_each: int) -> Conditioning:
    """Each item several times, one after the other."""
    if times_each == 1:
        return conditioning
    fields = vars(conditioning)
    return Conditioning(**{name: None if part is None else part.repeat_interleave(times_each, 0) for name, part in fields.items()})

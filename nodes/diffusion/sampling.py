"""The sampler: noise becomes a latent, step by step, for every family of denoisers."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated, Any

from flowmm.catalog import Context, node
from flowmm.models.residency import using
from flowmm.sockets import (
    Between,
    C,
    Conditioning,
    Control,
    Denoiser,
    Extra,
    Fact,
    Help,
    Known,
    Latent,
    NoiseSchedule,
    P,
    S,
    Seed,
    Space,
    X,
)
from flowmm.sockets.facts import times

from .control import Nets
from .denoisers import DENOISERS
from .loop import denoise
from .pictures import multiple, own_size
from .previews import previews
from .schedules import SchedulerName, build_scheduler
from .start import Start, check_extra, steps_of


@node(version=1, title={"en": "Sample", "zh": "采样"}, tags=("diffusion",))
def sample(
    denoiser: Denoiser[S, C, X, P],
    schedule: NoiseSchedule[P],
    positive: Conditioning[C],
    negative: Conditioning[C] | None = None,
    latent: Latent[S] | None = None,
    extra: Extra[S, X] | None = None,
    controls: list[Control[C]] | None = None,
    *,
    seed: Seed,
    steps: Annotated[int | None, Between(1, 1000), Help("Left out: what the model recommends")] = None,
    guidance: Annotated[float | None, Between(0, 100), Help("How strongly the prompt rules; 1 or less: no guidance, half the work")] = None,
    image_guidance: Annotated[float | None, Between(1, 100), Help("How closely an edited picture keeps to the one it was")] = None,
    strength: Annotated[float | None, Between(0, 1), Help("Of a given latent: 0 keeps it, 1 keeps next to nothing; left out: 0.8, inpainting 1")] = None,
    start: Annotated[int, Between(0, 1000), Help("The step to go on from with a latent that another sampler left at its `end`; no noise is added")] = 0,
    end: Annotated[int | None, Between(1, 1000), Help("The step to stop before; left out: the last is taken")] = None,
    width: Annotated[int | None, Between(8, 8192), Help("Pixels; left out: the latent's, the control picture's, or what the model recommends")] = None,
    height: Annotated[int | None, Between(8, 8192), Help("Pixels; left out: the latent's, the control picture's, or what the model recommends")] = None,
    scheduler: Annotated[SchedulerName | str | None, Help("Also as other programs write it: DPM++ 2M Karras; left out: the model's own")] = None,
    count: Annotated[int, Between(1, 64), Help("Pictures a prompt")] = 1,
    eta: Annotated[float, Between(0, 1), Help("Noise added at each step of ddim: 0 none, 1 as ddpm")] = 0.0,
    rescale: Annotated[float, Between(0, 1), Help("Tames contrast of strong guidance; 0.7 suits zero-SNR models")] = 0.0,
    context: Context,
) -> Latent[S]:
    """Remove noise step by step, guided by a prompt; from pure noise, or from a picture with noise added to it.

    positive: B prompts; negative: what to stay away from, B or 1, usually the encoded empty text; needed when guidance
    is above 1. latent: [B or 1, C, h, w], a picture to start from; extra: what a denoiser made for inpainting or editing sees
    beside the noise, and the mask; controls: pictures to follow, each through its ControlNet. Picture i draws from seed + i,
    alone or in company. Returns float32 [B·count, C, height/factor, width/factor], the pictures of one prompt next to each
    other. A size that is no multiple of the factor is an error.

    Reference: diffusers StableDiffusionPipeline.__call__ with a list of generators, and its img2img, inpaint, InstructPix2Pix,
    ControlNet and XL relatives; classifier-free guidance (Ho and Salimans, 2022), rescaled as in Lin et al. (2023).
    """
    steps = denoiser.setting("steps", 50) if steps is None else steps
    guidance = denoiser.setting("guidance", 7.5) if guidance is None else guidance
    guided = guidance > 1
    if guided and negative is None:
        raise ValueError(f"guidance {guidance:g} needs `negative`: wire the encoded empty text to it, or set guidance to 1")
    if start and latent is None:
        raise ValueError(f"to go on from step {start} there must be a latent to go on with: wire the one another sampler stopped at")
    check_extra(denoiser, latent, extra)
    strength = (1.0 if extra is not None else 0.8) if strength is None else strength
    rows, columns = _latent_size(denoiser, latent, extra, controls or [], (height, width))
    factor, size = denoiser.setting("factor", 8), (rows * denoiser.setting("factor", 8), columns * denoiser.setting("factor", 8))
    given = [one.values for one in (latent, extra and extra.latent) if one is not None]
    positive, negative = matched(positive, negative if guided else None, count, max(map(len, given), default=1))
    items = len(positive.hidden)
    stepper = build_scheduler(context.load(schedule), scheduler or denoiser.setting("scheduler"))
    with ExitStack() as stack:
        module = stack.enter_context(using(context, denoiser))
        predict = DENOISERS[denoiser.family](module, stepper, guidance, rescale)
        generators = context.generators(seed.value, items)
        predict.size = size
        predict.image_scale = denoiser.setting("image_guidance", 1.5) if image_guidance is None else image_guidance
        predict.tell(positive, negative)
        timesteps = steps_of(stepper, steps, 1.0 if latent is None else strength, (start, end), latent is not None, module.device)
        begin = Start(
            (denoiser.setting("channels", predict.channels), rows, columns), latent, extra, stepper=stepper, timesteps=timesteps,
            strength=strength, goes_on=start > 0, wanted=denoiser.setting("extra", 0), generators=generators, module=module,
        )  # fmt: skip
        if begin.beside is not None:
            predict.see(begin.beside)
        if controls:
            predict.steer_by(Nets(controls, factor, size, items, len(timesteps), stack, context))
        preview = previews(denoiser, context)
        return Latent(denoise(predict, stepper, begin.latents, timesteps, generators, context, eta=eta, after=begin.after, preview=preview))


@sample.spaces
def _(values: dict[str, Any]) -> dict[str, Space]:
    """Without `extra` only a denoiser that sees nothing beside the latent fits."""
    return {"X": Space.of("extra", channels=0)} if values.get("extra", sample) is None else {}


@sample.describe
def _(known: Known) -> Fact:
    _, channels, rows, columns = known.shape("denoiser", 4)
    factor = known.space("S", "factor")
    picture = next((port for port in ("latent", "extra") if port in known.facts), None)
    if picture:
        _, _, rows, columns = known.shape(picture, 4)
    elif "controls" in known.facts:
        rows = columns = None
    sizes = []
    for name, recommended in (("height", rows), ("width", columns)):
        size = known.values.get(name)
        wired = name in known.facts
        sizes.append(None if wired or (size and not factor) else size // factor if size else recommended)
    count = None if "count" in known.facts else known.values.get("count")
    batches = [known.batch(port) for port in ("positive", "latent", "extra") if port in known.facts]
    batch = None if None in batches else max(batches, default=None)
    return Fact((times(batch, count), channels or known.space("S", "channels"), *sizes), "float32")


def _latent_size(
    denoiser: Denoiser, latent: Latent | None, extra: Extra | None, controls: list[Control], given: tuple[int | None, int | None]
) -> tuple[int, int]:
    """Rows and columns of the latent. Raises ValueError where sizes disagree or are no multiples of the factor."""
    factor = denoiser.setting("factor", 8)
    pictures = [one.values for one in (latent, extra and extra.latent) if one is not None]
    own = (denoiser.setting("height", 512), denoiser.setting("width", 512))
    if pictures:
        own = tuple(side * factor for side in pictures[0].shape[-2:])
    elif controls:
        hint = controls[0].hint
        own = own_size(hint.height, hint.width, factor)
        if not all(own) and None in given:
            raise ValueError(f"the control picture of {hint.width}×{hint.height} is smaller than the {factor}×{factor} pixels this model sees "
                             "as one: enlarge it, or give width and height")  # fmt: skip
    height, width = (multiple(name, one if size is None else size, factor) for name, one, size in zip(("height", "width"), own, given))
    for one in pictures:
        rows, columns = one.shape[-2:]
        if (rows * factor, columns * factor) != (height, width):
            raise ValueError(f"the picture to start from is {columns * factor}×{rows * factor}, but {width}×{height} is to be painted; "
                             "encode it at that size, or leave width and height out")  # fmt: skip
    return height // factor, width // factor


def matched(
    positive: Conditioning, negative: Conditioning | None, count: int, pictures: int = 1
) -> tuple[Conditioning, Conditioning | None]:
    """Both with one item a picture to paint. pictures: how many there are to start from; one prompt serves all of them."""
    prompts = len(positive.hidden)
    if negative is not None:
        if len(negative.hidden) not in (1, prompts):
            raise ValueError(f"there are {prompts} prompts, but {len(negative.hidden)} negative ones; 1 or {prompts} fit")
        if negative.hidden.shape[1:] != positive.hidden.shape[1:]:
            shapes = [" × ".join(map(str, one.hidden.shape[1:])) for one in (negative, positive)]
            raise ValueError(f"`negative` ({shapes[0]}) and `positive` ({shapes[1]}) are of different shapes")
    if 1 not in (prompts, pictures) and prompts != pictures:
        raise ValueError(f"there are {prompts} prompts, but {pictures} pictures to start from; one of either, or as many of both, fit")
    items = count * max(prompts, pictures)
    return positive.repeated(items // prompts), negative and negative.repeated(items // len(negative.hidden))

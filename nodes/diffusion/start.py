"""Where sampling starts: the steps to take, what is drawn in which order, what stands beside the noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowmm.sockets import Denoiser, Extra, Latent, Posterior

from .encode import scaled
from .loop import noise


def check_extra(denoiser: Denoiser, latent: Latent | None, extra: Extra | None) -> None:
    """Whether the denoiser can use what it is given beside the noise. Raises ValueError; no weight is read."""
    channels, wanted = denoiser.setting("channels", 4), denoiser.setting("extra", 0)
    if extra is None and wanted:
        made = "edits pictures: wire diffusion.encode_edited" if wanted == channels else "inpaints: wire diffusion.encode_masked"
        raise ValueError(f"this denoiser wants {wanted} channels beside the latent, since it {made} to `extra`, or take a model that "
                         "paints from text alone")  # fmt: skip
    if extra is not None and extra.mask is None and wanted != channels:
        raise ValueError(f"this denoiser edits no pictures: it sees {wanted} channels beside the latent, not {channels}; take an "
                         "InstructPix2Pix model")  # fmt: skip
    if extra is not None and extra.mask is not None and wanted not in (0, channels + 1):
        raise ValueError(f"this denoiser sees {wanted} channels beside the latent; inpainting needs one of {channels + 1}, or of none")
    if extra is not None and extra.mask is not None and not wanted and latent is None:
        raise ValueError("this denoiser was not made to inpaint, so it needs the whole picture too: wire diffusion.encode_masked's `latent`")


def steps_of(stepper: Any, steps: int, strength: float, span: tuple[int, int | None], started: bool, device: Any) -> Any:
    """The timesteps to walk. strength: the part of them that is walked; span: from which step, to which. started: from a latent.

    Reference: diffusers StableDiffusionImg2ImgPipeline.get_timesteps.
    """
    stepper.set_timesteps(steps, device=device)
    start, end = span
    first = start or steps - min(int(steps * strength), steps)
    last = steps if end is None else min(end, steps)
    if first >= last:
        why = f"strength {strength:g} of {steps} steps" if not start and end is None else f"from step {first} to step {last} of {steps}"
        raise ValueError(f"{why} leaves nothing to do; raise the strength or the steps, or mend `start` and `end`")
    if started and hasattr(stepper, "set_begin_index"):
        stepper.set_begin_index(first * stepper.order)
    return stepper.timesteps[first * stepper.order : None if end is None else last * stepper.order]


def drawn(latent: Latent, generators: list, like: Any) -> Any:
    """A latent for each generator, [B, C, h, w], on the module's device and in its dtype; of an encoder's Gaussian a sample.

    Reference: diffusers DiagonalGaussianDistribution.sample.
    """
    import torch

    each = len(generators) // len(latent.values)
    if isinstance(latent, Posterior):
        # The pipelines' pictures lie in memory channel by channel last, and other kernels round differently; said here, so that an
        # encoding read back from a cache gives the same bits as a fresh one.
        mean, std = (part.repeat_interleave(each, 0).contiguous(memory_format=torch.channels_last) for part in (latent.mean, latent.std))
        made = scaled(mean + std * noise(tuple(mean.shape[1:]), generators, mean), latent.scale, latent.shift)
    else:
        made = latent.values.repeat_interleave(each, 0)
    return made.to(like.device, like.dtype)


class Start:
    """The latents that sampling starts from. latents: [B, C, h, w]; after: what is done after each step; beside: channels the
    denoiser sees beside them, or None.

    Every item draws from its own generator in the order of the pipelines: the picture, the noise, what is left of it.
    Reference: prepare_latents and prepare_mask_latents of StableDiffusionPipeline, …Img2ImgPipeline, …InpaintPipeline.
    """

    after: Callable[[Any, int], Any] | None = None
    beside: Any = None

    def __init__(self, shape: tuple[int, ...], latent: Latent | None, extra: Extra | None, *, stepper: Any, timesteps: Any, strength: float,
                 goes_on: bool, wanted: int, generators: list, module: Any):  # fmt: skip
        import torch

        hole = extra is not None and extra.mask is not None
        blends = hole and not wanted
        pure = latent is None or (hole and strength == 1)
        picture = None if latent is None or (pure and not blends) else drawn(latent, generators, module)
        if hole and picture is not None:
            picture = picture.contiguous()  # the inpainting pipeline repeats it, which leaves it lying so
        fresh = None if goes_on else noise(shape, generators, module)
        if goes_on:
            self.latents = picture
        elif pure:
            self.latents = fresh * stepper.init_noise_sigma
        else:
            self.latents = stepper.add_noise(picture, fresh, timesteps[:1].repeat(len(picture)))
        if extra is None:
            return
        left = drawn(extra.latent, generators, module)  # drawn where the denoiser does not see it too: what it draws later hangs on it
        if not hole:
            self.beside = left
            return
        mask = extra.mask.repeat_interleave(len(left) // len(extra.mask), 0).to(left)
        if not blends:
            self.beside = torch.cat([mask, left], dim=1)
            return

        def after(latents: Any, step: int) -> Any:
            """Outside the mask, the picture with as much noise as there still is."""
            known = picture
            if step + 1 < len(timesteps):
                known = stepper.add_noise(picture, fresh, timesteps[step + 1].reshape(1))
            return (1 - mask) * known + mask * latents

        self.after = after

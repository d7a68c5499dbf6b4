"""The sampling loop, one for every family of denoisers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from flowmm.catalog import Context
from flowmm.sockets import Image


def denoise(
    predict: Callable[[Any, Any, int], Any], stepper: Any, latents: Any, timesteps: Any, generators: list, context: Context, *,
    eta: float = 0.0, after: Callable[[Any, int], Any] | None = None, preview: Callable[[Any], Callable[[], Image]] | None = None,
) -> Any:  # fmt: skip
    """Remove noise from latents [B, …] along the timesteps: one prediction and one step of the scheduler each.

    predict: (latents, timestep, step) to the guided prediction. after: what is done to the latents after a step, as
    inpainting keeps what is known. preview: a picture of the estimate of the clean latents, asked for when someone looks.
    Cancelling takes effect between two steps.
    """
    options, total, estimate = step_options(stepper, eta, generators), len(timesteps), latents
    for step, timestep in enumerate(timesteps):
        context.progress(step, total, preview(estimate) if preview else None)
        if "prev_timestep" in options:  # UnCLIPScheduler is told where it goes
            options["prev_timestep"] = timesteps[step + 1] if step + 1 < total else None
        output = stepper.step(predict(latents, timestep, step), timestep, latents, **options)
        latents = output.prev_sample if after is None else after(output.prev_sample, step)
        estimate = getattr(output, "pred_original_sample", None)
        estimate = latents if estimate is None else estimate
    context.progress(total, total)
    return latents


def step_options(stepper: Any, eta: float, generators: list) -> dict[str, Any]:
    """What this scheduler's step takes beside the prediction."""
    accepted = inspect.signature(stepper.step).parameters
    options = {"eta": eta, "generator": generators, "prev_timestep": None}
    return {name: value for name, value in options.items() if name in accepted}


def noise(shape: tuple[int, ...], generators: list, like: Any) -> Any:
    """[B, *shape], item i from its own generator, in the model's dtype, on the CPU: the same alone or in company, on any device.

    like: the module the noise is for. Reference: diffusers.utils.torch_utils.randn_tensor with a list of generators.
    """
    import torch

    return torch.cat([torch.randn((1, *shape), generator=generator, dtype=like.dtype) for generator in generators]).to(like.device)

"""Schedulers by the names people know, each built from the source's own scheduler config."""

from __future__ import annotations

from typing import Any, Literal

# The DPM solvers take a config's learned variance for that of a model of pixels, and would cut latents to three channels.
DPM = {"variance_type": None}

# name: diffusers class, settings laid over the config
SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {}),
    "ddpm": ("DDPMScheduler", {}),
    "pndm": ("PNDMScheduler", {}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_ancestral": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "dpm2": ("KDPM2DiscreteScheduler", {}),
    "dpm2_ancestral": ("KDPM2AncestralDiscreteScheduler", {}),
    "dpmpp_2s": ("DPMSolverSinglestepScheduler", DPM),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", DPM),
    "dpmpp_2m_karras": ("DPMSolverMultistepScheduler", DPM | {"use_karras_sigmas": True}),
    "dpmpp_2m_sde": ("DPMSolverMultistepScheduler", DPM | {"algorithm_type": "sde-dpmsolver++"}),
    "dpmpp_2m_sde_karras": ("DPMSolverMultistepScheduler", DPM | {"algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": True}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "deis": ("DEISMultistepScheduler", {}),
    "lcm": ("LCMScheduler", {}),
}

SchedulerName = Literal[
    "ddim", "ddpm", "pndm", "euler", "euler_ancestral", "heun", "dpm2", "dpm2_ancestral", "dpmpp_2s", "dpmpp_2m",
    "dpmpp_2m_karras", "dpmpp_2m_sde", "dpmpp_2m_sde_karras", "unipc", "deis", "lcm",
]  # fmt: skip


def build_scheduler(config: dict[str, Any], name: str | None) -> Any:
    """A fresh scheduler: the source's own class, or the named one, with the source's training schedule."""
    import diffusers

    cls, changes = SCHEDULERS[name] if name else (config.get("_class_name", ""), {})
    if not cls.endswith("Scheduler") or not hasattr(diffusers, cls):
        raise ValueError(f"the source's own scheduler `{cls}` is none of diffusers'; choose one by name")
    return getattr(diffusers, cls).from_config(config, **changes)

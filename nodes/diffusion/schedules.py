"""Schedulers by the names people know, each built from the source's own scheduler config."""

from __future__ import annotations

import difflib
import inspect
import re
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


# Other spellings: those of k-diffusion, ComfyUI and the web UIs, after lower case and underscores.
ALIASES = {
    "euler_a": "euler_ancestral", "dpm_2": "dpm2", "dpm2_a": "dpm2_ancestral", "dpm_2_a": "dpm2_ancestral", "dpm_2_ancestral": "dpm2_ancestral",
    "dpmpp_2m_sde_gpu": "dpmpp_2m_sde", "dpmpp": "dpmpp_2m", "dpm_solver_pp": "dpmpp_2m", "uni_pc": "unipc", "uni_pc_bh2": "unipc", "plms": "pndm",
    **{cls.casefold(): name for name, (cls, changes) in reversed(SCHEDULERS.items()) if set(changes) <= set(DPM)},
}  # fmt: skip

# How the steps are spaced: an ending of a name, settings laid over the config.
SPACINGS: dict[str, dict[str, Any]] = {
    "karras": {"use_karras_sigmas": True},
    "exponential": {"use_exponential_sigmas": True},
    "beta": {"use_beta_sigmas": True},
    "sgm_uniform": {"timestep_spacing": "trailing"},
    "trailing": {"timestep_spacing": "trailing"},
    "leading": {"timestep_spacing": "leading"},
    "linspace": {"timestep_spacing": "linspace"},
    "normal": {},
}


def build_scheduler(config: dict[str, Any], name: str | None) -> Any:
    """A fresh scheduler: the source's own class, or the named one, with the source's training schedule. Raises ValueError."""
    import diffusers

    cls, changes = understood(name) if name else (config.get("_class_name", ""), {})
    if not cls.endswith("Scheduler") or not hasattr(diffusers, cls):
        raise ValueError(f"the source's own scheduler `{cls}` is none of diffusers'; choose one by name")
    made = getattr(diffusers, cls)
    known = inspect.signature(made.__init__).parameters
    lacking = [setting for setting in changes if setting not in known and setting not in DPM]
    if lacking:
        raise ValueError(f"the scheduler `{name}` is not to be had: diffusers' {cls} has no {lacking[0]}; choose another spacing")
    try:
        return made.from_config(config, **changes)
    except ImportError as error:
        raise ValueError(f"the scheduler `{name}` needs a library that is not here ({str(error).split(chr(10))[0]}); choose another") from None


def understood(name: str) -> tuple[str, dict[str, Any]]:
    """The class of a scheduler named as its users do ("DPM++ 2M Karras", k_euler_a), and settings to lay over its config.

    Raises ValueError for a name nobody knows.
    """
    short = re.sub(r"[^a-z0-9]+", "_", name.casefold().replace("++", "pp")).strip("_")
    short = short.removeprefix("sample_").removeprefix("k_")
    for ending in ("", *SPACINGS):
        base = short.removesuffix(f"_{ending}") if ending else short
        base = ALIASES.get(base, base)
        if base in SCHEDULERS:
            cls, changes = SCHEDULERS[base]
            return cls, changes | SPACINGS.get(ending, {})
    close = difflib.get_close_matches(short, [*SCHEDULERS, *ALIASES], 1)
    hint = f"did you mean {ALIASES.get(close[0], close[0])}?" if close else f"there are {', '.join(SCHEDULERS)}"
    raise ValueError(f"there is no scheduler `{name[:60]}`; {hint}, each also with an ending: {', '.join(SPACINGS)}")

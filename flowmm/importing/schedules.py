"""Samplers and schedules by ComfyUI's and AUTOMATIC1111's names, as diffusion.sample's `scheduler` takes them.

What cannot be equal is told by `README.md` beside this file; `tests/importing/test_sigmas.py` measures it.
"""

from __future__ import annotations

import re

# Samplers that do the same arithmetic here.
SAME = {
    "euler": "euler", "euler_ancestral": "euler_ancestral", "heun": "heun", "dpm_2": "dpm2", "dpm_2_ancestral": "dpm2_ancestral",
    "dpmpp_2m": "dpmpp_2m", "dpmpp_2m_sde": "dpmpp_2m_sde", "dpmpp_2m_sde_gpu": "dpmpp_2m_sde", "ddpm": "ddpm", "lcm": "lcm", "deis": "deis",
    "ddim": "ddim", "uni_pc": "unipc", "uni_pc_bh2": "unipc",
}  # fmt: skip
# Samplers that have no counterpart, and the one that comes nearest.
NEAREST = {
    "euler_cfg_pp": "euler", "euler_ancestral_cfg_pp": "euler_ancestral", "heunpp2": "heun", "lms": "euler", "ipndm": "pndm", "ipndm_v": "pndm",
    "dpmpp_2s_ancestral": "dpmpp_2s", "dpmpp_2s_ancestral_cfg_pp": "dpmpp_2s", "dpmpp_2m_cfg_pp": "dpmpp_2m", "dpmpp_sde": "dpmpp_2m_sde",
    "dpmpp_sde_gpu": "dpmpp_2m_sde", "dpmpp_3m_sde": "dpmpp_2m_sde", "dpmpp_3m_sde_gpu": "dpmpp_2m_sde", "dpmpp_2m_sde_heun": "dpmpp_2m_sde",
}  # fmt: skip
# The web UIs' names, after lower case and underscores.
ALSO = {
    "euler_a": "euler_ancestral", "dpm2": "dpm_2", "dpm2_a": "dpm_2_ancestral", "dpmpp_2s_a": "dpmpp_2s_ancestral", "unipc": "uni_pc",
    "plms": "ipndm", "ddim_cfgpp": "ddim",
}  # fmt: skip

# How the steps are spaced, by the ending that diffusion.sample knows.
SPACINGS = {
    "normal": "linspace", "simple": "trailing", "sgm_uniform": "trailing", "ddim_uniform": "leading", "karras": "karras", "exponential": "exponential",
    "uniform": "linspace", "ddim": "leading",
}  # fmt: skip
WITHOUT_SIGMAS = ("ddim", "ddpm", "pndm", "euler_ancestral", "lcm")  # no karras, no exponential
OWN_SPACING = ("dpmpp_2s",)  # and these have no spacing but their own
SOLVERS = ("dpmpp_2m", "dpmpp_2m_sde", "deis", "unipc")  # whose plain spacings are diffusers' own


def scheduler(sampler: str, spacing: str) -> tuple[str | None, list[str]]:
    """The scheduler of these names, None for the model's own, and what cannot be kept of them in sentences."""
    remarks = []
    short, ending = _short(sampler), _short(spacing)
    for own in ("karras", "exponential"):  # older web UIs write both as one name
        if short.endswith(f"_{own}"):
            short, ending = short.removesuffix(f"_{own}"), own
    short = ALSO.get(short, short)
    base = SAME.get(short)
    if base is None and (base := NEAREST.get(short)):
        remarks.append(f"the sampler `{sampler[:60]}` has no counterpart; `{base}` comes nearest")
    if base is None:
        return None, [f"the sampler `{sampler[:60]}` has no counterpart; the model's own is used"]
    made = SPACINGS.get(ending)
    if base in OWN_SPACING or (made in ("karras", "exponential") and base in WITHOUT_SIGMAS):
        if made not in ("karras", "exponential") or base in WITHOUT_SIGMAS:
            remarks.append(f"`{base}` has no schedule `{spacing[:60]}` here; its own spacing of the steps is used")
            made = "linspace" if base in WITHOUT_SIGMAS else None
    elif made is None:
        remarks.append(f"the schedule `{spacing[:60]}` has no counterpart; the model's own spacing of the steps is used")
    elif base in SOLVERS and made in ("linspace", "leading"):
        remarks.append(f"of `{base}` the schedule `{spacing[:60]}` has other levels of noise here; simple, karras and exponential are alike")
    return f"{base}_{made}" if made else base, remarks


def _short(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name[:200].casefold().replace("++", "pp")).strip("_").removeprefix("sample_").removeprefix("k_")

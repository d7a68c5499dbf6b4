"""How near the levels of noise come to ComfyUI's: its formulas, written down here, against the schedulers that its names are mapped to."""

from __future__ import annotations

import numpy as np
import pytest

from flowmm.importing.schedules import ALSO, NEAREST, OWN_SPACING, SAME, SPACINGS, scheduler
from flowmm.nodes.diffusion.schedules import build_scheduler, understood

SD1 = {
    "_class_name": "PNDMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000,
    "steps_offset": 1, "set_alpha_to_one": False, "skip_prk_steps": True,
}  # fmt: skip


def training() -> np.ndarray:
    """Of Stable Diffusion 1, 2 and XL: the level of noise of each of the thousand steps."""
    kept = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
    return ((1 - kept) / kept) ** 0.5


def comfy(name: str, steps: int) -> np.ndarray:
    """The levels of a schedule of ComfyUI, without the last, which is 0. Reference: comfy/samplers.py, k-diffusion's get_sigmas_karras."""
    known = training()

    def at(times):
        return np.exp(np.interp(times, np.arange(1000), np.log(known)))

    low, high, ramp = known[0], known[-1], np.linspace(0, 1, steps)
    return {
        "normal": lambda: at(np.linspace(999, 0, steps)),
        "sgm_uniform": lambda: at(np.linspace(999, 0, steps + 1)[:-1]),
        "simple": lambda: known[[-(1 + int(x * 1000 / steps)) for x in range(steps)]],
        "ddim_uniform": lambda: known[1 :: 1000 // steps][::-1],
        "karras": lambda: (high ** (1 / 7) + ramp * (low ** (1 / 7) - high ** (1 / 7))) ** 7,
        "exponential": lambda: np.exp(np.linspace(np.log(high), np.log(low), steps)),
    }[name]()


def ours(sampler: str, name: str, steps: int) -> np.ndarray:
    made = build_scheduler(SD1, scheduler(sampler, name)[0])
    made.set_timesteps(steps)
    return np.asarray(made.sigmas.numpy(), "float64")[:-1]


# The largest difference of a level, as a part of it, over all of its steps: as README.md beside the code tells it.
WITHIN = {
    **{(sampler, name): 4e-5 for sampler in ("euler", "euler_ancestral") for name in ("normal", "simple", "ddim_uniform")},
    **{("euler", name): 4e-5 for name in ("karras", "exponential")},
    **{(sampler, name): 4e-5 for sampler in ("dpmpp_2m", "dpmpp_2m_sde", "deis", "uni_pc") for name in ("simple", "karras", "exponential")},
    **{(sampler, "sgm_uniform"): 0.025 for sampler in ("euler", "euler_ancestral", "dpmpp_2m", "uni_pc")},
}  # fmt: skip


@pytest.mark.parametrize("steps", [10, 20, 25])
@pytest.mark.parametrize(("sampler", "name"), WITHIN)
def test_levels_of_noise_come_this_near(sampler, name, steps):
    theirs, here = comfy(name, steps), ours(sampler, name, steps)
    assert theirs.shape == here.shape
    difference = np.max(np.abs(theirs - here) / theirs)
    assert difference < WITHIN[sampler, name]
    assert scheduler(sampler, name)[1] == []


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "dpmpp_2m_sde", "deis", "uni_pc"])
@pytest.mark.parametrize("name", ["normal", "ddim_uniform"])
def test_levels_that_are_others_are_told(sampler, name):
    assert np.max(np.abs(comfy(name, 20) - ours(sampler, name, 20)) / comfy(name, 20)) > 1 and "other levels" in scheduler(sampler, name)[1][0]


def test_the_first_noise_is_told_how_strong_it_is():
    """ComfyUI scales it by √(1 + σ²): a solver's is that, Euler's is σ, 0.23 % less."""
    most = training()[-1]
    euler, solver = (build_scheduler(SD1, name) for name in ("euler_linspace", "dpmpp_2m_karras"))
    for one in (euler, solver):
        one.set_timesteps(20)
    assert float(euler.init_noise_sigma) == pytest.approx(most, rel=2e-5) and np.sqrt(1 + most**2) / most == pytest.approx(1.00234, rel=1e-4)
    assert solver.init_noise_sigma == 1.0, "in its own scale, where the whole has a variance of 1"


def test_every_name_that_the_table_makes_is_a_scheduler():
    """Each sampler with each schedule is built by diffusers as it is named."""
    made = {scheduler(sampler, name)[0] for sampler in [*SAME, *NEAREST, *ALSO] for name in [*SPACINGS, "beta", "kl_optimal", "nonsense"]}
    assert None not in made
    for name in made:
        understood(name)
        build_scheduler(SD1, name).set_timesteps(20)


def test_what_has_no_counterpart_says_so():
    assert scheduler("dpm_adaptive", "normal") == (None, ["the sampler `dpm_adaptive` has no counterpart; the model's own is used"])
    assert scheduler("euler", "normal") == ("euler_linspace", []) and scheduler("DPM++ 2M Karras", "Automatic") == ("dpmpp_2m_karras", [])
    for sampler in NEAREST:
        assert "no counterpart" in scheduler(sampler, "normal")[1][0]
    assert scheduler("ddim", "karras")[1] and scheduler("euler", "beta")[1] and OWN_SPACING


def test_the_first_noise_is_the_same():
    """ComfyUI: torch.manual_seed(seed), and one torch.randn for the whole batch. Reference: comfy/sample.py, prepare_noise."""
    import torch

    from flowmm.nodes.diffusion.loop import noise

    like = torch.nn.Linear(1, 1)
    like.device, like.dtype = torch.device("cpu"), torch.float32
    generators = [torch.Generator("cpu").manual_seed(7 + i) for i in range(3)]
    here = noise((4, 8, 8), generators, like)
    theirs = torch.randn((3, 4, 8, 8), generator=torch.manual_seed(7), dtype=torch.float32)
    assert torch.equal(here[0], theirs[0]) and not torch.equal(here[1], theirs[1])

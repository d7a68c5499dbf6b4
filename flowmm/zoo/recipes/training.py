"""What every recipe shares: the clock, schedules, averaged weights, checkpoints, gates and shipping in float16."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from flowmm.zoo import WEIGHTS, world


class GateFailed(RuntimeError):
    """A stage is not good enough for the next one to be worth its time."""


def gate(what: str, value: float, least: float) -> None:
    """Raise GateFailed unless value reaches least."""
    verdict = "passed" if value >= least else "failed"
    print(f"gate {verdict}: {what} {value:.3f}, wanted >= {least}", flush=True)
    if value < least:
        raise GateFailed(f"{what} is {value:.3f}, below {least}: train longer or change the recipe")


class Clock:
    """Minutes spent against a budget, across resumes; the schedules run on its `fraction`.

    Minutes of this process's own work, a thread's share of it, so that a run on a busy machine gets all that it asked for.
    """

    def __init__(self, minutes: float, spent: float = 0.0):
        self.minutes = minutes
        self._started = self._now() - spent

    @staticmethod
    def _now() -> float:
        return time.process_time() / torch.get_num_threads() / 60

    @property
    def spent(self) -> float:
        """Minutes since the start, earlier runs included."""
        return self._now() - self._started

    @property
    def fraction(self) -> float:
        """Share of the budget spent, 0 to 1."""
        return min(self.spent / self.minutes, 1.0)

    @property
    def running(self) -> bool:
        """Whether budget is left."""
        return self.spent < self.minutes


def learning_rate(peak: float, step: int, fraction: float, warm_up: int = 150, flat: float = 0.5) -> float:
    """Linear warm-up over steps, flat up to a fraction of the budget, then cosine to zero."""
    late = max(0.0, (fraction - flat) / (1 - flat))
    return peak * min(1.0, (step + 1) / warm_up) * 0.5 * (1 + math.cos(math.pi * late))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group one learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def stratified_times(count: int, power: float, generator: torch.Generator, steps: int = 1000) -> torch.Tensor:
    """(count,) timesteps, one from each equal slice of u in [0, 1), t = steps * u**power, in random order."""
    u = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    times = (steps * u**power).long().clamp(max=steps - 1)
    return times[torch.randperm(count, generator=generator)]


def wake(module: nn.Module) -> nn.Module:
    """Larger initial weights for a small transformer; returns the module.

    The libraries start every layer at deviation .02, made for widths near a thousand. At a width of 128 its branches
    and positions are then all but silent: CLIP stayed at chance on shape for minutes, and learned it in seconds so.
    """
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
        elif isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight)
        elif isinstance(part, nn.Embedding):
            nn.init.normal_(part.weight, std=0.3)
    return module


class Average:
    """An exponential moving average of the weights of some modules, warmed up so that early steps count."""

    def __init__(self, modules: dict[str, nn.Module], decay: float):
        self.modules, self.decay, self.updates = modules, decay, 0
        self.weights = {name: [p.detach().clone() for p in module.parameters()] for name, module in modules.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the weights as they are now."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, module in self.modules.items():
            torch._foreach_lerp_(self.weights[name], [p.detach() for p in module.parameters()], 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the average with the modules' weights; call again to change back."""
        for name, module in self.modules.items():
            for kept, parameter in zip(self.weights[name], module.parameters(), strict=True):
                now = parameter.detach().clone()
                parameter.copy_(kept)
                kept.copy_(now)


def save_checkpoint(path: Path, average: Average, optimizer: torch.optim.Optimizer, **state) -> None:
    """Everything needed to go on, written under another name first so that a kill leaves the old one whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    modules = {name: module.state_dict() for name, module in average.modules.items()}
    whole = {"modules": modules, "average": average.weights, "updates": average.updates, "state": state}
    torch.save(whole | {"optimizer": optimizer.state_dict()}, path.with_suffix(".part"))
    os.replace(path.with_suffix(".part"), path)


def load_checkpoint(path: Path, average: Average, optimizer: torch.optim.Optimizer | None = None) -> dict:
    """Put a checkpoint back into the modules, their average and the optimizer; returns the saved state."""
    whole = torch.load(path, map_location="cpu", weights_only=True)
    for name, module in average.modules.items():
        module.load_state_dict(whole["modules"][name])
        for kept, saved in zip(average.weights[name], whole["average"][name], strict=True):
            kept.copy_(saved)
    average.updates = whole["updates"]
    if optimizer is not None:
        # The moments come from the checkpoint, the settings from the recipe as it is now.
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict(whole["optimizer"] | {"param_groups": groups})
    return whole["state"]


def learn(
    saved: Path, modules: dict[str, nn.Module], minutes: float, resume: bool, begin: Callable[[int], Callable[[float], torch.Tensor]], *,
    peak: float, batch: int, decay: float = 0.999, flat: float = 0.5, betas: tuple[float, float] = (0.9, 0.999), weight_decay: float = 0.01,
    notes: Callable[[], dict[str, float]] = dict, after: Callable[[], None] = lambda: None, least: dict[str, tuple[float, float]] | None = None,
) -> None:  # fmt: skip
    """The loop of a recipe: AdamW on some modules for a budget of minutes, with an average, a log and a checkpoint in `saved`.

    begin: from the step reached so far to the loss of a batch, which is told the share of the budget spent. notes: figures
    for the log, asked for twice a minute. after: what is done to the weights after every step. least: of some figures, the minutes
    after which they must have reached a value once; raises GateFailed otherwise, as the run is not learning.
    """
    average = Average(modules, decay)
    parameters = [parameter for module in modules.values() for parameter in module.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=peak, betas=betas, weight_decay=weight_decay, fused=True)
    step, spent = 0, 0.0
    if resume and saved.exists():
        state = load_checkpoint(saved, average, optimizer)
        step, spent = state["step"], state["spent"]
    batch_loss = begin(step)
    clock = Clock(minutes, spent)
    noted = kept = clock.spent
    recent: list[float] = []
    awaited = dict(least or {})
    while clock.running:
        loss = batch_loss(clock.fraction)
        set_rate(optimizer, learning_rate(peak, step, clock.fraction, flat=flat))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        after()
        average.update()
        step += 1
        recent.append(loss.item())
        if clock.spent - noted > 0.5:
            noted = clock.spent
            figures = notes()
            say(clock, step, step * batch, loss=float(np.mean(recent)), **figures)
            recent.clear()
            still_learning(figures, clock.spent, awaited)
        if clock.spent - kept > 2:
            kept = clock.spent
            save_checkpoint(saved, average, optimizer, step=step, spent=clock.spent)
    save_checkpoint(saved, average, optimizer, step=step, spent=clock.spent)


def still_learning(figures: dict[str, float], spent: float, awaited: dict[str, tuple[float, float]]) -> None:
    """Raise GateFailed for a figure that is below its value when its minutes are over; one that has reached it is no longer awaited."""
    for name, (minutes, value) in tuple(awaited.items()):
        if figures[name] >= value:
            del awaited[name]
        elif spent >= minutes:
            raise GateFailed(f"{name} is {figures[name]:.3g} after {spent:.1f} minutes, and a run that learns has {value:g} after {minutes:g}: it is not learning")


def restore(saved: Path, modules: dict[str, nn.Module]) -> None:
    """Put a checkpoint's averaged weights into fresh modules."""
    average = Average(modules, 0.0)
    load_checkpoint(saved, average)
    average.swap()


def trained(name: str, out: Path) -> Path:
    """The folder of a model that another begins from: the one in a folder of trainings, or else the shipped one."""
    return out / name if (out / name / "flowmm.json").exists() else WEIGHTS / name


def curriculum(rng: np.random.Generator, count: int, two: float) -> list[world.Scene]:
    """Scenes in order of difficulty: a sixteenth centred, three jittered a little, then all, a share of them of two things."""
    easy = count // 16
    scenes = [world.random_scene(rng, jitter=0, sizes=("large",)) for _ in range(easy)]
    scenes += [world.random_scene(rng, jitter=1.5) for _ in range(3 * easy)]
    return scenes + [world.random_scene(rng, two=two) for _ in range(count - len(scenes))]


def in_use(count: int, fraction: float) -> int:
    """How many of a curriculum's scenes are taught: the easiest sixteenth at first, all by a quarter of the budget."""
    return int(count * min(1.0, 1 / 16 + fraction / 0.25 * 15 / 16))


def to_tensor(pictures: Iterable[np.ndarray]) -> torch.Tensor:
    """uint8 pictures (32, 32, 3) to a float batch (N, 3, 32, 32) in [-1, 1]."""
    return torch.from_numpy(np.stack(list(pictures))).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_pictures(batch: torch.Tensor) -> np.ndarray:
    """A float batch (N, 3, 32, 32) in [-1, 1] to uint8 pictures (N, 32, 32, 3)."""
    return ((batch.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()


def random_batch(rng: np.random.Generator, count: int, **how) -> tuple[list[world.Scene], torch.Tensor]:
    """Random trained scenes and their pictures (count, 3, 32, 32)."""
    scenes = [world.random_scene(rng, **how) for _ in range(count)]
    return scenes, to_tensor(world.pixels(scene) for scene in scenes)


def say(clock: Clock, step: int, samples: int, **figures: float) -> None:
    """One log line."""
    shown = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
    rate = samples / max(clock.spent * 60, 1e-9)
    print(f"{clock.spent:6.2f} min  step {step:6d}  samples {samples:7d}  {rate:5.0f}/s  {shown}", flush=True)


def ship(module: nn.Module, folder: Path) -> None:
    """Write a model's folder with float16 safetensors; the module itself is left as it is."""
    kept = {name: value.clone() for name, value in module.state_dict().items()}
    module.half().save_pretrained(folder, safe_serialization=True)
    module.float().load_state_dict(kept)
    clean_names(folder)


def clean_names(folder: Path) -> None:
    """Take the training machine's paths out of the saved configurations, however deep they lie."""
    for path in folder.glob("**/*.json"):
        text = path.read_text(encoding="utf-8")
        if '"_name_or_path"' in text:
            config = json.loads(text, object_hook=lambda part: {name: value for name, value in part.items() if name != "_name_or_path"})
            path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_card(folder: Path, **card) -> None:
    """`flowmm.json`: what the model is, its licence, recipe and recommended settings."""
    folder.mkdir(parents=True, exist_ok=True)
    card = {"licence": "Apache-2.0", **card}
    (folder / "flowmm.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")

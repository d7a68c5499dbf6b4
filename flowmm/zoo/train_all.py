"""All recipes in their order, each in a process of its own, with a log beside what it trains."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from flowmm.zoo.recipes import RECIPES


def folder_of(name: str, out: Path) -> Path:
    """Where a recipe's training writes its model: that of blip_match into out/blip-match."""
    return out / (RECIPES[name].trained or RECIPES[name].shipped)


def log_of(name: str, out: Path) -> Path:
    """The log of a recipe's training."""
    return out / f"{name}.log"


def complete(name: str, out: Path) -> bool:
    """Whether a model's folder is there, and its log, if it has one, ends at a gate that was passed."""
    if not any(folder_of(name, out).glob("**/*.safetensors")):
        return False
    log = log_of(name, out)
    told = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if "gate " in line or " min  step " in line] if log.is_file() else []
    return not told or told[-1].startswith("gate passed")


def train_all(out: Path, minutes: float | None = None, device: str = "cpu", threads: int = 1) -> int:
    """Train what is not complete in `out`, going on from checkpoints; returns 0 when every model is complete afterwards, else 1.

    minutes: of all recipes together, shared as their own budgets are; those by default. What begins from a model that failed is not tried.
    """
    out.mkdir(parents=True, exist_ok=True)
    scale = minutes / sum(one.minutes for one in RECIPES.values()) if minutes else 1.0
    results: dict[str, str] = {}
    for name, one in RECIPES.items():
        missing = [before for before in one.after if results[before] not in ("trained", "was there")]
        if missing:
            results[name] = f"not tried, as it begins from {' and '.join(missing)}"
        elif complete(name, out):
            results[name] = "was there"
        else:
            print(f"{time.strftime('%H:%M')} training {name}, {one.minutes * scale:.3g} minutes, log in {log_of(name, out)}", flush=True)
            results[name] = train_apart(name, out, one.minutes * scale, device, threads)
        print(f"{time.strftime('%H:%M')} {name}: {results[name]}", flush=True)
    print()
    for name, result in results.items():
        print(f"{name:16s} {result}")
    return int(any(result not in ("trained", "was there") for result in results.values()))


def train_apart(name: str, out: Path, minutes: float, device: str, threads: int) -> str:
    """Train one model in a process of its own; "trained", or why not."""
    command = [sys.executable, "-m", "flowmm.zoo", "train", name, "--minutes", str(minutes), "--device", device, "--out", str(out),
               "--threads", str(threads), "--resume"]  # fmt: skip
    with log_of(name, out).open("ab") as log:
        code = subprocess.run(command, stdout=log, stderr=log, env=os.environ | {"OMP_NUM_THREADS": str(threads)}, check=False).returncode
    if code == 0:
        return "trained"
    lines = log_of(name, out).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines and lines[-1].startswith("stopped at a gate") else f"failed with {code}: {lines[-1] if lines else 'nothing was said'}"

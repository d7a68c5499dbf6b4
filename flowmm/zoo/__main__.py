"""`python -m flowmm.zoo`: train a model, measure one, measure the judge, or write example pictures."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from flowmm.zoo import WEIGHTS


def main(arguments: list[str] | None = None) -> None:
    """Run one command; figures are printed one a line."""
    parser = argparse.ArgumentParser(prog="python -m flowmm.zoo", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    train = commands.add_parser("train", help="train a model from nothing")
    train.add_argument("name")
    train.add_argument("--minutes", type=float, help="budget; the recipe's own by default")
    train.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    train.add_argument("--out", type=Path, default=Path("zoo-training"), help="checkpoints and the model's folder")
    train.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    train.add_argument("--threads", type=int, default=1)

    measure = commands.add_parser("measure", help="measure a model through the library's own classes")
    measure.add_argument("name")
    measure.add_argument("--n", type=int, default=500)
    measure.add_argument("--threads", type=int, default=1)
    measure.add_argument("--folder", type=Path, help="the model's folder; the shipped one by default")

    judged = commands.add_parser("judge", help="measure the judge on true and on wrongly told pictures")
    judged.add_argument("--n", type=int, default=1000)

    pictures = commands.add_parser("examples", help="write example pictures and their captions")
    pictures.add_argument("folder", type=Path)
    pictures.add_argument("--n", type=int, default=12)
    pictures.add_argument("--seed", type=int, default=0)

    asked = parser.parse_args(arguments)
    if asked.command == "judge":
        from flowmm.zoo.check import measure_judge

        show(measure_judge(asked.n))
    elif asked.command == "examples":
        from flowmm.zoo.world import examples

        for path in examples(asked.folder, asked.n, asked.seed):
            print(path)
    else:
        run_recipe(asked)


def run_recipe(asked: argparse.Namespace) -> None:
    """Train or measure, on as many threads as asked."""
    os.environ.setdefault("OMP_NUM_THREADS", str(asked.threads))
    import torch

    from flowmm.zoo.recipes import RECIPES, recipe
    from flowmm.zoo.recipes.training import GateFailed

    torch.set_num_threads(asked.threads)
    try:
        module = recipe(asked.name)
    except KeyError as error:
        sys.exit(f"error: {error.args[0]}")
    if asked.command == "train":
        try:
            module.train(asked.out, asked.minutes or RECIPES[asked.name].minutes, asked.device, asked.resume)
        except GateFailed as error:
            sys.exit(f"stopped at a gate: {error}")
    else:
        show(module.measure(asked.folder or WEIGHTS / RECIPES[asked.name].shipped, asked.n))


def show(figures: dict[str, float]) -> None:
    """Print figures, one a line."""
    for name, value in figures.items():
        print(f"{name:40s} {value:.4g}")


if __name__ == "__main__":
    main()

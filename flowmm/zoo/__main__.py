"""`python -m flowmm.zoo`: train models, measure them, print the table of what they reach, or write example pictures."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from pathlib import Path

from flowmm.zoo import table


def main(arguments: list[str] | None = None) -> None:
    """Run one command; figures are printed one a line."""
    parser = argparse.ArgumentParser(prog="python -m flowmm.zoo", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    train = commands.add_parser("train", help="train a model from nothing, or all of them")
    train.add_argument("name", help="a recipe, or all: each in its turn, what is there already left out, with a log each in --out")
    train.add_argument("--minutes", type=float, help="budget, of all together where all are trained; the recipes' own by default")
    train.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    train.add_argument("--out", type=Path, default=Path("zoo-training"), help="checkpoints and the models' folders")
    train.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out; all does so of itself")
    train.add_argument("--threads", type=int, default=1)

    measure = commands.add_parser("measure", help="measure a model by the saved graphs or the library's own classes")
    measure.add_argument("name", help="a recipe; judge: the judge itself; graphs: seconds of each saved graph, for a machine with nothing else to do; all: everything there is, as the table")
    measure.add_argument("--n", type=int, default=500, help="draws of each figure and seed")
    measure.add_argument("--seeds", type=int, default=3)
    measure.add_argument("--threads", type=int, default=1)
    measure.add_argument("--folder", type=Path, help="the model's folder; the shipped one by default")
    measure.add_argument("--save", action="store_true", help="keep the figures for the table; of all, what was saved of the same weights is kept as it is")

    printed = commands.add_parser("table", help="print the table from the saved figures")
    printed.add_argument("files", type=Path, nargs="*", help="Markdown files in which to exchange it")

    pictures = commands.add_parser("examples", help="write example pictures and their captions")
    pictures.add_argument("folder", type=Path)
    pictures.add_argument("--n", type=int, default=12)
    pictures.add_argument("--seed", type=int, default=0)

    asked = parser.parse_args(arguments)
    if asked.command == "table":
        print(table.text(table.saved()), end="")
        for path in asked.files:
            table.put(path, table.text(table.saved()))
    elif asked.command == "examples":
        from flowmm.zoo.world import examples

        for path in examples(asked.folder, asked.n, asked.seed):
            print(path)
    elif asked.name == "all" and asked.command == "train":
        from flowmm.zoo.train_all import train_all

        sys.exit(train_all(asked.out, asked.minutes, asked.device, asked.threads))
    else:
        os.environ.setdefault("OMP_NUM_THREADS", str(asked.threads))
        known(asked.name, ("all", "judge", "graphs") if asked.command == "measure" else ())
        (train_one if asked.command == "train" else measured)(asked)


def known(name: str, others: tuple[str, ...]) -> None:
    """Leave with the names there are unless this is one of them."""
    if name not in table.RECIPES and name not in others:
        sys.exit(f"error: no recipe {name!r}; there are {', '.join((*table.RECIPES, *others))}")


def train_one(asked: argparse.Namespace) -> None:
    """Train a model, and draw a sheet of what it does, even when a gate stops it."""
    import torch

    from flowmm.zoo import sheets
    from flowmm.zoo.recipes import RECIPES, recipe
    from flowmm.zoo.recipes.training import GateFailed

    torch.set_num_threads(asked.threads)
    stopped = None
    try:
        recipe(asked.name).train(asked.out, asked.minutes or RECIPES[asked.name].minutes, asked.device, asked.resume)
    except GateFailed as error:
        stopped = f"stopped at a gate: {error}"
    sheets.write(asked.name, asked.out)
    sys.exit(stopped)


def measured(asked: argparse.Namespace) -> None:
    """Measure, print and maybe save."""
    import torch

    torch.set_num_threads(asked.threads)
    if asked.name == "all":
        measure_all(asked)
    elif asked.name == "graphs":
        for name, value in time_graphs(asked.save).items():
            print(f"{name:60s} {value:.3f} s", flush=True)
    elif asked.save and asked.folder:
        sys.exit("error: figures of the shipped models alone are saved; leave out --folder or --save")
    else:
        found = table.record(asked.name, asked.n, asked.seeds) if asked.save else table.measure(asked.name, asked.n, asked.seeds, asked.folder)
        for name, values in found["figures"].items():
            print(f"{name:60s} {statistics.mean(values):.4g}{f' ± {statistics.stdev(values):.2g}' if len(values) > 1 else ''}")
        if asked.save:
            table.save(asked.name, found)


def measure_all(asked: argparse.Namespace) -> None:
    """Everything the pack has, one after the other, then the table."""
    kept = table.saved() if asked.save else {}
    for name in ("judge", *filter(table.shipped, table.RECIPES)):
        drawn = kept.get(name, {"figures": {}})
        same = name == "judge" or drawn.get("weights") == table.digest(table.weights_of(name))
        if not (same and drawn.get("n") == asked.n and all(len(values) == asked.seeds for values in drawn["figures"].values())):
            print(f"measuring {name}", file=sys.stderr, flush=True)
            kept[name] = table.record(name, asked.n, asked.seeds)
            if asked.save:
                table.save(name, kept[name])
    print("timing the graphs", file=sys.stderr, flush=True)
    print(table.text(kept | {"graphs": time_graphs(asked.save)}), end="")


def time_graphs(keep: bool) -> dict[str, float]:
    """Take the seconds of the graphs, and maybe save them."""
    taken = table.time_graphs()
    if keep:
        table.save("graphs", taken)
    return taken


if __name__ == "__main__":
    main()
